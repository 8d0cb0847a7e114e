"""What is left out of a training by percentiles."""

import itertools

import numpy as np
import pytest

from nextpick.data import featurize
from nextpick.data.dataset import Data, Entities, Interactions
from nextpick.errors import InvalidInput


class Ids(list):  # as many as a vocabulary has
    pass


def data_of(*histories: list[int]) -> Data:
    offsets = np.concatenate(([0], np.cumsum([len(history) for history in histories]))).astype(np.int64)
    item = np.array([item for history in histories for item in history], dtype=np.int32)
    n = len(item)
    interactions = Interactions(
        offsets, item, np.arange(n), np.full(n, -1, np.int16), np.full(n, np.nan, np.float32), ()
    )
    empty = np.zeros(0, dtype=np.int64)
    items, users = Entities(Ids(range(5)), (), empty), Entities(Ids(histories), (), empty)  # type: ignore[arg-type]
    return Data(interactions, items, users, n)


def histories_of(data: Data) -> list[list[int]]:
    bounds = data.interactions.offsets
    return [data.interactions.item[a:b].tolist() for a, b in itertools.pairwise(bounds)]


def test_users_with_too_long_or_too_short_histories_keep_their_row_and_lose_their_interactions() -> None:
    data = data_of([0], [1, 2], [], [0, 1, 2], [0, 1, 2, 3, 4, 0, 1, 2])
    kept = featurize.without_outliers(data, {"min_user_history_length_percentile": 0.4})
    assert histories_of(kept) == [[], [1, 2], [], [0, 1, 2], [0, 1, 2, 3, 4, 0, 1, 2]]
    kept = featurize.without_outliers(data, {"max_user_history_length_percentile": 0.6})
    assert histories_of(kept) == [[0], [1, 2], [], [0, 1, 2], []]
    assert kept.interactions.time.tolist() == [0, 1, 2, 3, 4, 5]


def test_items_that_are_too_popular_lose_their_interactions() -> None:
    data = data_of([0, 1], [0, 2], [0, 3])
    kept = featurize.without_outliers(data, {"max_item_interaction_count_percentile": 0.5})
    assert histories_of(kept) == [[1], [2], [3]]


def test_the_longest_of_a_hundred_histories_is_kept_and_two_of_two_hundred_are_not() -> None:
    few, many = ([[0] * n for n in range(1, size + 1)] for size in (100, 202))
    assert featurize.without_outliers(data_of(*few), featurize.OF_HISTORIES).interactions.offsets[-1] == 5050
    kept = histories_of(featurize.without_outliers(data_of(*many), featurize.OF_HISTORIES))
    assert [len(history) for history in kept if history] == list(range(1, 201))


def test_cold_items_have_few_interactions_of_late_the_youngest_first() -> None:
    data = data_of([0, 1, 2], [1, 1, 3], [4])  # at times 0 to 6
    day = 86_400
    assert featurize.cold_items(data, 15, 4 / day, 6).tolist() == [4, 3, 2]
    assert featurize.cold_items(data, 2, 6 / day, 6).tolist() == [4, 3, 2, 0]
    assert featurize.cold_items(data, 3, 6 / day, 6).tolist() == [4, 3, 2, 1, 0]


def test_nothing_asked_for_leaves_the_data_as_it_is() -> None:
    data = data_of([0, 1], [2])
    assert featurize.without_outliers(data, {}) is data


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"zzz": "1"}, "no featureTransformationParameter zzz"),
        ({"min_user_history_length_percentile": "0.99"}, "less than"),
        ({"min_item_interaction_count_percentile": "0.1"}, "no featureTransformationParameter min_item"),
        ({"min_user_history_length_percentile": "x"}, "must be a number"),
        ({"max_user_history_length_percentile": "2"}, "from 0.0 to 1.0"),
        (
            {"min_user_history_length_percentile": "0.9", "max_user_history_length_percentile": "0.1"},
            "less than",
        ),
    ],
)
def test_a_parameter_that_is_unknown_or_out_of_range_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        featurize.parse(given, featurize.OF_HISTORIES, "aws-user-personalization")

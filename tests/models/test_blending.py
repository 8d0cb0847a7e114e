"""The network's column: its weight is found where it helps, and is nothing where it does not."""

import numpy as np
import pytest

from nextpick.models import blending, weighing
from nextpick.models.logit import Choices
from nextpick.models.topk import top_k
from nextpick.recipes import aws_user_personalization as engine
from nextpick.testing.recipe_contract import Run
from nextpick.testing.worlds import made_data

QUERIES, CANDIDATES = 3000, 30
DATA = made_data(users=200, items=400, longest=20)


def choices(true: np.ndarray) -> Choices:
    """Return choices of users with the weights ``true`` of the columns, the last of which is the network's."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(QUERIES, CANDIDATES, len(true))).astype(np.float32)
    taken = (features @ true + rng.gumbel(size=(QUERIES, CANDIDATES))).argmax(axis=1)
    offsets = np.zeros((QUERIES, CANDIDATES), np.float32)
    return Choices(features, offsets, taken, np.ones(QUERIES, np.float32))


def judged(
    true: np.ndarray, before: np.ndarray, fresh: int = QUERIES, users: int = QUERIES
) -> tuple[np.ndarray, np.ndarray, bool]:
    number = np.arange(QUERIES)
    return blending._judged(choices(true), before, number % users, number < fresh, lambda: None)


def test_weights_that_made_the_choices_are_found_together() -> None:
    true = np.array([1.0, -0.5, 2.0])
    found, gain, is_better = judged(true, np.array([1.0, -0.5, 0.0]))
    assert is_better
    assert gain[1].mean() > gain[0].mean() + 0.1
    assert found == pytest.approx(true, abs=0.2)


def test_what_the_network_stopped_by_proves_nothing_for_it() -> None:
    true, before = np.array([1.0, -0.5, 2.0]), np.array([1.0, -0.5, 0.0])
    assert [judged(true, before, fresh)[2] for fresh in (0, 1, 300)] == [False, False, True]


def test_what_queries_of_one_user_say_is_one_word() -> None:
    assert blending._by_user(
        np.array([1.0, 3.0, 5.0, 7.0]), np.array([4, 4, 2, 2]), np.array([True, True, True, False])
    ).tolist() == [5.0, 2.0]
    assert not judged(np.array([1.0, -0.5, 2.0]), np.array([1.0, -0.5, 0.0]), users=1)[2]


def test_a_network_that_knows_nothing_is_not_better() -> None:
    _, gain, is_better = judged(np.array([1.0, -0.5, 0.0]), np.array([1.0, -0.5, 0.0]))
    assert not is_better
    assert gain[1].mean() == pytest.approx(gain[0].mean(), abs=0.005)


def test_a_network_that_is_wrong_is_not_used_the_other_way_round() -> None:
    found, _, is_better = judged(np.array([1.0, -0.5, -2.0]), np.array([1.0, -0.5, 0.0]))
    assert found[-1] < 0
    assert not is_better


def test_the_networks_likeliest_items_are_candidates_and_columns_are_of_the_items_told() -> None:
    learnt = engine.learn(
        DATA,
        engine.Params(),
        Run(lambda done, stage: None, lambda: False, np.random.default_rng(0)),
    )
    peeled, rng = learnt.peeled, np.random.default_rng(1)
    rows = np.arange(min(len(peeled.user), 40))
    seeds = np.arange(len(peeled.user))
    z = rng.normal(size=(len(rows), len(DATA.items.ids))).astype(np.float32)
    also = np.stack([top_k(one, 9) for one in z])
    given = (peeled, rows, seeds, DATA.interactions, learnt.tables, 32)
    assert weighing.features(*given)[1].shape[1] == 249
    made, items = weighing.features(*given, also)
    popularity = weighing.COLUMNS.index("popularity")
    for q, row in enumerate(rows):
        there = np.flatnonzero(np.isfinite(made.offsets[q]))
        told = items[q, there].tolist()
        assert len(set(told)) == len(told)
        assert told[made.taken[q]] == DATA.interactions.item[peeled.end[row]]
        whole = {item for item, offset in zip(told, made.offsets[q, there], strict=True) if offset == 0.0}
        history = set(DATA.interactions.item[peeled.start[row] : peeled.end[row]].tolist())
        assert set(also[q].tolist()) <= whole | history
        share = learnt.tables.log_share[0][items[q, there]]
        assert np.array_equal(made.features[q, there, popularity], share)

"""The hold-out is of whole users, and tells the training nothing of them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from part_world import a_run

from nextpick.data import featurize
from nextpick.data.dataset import Data
from nextpick.data.split import holdout
from nextpick.recipes.evaluate import Measured, evaluate
from nextpick.recipes.interface import Query
from nextpick.testing.worlds import made_data


def with_lengths(*lengths: int) -> Data:
    """Return data whose users have so many interactions."""
    n = sum(lengths)
    data = made_data(users=len(lengths), longest=1)
    interactions = data.interactions._replace(
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        item=np.arange(n, dtype=np.int32) % 30,
        time=np.arange(n),
        event_type=np.full(n, -1, np.int16),
        event_value=np.arange(n, dtype=np.float32),
    )
    return data._replace(interactions=interactions)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(2, 80), st.integers(2, 25), st.integers(1, 50))
def test_a_tenth_of_the_users_is_held_out_whole(seed: int, users: int, longest: int, most: int) -> None:
    data = made_data(seed=seed, users=users, longest=longest)
    offsets, item = data.interactions.offsets, data.interactions.item
    lengths = np.diff(offsets)
    able = np.flatnonzero(lengths >= 2)
    held = holdout(data, np.random.default_rng(seed), most)
    assert len(held.users) == min(max(len(able) // 10, 1), most, len(able))
    assert set(held.users.tolist()) <= set(able.tolist())
    train = held.train.interactions
    for user in range(users):
        own = slice(train.offsets[user], train.offsets[user + 1])
        expected = slice(0, 0) if user in held.users else slice(offsets[user], offsets[user + 1])
        for name in ("item", "time", "event_type", "event_value"):
            kept = getattr(train, name)[own]
            assert np.array_equal(
                kept, getattr(data.interactions, name)[expected], equal_nan=name == "event_value"
            )
    for user, cut in zip(held.users, held.cuts, strict=True):
        assert 1 <= cut < lengths[user]
        assert cut == pytest.approx(0.9 * lengths[user], abs=1)
    assert len(train.item) == len(item) - int(lengths[held.users].sum())


def test_the_same_seed_holds_out_the_same_users() -> None:
    data = made_data(users=200)
    first, again, other = (
        holdout(data, np.random.default_rng(seed), 99).users.tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("length", "cut"), [(2, 1), (3, 2), (5, 4), (9, 8), (10, 9), (11, 9), (20, 18), (25, 22), (100, 90)]
)
def test_the_oldest_nine_tenths_are_the_input_and_at_least_one_is_the_truth(length: int, cut: int) -> None:
    held = holdout(with_lengths(length), np.random.default_rng(0), 9)
    assert (held.users.tolist(), held.cuts.tolist()) == ([0], [cut])


def test_a_user_with_one_interaction_is_never_held_out_and_stays() -> None:
    data = with_lengths(*[1] * 50, 3, *[0] * 50)
    held = holdout(data, np.random.default_rng(5), 99)
    assert held.users.tolist() == [50]
    assert np.diff(held.train.interactions.offsets).tolist() == [1] * 50 + [0] * 51


def test_without_a_user_to_hold_out_all_train() -> None:
    data = with_lengths(1, 0, 1)
    held = holdout(data, np.random.default_rng(0), 99)
    assert (held.users.tolist(), held.cuts.tolist()) == ([], [])
    assert held.train.interactions.item.tolist() == data.interactions.item.tolist()


def test_every_user_may_be_drawn() -> None:
    data = with_lengths(*[2] * 10)
    drawn = {int(holdout(data, np.random.default_rng(seed), 99).users[0]) for seed in range(200)}
    assert drawn == set(range(10))


def test_nothing_of_a_held_out_user_reaches_the_recipe_but_the_oldest_interactions_when_it_is_asked() -> None:
    data = made_data(seed=3, users=100)
    told: dict[str, Any] = {"queries": []}

    def fit(train: Data, params: Any, run: Any) -> dict[str, np.ndarray]:
        told["train"] = train.interactions
        return {}

    def score(state: Any, queries: list[Query]) -> np.ndarray:
        told["queries"] += queries
        return np.zeros((len(queries), 30), np.float32)

    evaluate(SimpleNamespace(fit=fit, score=score), None, data, a_run())  # pyright: ignore[reportArgumentType]
    asked = {query.user: query for query in told["queries"]}
    offsets, item = data.interactions.offsets, data.interactions.item
    assert len(asked) == len(told["queries"]) == int((np.diff(offsets) >= 2).sum()) // 10
    for user, query in asked.items():
        assert told["train"].offsets[user] == told["train"].offsets[user + 1]
        own = item[offsets[user] : offsets[user + 1]]
        cut = min(max(int(len(own) * 0.9), 1), len(own) - 1)
        assert query.items.tolist() == own[:cut].tolist()
        assert query.item == own[cut - 1]
    trained = sum(int(offsets[u + 1] - offsets[u]) for u in range(100) if u not in asked)
    assert len(told["train"].item) == trained


def test_whatever_is_left_out_of_the_training_the_same_users_are_asked_each_by_itself() -> None:
    data = made_data(seed=3, users=400)
    trained: list[int] = []

    def asked(percentiles: dict[str, float]) -> tuple[list[int], Measured]:
        users: list[int] = []

        def fit(train: Data, params: Any, run: Any) -> dict[str, np.ndarray]:
            trained.append(int((np.diff(train.interactions.offsets) > 0).sum()))
            return {}

        def score(state: Any, queries: list[Query]) -> np.ndarray:
            users.extend(query.user for query in queries)
            return -np.arange(30, dtype=np.float32)[None]

        module: Any = SimpleNamespace(fit=fit, score=score)
        return users, evaluate(
            module, None, data, a_run(), lambda known: featurize.without_outliers(known, percentiles)
        )

    (all_users, whole), (few_users, part) = asked({}), asked({"max_user_history_length_percentile": 0.5})
    assert trained[0] > trained[1] > 0
    assert all_users == few_users
    lengths = np.diff(data.interactions.offsets)
    assert lengths[all_users].max() > np.quantile(lengths[lengths > 0], 0.5)
    assert whole.metrics == part.metrics
    for name, values in whole.by_user.items():
        assert values.shape == (len(all_users),)
        assert values.mean() == pytest.approx(whole.metrics[name], abs=1e-4)
    assert whole.metrics.keys() - whole.by_user.keys() == {"coverage"}

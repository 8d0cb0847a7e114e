"""Weights are learnt on what the members have not seen, and are those under which it is likeliest."""

import numpy as np
import pytest

from nextpick.models import logit, pairs, ridge, weighing
from nextpick.models.logit import Choices
from nextpick.models.rows import read_only
from nextpick.recipes import aws_user_personalization as recipe
from nextpick.recipes.catalogue import RECIPES
from nextpick.recipes.interface import Query
from nextpick.testing import recipe_contract
from nextpick.testing.worlds import interactions_of, made_data

DATA = made_data(users=200, items=25, longest=20)
INFO = next(info for info in RECIPES if info.name == recipe.NAME)


def choices(true: np.ndarray, n: int = 4000, seed: int = 0) -> Choices:
    """Return choices that users with the weights ``true`` make among five, the last with an offset."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 6, len(true))).astype(np.float32)
    offsets = np.zeros((n, 6), np.float32)
    offsets[:, 4], offsets[:, 5] = 1.5, -np.inf
    logits = features @ true + offsets + rng.gumbel(size=(n, 6))
    return Choices(features, offsets, logits.argmax(axis=1), np.ones(n, np.float32))


def test_a_conditional_logit_finds_the_weights_behind_choices() -> None:
    true = np.array([1.0, -0.5, 0.0, 2.0])
    assert logit.fit(choices(true)) == pytest.approx(true, abs=0.12)


def test_at_the_weights_found_no_small_step_is_better() -> None:
    made = choices(np.array([0.5, -2.0]), 500)
    found = logit.fit(made)
    sd = logit._spread(made)

    def value(w: np.ndarray) -> float:
        logits = made.features.astype(float) @ w + made.offsets
        own = np.take_along_axis(logits, made.taken[:, None], 1)[:, 0]
        return float((own - np.log(np.exp(logits).sum(axis=1))).sum() - 3 * (w * sd) @ (w * sd))

    best = value(found)
    for step in 0.05 * np.vstack((np.eye(2), -np.eye(2))):
        assert value(found + step) < best


def test_a_query_that_counts_nothing_changes_nothing() -> None:
    made = choices(np.array([0.5, -2.0]), 500)
    half = made._replace(weight=(np.arange(500) < 250).astype(np.float32))
    assert logit.fit(half) == pytest.approx(logit.fit(made.only(np.arange(250))), abs=0.02)


def test_ranks_count_a_candidate_as_often_as_it_stands_for_items() -> None:
    features = np.array([[[3.0], [2.0], [1.0], [4.0]]], np.float32)
    offsets = np.log(np.array([[1.0, 1.0, 5.0, 7.0]], np.float32))
    made = Choices(features, offsets, np.array([1]), np.ones(1, np.float32))
    assert logit.ranks(made, np.array([1.0])).tolist() == pytest.approx([8.0])


def test_what_is_peeled_is_the_end_of_histories_and_queries_are_before_it() -> None:
    data = made_data(users=200, items=25, longest=60)
    peeled = weighing.peel(data.interactions, np.random.default_rng(0))
    offsets = data.interactions.offsets
    for user in range(len(offsets) - 1):
        own = peeled.kept[offsets[user] : offsets[user + 1]].tolist()
        assert own == sorted(own, reverse=True)
        assert own[:1] == [True]
    assert not peeled.kept[peeled.end].any()
    assert (peeled.start <= peeled.end).all()
    assert (offsets[peeled.user] <= peeled.start).all()
    assert (peeled.end < offsets[peeled.user + 1]).all()
    lengths = peeled.end - peeled.start
    assert {weighing.bucket(n) for n in lengths.tolist()} == {1, 2, 3}


def test_the_bucket_is_the_longest_that_a_history_reaches() -> None:
    assert [weighing.bucket(n) for n in (0, 1, 2, 3, 7, 8, 1000)] == [0, 1, 1, 2, 2, 3, 3]
    assert len(weighing.LEAST_LENGTHS) == weighing.bucket(10**6) + 1


def test_where_everyone_walks_round_a_ring_the_next_step_is_foreseen() -> None:
    rng = np.random.default_rng(0)
    item = np.concatenate([(s + np.arange(12)) % 25 for s in rng.integers(0, 25, 300)]).astype(np.int32)
    offsets = np.arange(0, 12 * 301, 12).astype(np.int64)
    data = made_data(users=300, items=25, metadata=False)._replace(
        interactions=interactions_of(offsets, item)
    )
    state = recipe_contract.fitted(INFO, data)
    for start in (3, 20):
        for length in (1, 4, 9):
            history = ((start + np.arange(length)) % 25).astype(np.int32)
            scores = recipe.score(state, [Query(-1, read_only(history))])[0]
            assert np.argmax(scores) == (start + length) % 25
            assert scores.max() > 0.5


def test_where_nothing_can_be_learnt_the_weights_are_the_defaults() -> None:
    data = made_data(users=5, items=10)
    state = recipe_contract.fitted(INFO, data)
    assert (state["weights"][1:] == state["weights"][1]).all()
    assert state["weights"][1, pairs.TABLES.index("lift")] == pytest.approx(weighing.DEFAULT["lift"])


def test_an_update_takes_newer_data_under_the_same_weights() -> None:
    state = recipe_contract.fitted(INFO, DATA)
    newer = made_data(seed=1, users=220, items=30, longest=20)
    run = recipe_contract.Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    updated = recipe.update({k: read_only(v) for k, v in state.items()}, newer, recipe.Params(), run)
    assert np.array_equal(updated["weights"], state["weights"])
    assert updated["item_count"].sum() == len(newer.interactions.item)
    scores = recipe.score(updated, [Query(0, newer.interactions.item[:3])])[0]
    assert len(scores) == 30
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_how_many_threads_there_are_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for threads in (1, 3):
        for module in (pairs, ridge, weighing, logit):
            monkeypatch.setattr(module, "n_threads", lambda threads=threads: threads)
        states.append(recipe_contract.fitted(INFO, DATA))
    for name in states[0]:
        assert states[0][name].tobytes() == states[1][name].tobytes(), name

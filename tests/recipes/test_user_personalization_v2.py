"""aws-user-personalization-v2: a network where it helps, the instant engine where it does not or cannot be."""

import importlib.util
from typing import Any

import numpy as np
import pytest

from nextpick.data.dataset import Column, Data, Entities, Terms
from nextpick.data.run import Run
from nextpick.data.vocabulary import Vocabulary
from nextpick.models import artifact
from nextpick.models.rows import read_only
from nextpick.recipes import aws_user_personalization as engine
from nextpick.recipes import aws_user_personalization_v2 as v2
from nextpick.recipes.interface import Query, State
from nextpick.testing.worlds import interactions_of

torch_is_there = all(importlib.util.find_spec(name) for name in ("torch", "onnx", "onnxruntime"))
needs_torch = pytest.mark.skipif(not torch_is_there, reason="the extra torch is not installed")

USERS, LENGTH, GENRES, EACH = 200, 18, 2, 11  # items GENRES * EACH, the last of each genre never taken


def world(steps: str, seed: int = 0) -> Data:
    """Return histories within one genre each, whose items hold it.

    steps: "cycles": each user takes three items of a genre in turn, which no count of pairs can tell; "walks": each
    item is followed by the next one, which pairs tell whole.
    """
    rng = np.random.default_rng(seed)
    item = np.empty((USERS, LENGTH), np.int32)
    for user in range(USERS):
        if steps == "cycles":
            chosen = rng.choice(EACH - 1, 3, replace=False)
            item[user] = np.resize(user % GENRES * EACH + chosen, LENGTH)
        else:
            item[user] = (rng.integers(0, GENRES * EACH) + np.arange(LENGTH)) % (GENRES * EACH)
    time = 1_600_000_000 + np.sort(rng.integers(0, 10**7, (USERS, LENGTH)))
    n_items = GENRES * EACH
    codes = np.repeat(np.arange(GENRES), EACH).astype(np.int32)
    names = tuple(f"genre{g}" for g in range(GENRES))
    genre = Column("GENRE", np.arange(n_items + 1), codes, names, None)
    offsets = np.arange(USERS + 1) * LENGTH
    return Data(
        interactions_of(offsets, item.ravel(), time.ravel()),
        Entities(
            Vocabulary.build([f"i{k:02}" for k in range(n_items)]), (genre,), np.zeros(n_items, np.int64)
        ),
        Entities(Vocabulary.build([f"u{k}" for k in range(USERS)]), (), np.zeros(USERS, np.int64)),
        int(time.max()),
    )


def told_by_texts(data: Data) -> Data:
    """Return data whose items have their genre in a text, beside a word that says nothing, instead of a column."""
    (genre,) = data.items.columns
    assert genre.codes is not None
    n_items = len(genre.codes)
    words = np.stack((genre.codes, GENRES + np.arange(n_items) % 7), axis=1).astype(np.int32)
    terms = Terms(np.arange(n_items + 1) * 2, words.ravel(), np.ones(2 * n_items, np.float32), GENRES + 7)
    return data._replace(items=data.items._replace(columns=()), terms=terms)


def fitted(data: Data, recipe: Any = v2) -> tuple[State, dict[str, Any]]:
    """Return a state as it is mapped, and what the training told of the network."""
    told: dict[str, Any] = {}
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0), note=told.__setitem__)
    state = recipe.fit(data, recipe.Params(), run)
    return {name: read_only(array) for name, array in state.items()}, told.get("network", {})


@pytest.fixture(scope="module")
def cycles() -> tuple[State, dict[str, Any]]:
    return fitted(world("cycles"))


def likelihood(recipe: Any, state: State, data: Data) -> float:
    """Return the mean log probability of each user's newest item."""
    histories = data.interactions.item.reshape(USERS, LENGTH)
    scores = recipe.score(state, [Query(-1, read_only(row[:-1])) for row in histories])
    return float(np.log(scores[np.arange(USERS), histories[:, -1]]).mean())


@needs_torch
def test_a_network_is_used_where_it_sees_what_pairs_do_not_tell(cycles: tuple[State, dict[str, Any]]) -> None:
    state, told = cycles
    assert told["used"]
    assert told["ndcg_at_10"]["blend"] > told["ndcg_at_10"]["engine"]
    fresh = world("cycles", seed=1)
    assert likelihood(v2, state, fresh) > likelihood(engine, state, fresh) + 0.5


@needs_torch
def test_scores_are_probabilities_and_those_of_some_items_are_those_of_all(
    cycles: tuple[State, dict],
) -> None:
    state, _ = cycles
    asked = [Query(-1, read_only(np.array(items, np.int32))) for items in ([], [3], [3, 5, 8] * 30)]
    asked.append(asked[-1]._replace(times=np.arange(90), types=np.full(90, -1, np.int16), now=100))
    scores = v2.score(state, asked)
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(v2.score(state, asked, np.array([7, 0, 7])), scores[:, [7, 0, 7]])
    assert np.array_equal(scores[0], engine.score(state, asked[:1])[0])


@needs_torch
@pytest.mark.parametrize("known_by", ["categories", "texts"])
def test_an_item_nobody_has_taken_is_known_by_what_is_told_of_it(
    cycles: tuple[State, dict[str, Any]], known_by: str
) -> None:
    state, _ = cycles if known_by == "categories" else fitted(told_by_texts(world("cycles")))
    never_taken = np.arange(GENRES) * EACH + EACH - 1
    for genre in range(GENRES):
        history = read_only(np.array([0, 1, 2, 0, 1], np.int32) + genre * EACH)
        assert np.argmax(v2.score(state, [Query(-1, history)], never_taken)) == genre


@needs_torch
def test_reasons_make_up_the_score(cycles: tuple[State, dict[str, Any]]) -> None:
    state, _ = cycles
    query = Query(3, read_only(np.array([3, 5, 8, 3, 5], np.int32)))
    scores = v2.score(state, [query])[0]
    found = [v2.reasons(state, query, item) for item in (8, 1)]
    for one in found:
        assert "network" in one.sources
        assert sum(one.sources.values()) == pytest.approx(one.logit, abs=1e-4)
    assert found[0].logit - found[1].logit == pytest.approx(np.log(scores[8] / scores[1]), abs=1e-2)


@needs_torch
def test_a_state_with_a_network_survives_the_disk(
    cycles: tuple[State, dict[str, Any]], tmp_path: Any
) -> None:
    state, _ = cycles
    artifact.save(tmp_path / "model", state, {})
    loaded, _ = artifact.load(tmp_path / "model")
    asked = [Query(-1, read_only(np.array([3, 5, 8], np.int32)))]
    assert np.array_equal(v2.score(loaded, asked), v2.score(state, asked))


@needs_torch
def test_a_network_that_does_not_help_is_left_out() -> None:
    data = world("walks")
    state, told = fitted(data)
    alone, _ = fitted(data, engine)
    assert not told["used"]
    assert {name: array.tobytes() for name, array in state.items()} == {
        name: array.tobytes() for name, array in alone.items()
    }


@pytest.mark.parametrize("missing", ["torch", "onnxruntime"])
def test_without_the_extra_it_is_the_instant_engine_and_says_so(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    data = world("cycles")
    state, told = fitted(data)
    assert not told["used"]
    assert missing in told["why"]
    assert "nextpick[torch]" in told["why"]
    alone, _ = fitted(data, engine)
    assert all(np.array_equal(state[name], alone[name]) for name in (*state, *alone))


def test_with_few_users_nothing_is_trained_that_could_not_be_judged() -> None:
    data = world("cycles")
    few = data.interactions.offsets[:61]
    interactions = interactions_of(few, data.interactions.item[: few[-1]], data.interactions.time[: few[-1]])
    _, told = fitted(data._replace(interactions=interactions))
    assert not told["used"]
    assert "54 users" in told["why"]

"""aws-user-personalization-v2: a network where it helps, the instant engine where it does not or cannot be."""

import builtins
import importlib.util
import sys
from typing import Any

import numpy as np
import pytest

from nextpick.data.dataset import Column, Context, Data, Entities, Terms
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

USERS, LENGTH, GENRES, EACH = 200, 12, 3, 6  # items GENRES * EACH, the last of each genre never taken


def world(told_by: str, seed: int = 0) -> Data:
    """Return histories that what is beside an event tells the rest of.

    told_by: "types": an event's type is the genre of the next item, which the engine does not read; "items": each item
    is followed by the next one of its genre, which it knows.
    """
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, GENRES, (USERS, LENGTH)).astype(np.int16)
    if told_by == "types":
        item = np.roll(kind, 1, axis=1) * EACH + rng.integers(0, EACH - 1, (USERS, LENGTH))
    else:
        item = kind[:, :1] * EACH + (rng.integers(0, EACH - 1, (USERS, 1)) + np.arange(LENGTH)) % (EACH - 1)
    time = 1_600_000_000 + np.sort(rng.integers(0, 10**7, (USERS, LENGTH)))
    n_items = GENRES * EACH
    codes = np.repeat(np.arange(GENRES), EACH).astype(np.int32)
    names = tuple(f"genre{g}" for g in range(GENRES))
    genre = Column("GENRE", np.arange(n_items + 1), codes, names, None)
    made = interactions_of(np.arange(USERS + 1) * LENGTH, item.ravel().astype(np.int32), time.ravel())
    return Data(
        made._replace(event_type=kind.ravel(), event_types=names),
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
def typed() -> tuple[State, dict[str, Any]]:
    return fitted(world("types"))


def under(data: Data, typed: float) -> Data:
    """Return data whose events have a contextual column that is their item's genre two times in three, else anything;
    the event before tells it by its type in ``typed`` of all."""
    rng, interactions = np.random.default_rng(9), data.interactions
    n = len(interactions.item)
    told = np.where(rng.random(n) < 0.67, interactions.item // EACH, rng.integers(0, GENRES, n))
    kind = np.where(rng.random(n) < typed, interactions.event_type, rng.integers(0, GENRES, n))
    mood = Context("MOOD", told.astype(np.int32), tuple(f"mood{g}" for g in range(GENRES)), ())
    return data._replace(
        interactions=interactions._replace(contexts=(mood,), event_type=kind.astype(np.int16))
    )


def asked(items: list[int], types: list[int], user: int = -1) -> Query:
    return Query(user, read_only(np.array(items, np.int32)), types=read_only(np.array(types, np.int16)))


def likelihood(recipe: Any, state: State, data: Data) -> float:
    """Return the mean log probability of each user's newest item."""
    histories, kinds = (
        column.reshape(USERS, LENGTH) for column in (data.interactions.item, data.interactions.event_type)
    )
    queries = [
        asked(items[:-1].tolist(), types[:-1].tolist()) for items, types in zip(histories, kinds, strict=True)
    ]
    return float(np.log(recipe.score(state, queries)[np.arange(USERS), histories[:, -1]]).mean())


@needs_torch
def test_a_network_is_used_where_it_reads_what_the_engine_does_not(
    typed: tuple[State, dict[str, Any]],
) -> None:
    state, told = typed
    assert told["used"]
    assert told["ndcg_at_10"]["blend"] > told["ndcg_at_10"]["engine"]
    data = world("types")
    alone, _ = fitted(data, engine)
    fresh = world("types", seed=1)
    assert likelihood(v2, state, fresh) > likelihood(engine, alone, fresh) + 0.5


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ((0, 0.3, 0, 0), "1 to 2"),
        ((0, 0, 0.3, 0.2), "3 or more"),
        ((0, 0.3, 0, 0.2), "1 to 2 and 8 or more"),
        ((0, 0.1, 0.3, 0.2), "1 or more"),
    ],
)
def test_a_description_names_the_histories_that_a_network_is_for(
    weights: tuple[float, ...], words: str
) -> None:
    assert v2._lengths(np.array(weights, np.float32)) == words


@needs_torch
def test_scores_are_probabilities_and_those_of_some_items_are_those_of_all(
    typed: tuple[State, dict[str, Any]],
) -> None:
    state, _ = typed
    queries = [Query(-1, read_only(np.array(items, np.int32))) for items in ([], [3], [3, 5, 8] * 30)]
    queries.append(queries[-1]._replace(times=np.arange(90), types=np.full(90, -1, np.int16), now=100))
    scores = v2.score(state, queries)
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(v2.score(state, queries, np.array([7, 0, 7])), scores[:, [7, 0, 7]])
    assert np.array_equal(scores[0], engine.score(state, queries[:1])[0])


@needs_torch
@pytest.mark.parametrize("known_by", ["categories", "texts"])
def test_an_item_nobody_has_taken_is_known_by_what_is_told_of_it(
    typed: tuple[State, dict[str, Any]], known_by: str
) -> None:
    state, _ = typed if known_by == "categories" else fitted(told_by_texts(world("types")))
    never_taken = np.arange(GENRES) * EACH + EACH - 1
    for genre in range(GENRES):
        query = asked([0, 1, EACH, 2 * EACH], [0, 1, 2, genre])
        assert np.argmax(v2.score(state, [query], never_taken)) == genre


@needs_torch
def test_reasons_make_up_the_score_and_the_newest_events_type_is_the_networks_part(
    typed: tuple[State, dict[str, Any]],
) -> None:
    state, _ = typed
    query = asked([3, 5, 8, 3, 5], [1, 2, 0, 0, 1], user=3)
    scores = v2.score(state, [query])[0]
    own, other = (v2.reasons(state, query, item) for item in (EACH, 0))
    for one in (own, other):
        assert sum(one.sources.values()) == pytest.approx(one.logit, abs=1e-4)
    assert own.logit - other.logit == pytest.approx(np.log(scores[EACH] / scores[0]), abs=1e-3)
    assert own.sources["network"] > other.sources["network"] + 1


@needs_torch
def test_a_state_with_a_network_survives_the_disk(typed: tuple[State, dict[str, Any]], tmp_path: Any) -> None:
    state, _ = typed
    artifact.save(tmp_path / "model", state, {})
    loaded, _ = artifact.load(tmp_path / "model")
    queries = [asked([3, 5, 8], [0, 1, 2])]
    assert np.array_equal(v2.score(loaded, queries), v2.score(state, queries))


@needs_torch
def test_a_network_that_does_not_help_is_left_out() -> None:
    data = world("items")
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
    data = world("types")
    state, told = fitted(data)
    assert not told["used"]
    assert missing in told["why"]
    assert "nextpick[torch]" in told["why"]
    alone, _ = fitted(data, engine)
    assert all(np.array_equal(state[name], alone[name]) for name in (*state, *alone))


@needs_torch
def test_a_torch_that_cannot_be_loaded_leaves_the_instant_engine_and_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "nextpick.models.network", raising=False)
    monkeypatch.delattr("nextpick.models.network", raising=False)

    def broken(name: str, *given: Any) -> Any:
        if name == "nextpick.models" and "network" in (given[2] or ()):
            raise OSError("libtorch.so: wrong ELF class")
        return real(name, *given)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", broken)
    data = world("types")
    state, told = fitted(data)
    assert told == {"used": False, "why": "PyTorch cannot be loaded here: libtorch.so: wrong ELF class"}
    alone, _ = fitted(data, engine)
    assert all(np.array_equal(state[name], alone[name]) for name in (*state, *alone))


@needs_torch
@pytest.mark.parametrize(("typed", "low", "high"), [(0.6, 4, 12), (1.0, 1, 3)])
def test_circumstances_count_once_and_less_where_the_history_has_told_them(
    typed: float, low: float, high: float
) -> None:
    state, told = fitted(under(world("types"), typed))
    assert told["used"]
    assert state["net_contexts"].shape == (1 + GENRES, state["net_items"].shape[1])
    query = asked([1, 2, 7, 8, 13, 0], [1, 1, 2, 2, 0, 0])
    for mood in range(GENRES):
        here = query._replace(context=(mood,))
        p, before = (v2.score(state, [one])[0] for one in (here, query))
        assert p.sum() == pytest.approx(1, abs=1e-5)
        of_genre = np.arange(len(p)) // EACH == mood
        odds = (p[of_genre].sum() / p[~of_genre].sum()) / (before[of_genre].sum() / before[~of_genre].sum())
        assert low < odds < high  # .78 to .11 is 7.1 where they alone tell; counted twice it would be 50
        parts = [v2.reasons(state, here, item) for item in (mood * EACH, (mood + 1) % GENRES * EACH)]
        logits = [part.logit for part in parts]
        assert logits[0] - logits[1] == pytest.approx(
            float(np.log(p[mood * EACH] / p[(mood + 1) % GENRES * EACH])), abs=1e-3
        )
        assert all(sum(part.sources.values()) == pytest.approx(part.logit, abs=1e-5) for part in parts)
        assert parts[0].sources["circumstances"] > parts[1].sources["circumstances"]


@needs_torch
def test_what_circumstances_count_beside_the_network_is_learnt_from_what_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, choose = under(world("types"), 1.0), v2.blending.choose
    kept = np.ones(USERS * LENGTH, bool).reshape(USERS, LENGTH)
    kept[: USERS * 7 // 10, :-4] = (
        False  # of many users little is left, of which the network shall know nothing
    )

    def refused(*given: Any) -> Any:
        chosen = choose(*given)
        of_network = chosen.of_network.copy()
        of_network[1:3] = 0.0
        return chosen._replace(of_network=of_network)

    monkeypatch.setattr(v2.blending, "choose", refused)
    state, _ = fitted(data._replace(interactions=data.interactions.only(kept.ravel())))
    assert state["context_exponents"][0] >= 1.0
    assert state["net_exponents"][0] <= 0.75


@needs_torch
def test_two_fits_of_a_network_give_the_same_bytes(typed: tuple[State, dict[str, Any]]) -> None:
    again, _ = fitted(world("types"))
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in typed[0].items()
    }


@needs_torch
def test_with_few_users_nothing_is_trained_that_could_not_be_judged() -> None:
    data = world("types")
    few = data.interactions.offsets[:61]
    interactions = interactions_of(few, data.interactions.item[: few[-1]], data.interactions.time[: few[-1]])
    _, told = fitted(data._replace(interactions=interactions))
    assert not told["used"]
    assert "60 events" in told["why"]

"""The blend equals an obvious slow one, stays a distribution whatever is missing, and its reasons add up."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.models import blend
from nextpick.models.blend import COLUMNS, Tables, Weights
from nextpick.models.rows import read_only
from nextpick.recipes import aws_user_personalization as recipe
from nextpick.recipes.catalogue import RECIPES
from nextpick.recipes.interface import Query
from nextpick.testing import recipe_contract
from nextpick.testing.worlds import made_data

DATA = made_data(users=150, items=40, longest=20)
N_ITEMS = len(DATA.items.ids)
LIMIT = 6
INFO = next(info for info in RECIPES if info.name == recipe.NAME)
STATE = recipe_contract.fitted(INFO, DATA)
TABLES = recipe._tables_of(STATE)
WEIGHTS = np.random.default_rng(1).normal(0, 0.3, len(COLUMNS)).astype(np.float32)


def slow_columns(history: list[int], user: int) -> np.ndarray:
    """Return the columns [D, n_items], as the docstring says, for every item; NaN where nothing touches it."""
    t = TABLES
    newest = history[::-1][:LIMIT]
    sums, reached = np.zeros((8, N_ITEMS)), set(newest)
    read = 1.0
    for k, a in enumerate(newest):
        first, last = t.offsets[a], t.offsets[a + 1]
        for p in range(first, min(last, first + max(16, int((last - first) * read)))):
            code = t.codes[p].astype(float)
            sums[:, t.items[p]] += t.decays.astype(float) ** k * t.scale[a] * code * abs(code)
            reached.add(int(t.items[p]))
        read *= 0.85
    out = np.zeros((len(COLUMNS), N_ITEMS))
    out[:7] = sums[:7] / np.sqrt((sums[:7] ** 2).mean(axis=1, keepdims=True) + 1e-20)
    for d, (table, eps) in enumerate(((0, 1e-4), (1, 1e-5), (2, 1e-4), (4, 1e-3))):
        out[7 + d] = np.log1p(sums[table] / eps)
    out[11] = np.log1p(np.maximum(sums[5] + sums[6], 0) / 3e-4)
    out[12:14] = t.log_share
    held = [t.held_codes[t.held[b] : t.held[b + 1]].tolist() for b in range(N_ITEMS)]
    for a in newest[:5]:
        for c in held[a]:
            reached.update(t.cold_items[t.cold[c] : t.cold[c + 1]].tolist())
    for b in range(N_ITEMS):
        for c in held[b] if newest else []:
            q = float(t.code_share[c])
            x = sum(0.9**k for k, a in enumerate(newest) if c in held[a])
            out[14, b] += np.log1p(x / (2 * q)) / len(held[b])
    own = t.user_codes[t.user_held[user] : t.user_held[user + 1]].tolist() if user >= 0 else []
    for c in own:
        for p in range(t.lists[c], t.lists[c + 1]):
            out[15, t.list_items[p]] += t.list_weights[p] / len(own)
            reached.add(int(t.list_items[p]))
    for k, a in enumerate(newest):
        out[16, a] = 1.0
        out[17, a] += 0.8**k
    untouched = [b for b in range(N_ITEMS) if b not in reached]
    out[:, untouched] = 0.0
    out[12:14] = t.log_share
    return out


def fast(history: list[int], user: int, weights: np.ndarray, tables: Tables = TABLES) -> np.ndarray:
    logits = weights[12:14] @ tables.log_share
    rest = np.exp(logits - logits.max())
    out = np.full(N_ITEMS, np.nan, np.float32)
    items = read_only(np.array(history, np.int32))
    sums = np.array([[rest.sum(), logits.max()]], np.float64)
    chosen = Weights(weights[None], rest[None], sums, np.array([LIMIT]))
    blend.predict(items, user, 0, Weights(*map(read_only, chosen)), tables, out)
    return out


HISTORIES = st.lists(st.integers(0, N_ITEMS - 1), max_size=10)
USERS = st.integers(-1, len(DATA.users.ids) - 1)


@settings(max_examples=100, deadline=None)
@given(HISTORIES, USERS)
def test_the_blend_equals_the_slow_one_and_sums_to_one(history: list[int], user: int) -> None:
    logits = WEIGHTS.astype(float) @ slow_columns(history, user)
    expected = np.exp(logits - logits.max())
    found = fast(history, user, WEIGHTS)
    assert found == pytest.approx(expected / expected.sum(), rel=2e-3, abs=1e-9)
    assert found.sum() == pytest.approx(1, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(HISTORIES, USERS, st.integers(0, N_ITEMS - 1), st.integers(0, N_ITEMS - 1))
def test_reasons_add_up_to_the_logit_whose_softmax_the_score_is(
    history: list[int], user: int, one: int, other: int
) -> None:
    query = Query(user, read_only(np.array(history, np.int32)))
    scores = recipe.score(STATE, [query])[0]
    first, second = (recipe.reasons(STATE, query, item) for item in (one, other))
    for found in (first, second):
        assert found.logit == pytest.approx(sum(found.sources.values()), abs=1e-5)
        assert found.events.shape == (len(history),)
    assert first.logit - second.logit == pytest.approx(np.log(scores[one] / scores[other]), abs=2e-3)


def test_reasons_name_the_event_and_the_member_that_made_a_score() -> None:
    a = int(np.argmax(TABLES.offsets[1:] - TABLES.offsets[:-1]))
    b = int(TABLES.items[TABLES.offsets[a]])
    state = dict(STATE)
    state["weights"] = np.zeros_like(STATE["weights"])
    state["weights"][:, COLUMNS.index("about")] = 1.0
    lonely = int(np.argmin(STATE["item_count"]))
    found = recipe.reasons(state, Query(-1, read_only(np.array([lonely, a], np.int32))), b)
    assert np.argmax(found.events) == 1
    assert found.sources["about"] == pytest.approx(found.logit) == pytest.approx(found.events.sum())


def test_of_items_that_nobody_took_the_one_with_liked_attributes_is_likelier() -> None:
    held = [set(TABLES.held_codes[a:b].tolist()) for a, b in pairwise(TABLES.held)]
    one = 17
    other = next(i for i in range(N_ITEMS) if held[i] and not held[i] & held[one])
    data = DATA._replace(interactions=DATA.interactions.only(~np.isin(DATA.interactions.item, (one, other))))
    state = recipe_contract.fitted(INFO, data)
    assert state["item_count"][[one, other]].tolist() == [0, 0]
    weights = np.array(state["weights"])
    weights[:, COLUMNS.index("attributes")] = 1.0
    for liked, not_liked in ((one, other), (other, one)):
        alike = [i for i in range(N_ITEMS) if held[i] & held[liked] and not held[i] & held[not_liked]][:3]
        history = read_only(np.array(alike, np.int32))
        scores = recipe.score(state | {"weights": weights}, [Query(-1, history)])[0]
        assert scores[liked] > 1.5 * scores[not_liked] > 0


def test_users_nobody_knows_get_what_is_popular_of_late() -> None:
    nobody = recipe.score(STATE, [Query(-1, read_only(np.zeros(0, np.int32)))])[0]
    assert nobody == pytest.approx(np.exp(TABLES.log_share[1]), rel=1e-4)


def test_users_without_a_history_get_more_of_what_their_like_take() -> None:
    nobody = recipe.score(STATE, [Query(-1, read_only(np.zeros(0, np.int32)))])[0]
    user = int(np.flatnonzero(np.diff(TABLES.user_held) == 1)[0])
    c = TABLES.user_codes[TABLES.user_held[user]]
    known = recipe.score(STATE, [Query(user, read_only(np.zeros(0, np.int32)))])[0]
    liked = TABLES.list_items[TABLES.lists[c] : TABLES.lists[c + 1]]
    lifts = np.zeros(N_ITEMS)
    lifts[liked] = TABLES.list_weights[TABLES.lists[c] : TABLES.lists[c + 1]]
    expected = nobody * np.exp(lifts)
    assert known == pytest.approx(expected / expected.sum(), rel=1e-4)

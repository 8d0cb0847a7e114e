"""The mixture equals an obvious slow one, and stays a distribution whatever is missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.data.dataset import Column, Entities
from nextpick.data.vocabulary import Vocabulary
from nextpick.models import attributes, mixing, popularity, transitions
from nextpick.models.mixture import BUCKETS, bucket, predict
from nextpick.testing.worlds import interactions_of, made_data

DATA = made_data(users=120, items=25, longest=20)
N_ITEMS = len(DATA.items.ids)
DECAY, LIMIT = 0.7, 6


def tables() -> list[np.ndarray]:
    """Return the components' arrays as predict takes them."""
    rows = transitions.count(
        DATA.interactions, N_ITEMS,
        window=5, decay=0.85, shrinkage=2.0, row_limit=20,
    )  # fmt: skip
    recent = popularity.recent(DATA.interactions, N_ITEMS, DATA.latest)
    items, users = attributes.attributes(DATA.items), attributes.attributes(DATA.users)
    likes = attributes.items_of(items, recent * 100, 10)
    kin = attributes.items_taken_by(users, DATA.interactions, recent, 10)
    return [*rows, recent, items.offsets, items.codes, *likes, users.offsets, users.codes, *kin]


TABLES = tables()


def slow(history: list[int], user: int, mix: tuple[float, float, float]) -> np.ndarray:
    """Return the mixture, component by component, with loops and dictionaries."""
    (offsets, row_items, weights, recent, held, codes, lists, list_items, list_weights,
     user_held, user_codes, user_lists, user_items, user_weights) = TABLES  # fmt: skip
    newest = history[::-1][:LIMIT]
    share = DECAY ** np.arange(len(newest))
    share = share / share.sum() if len(newest) else share
    order, taste, kin = (np.zeros(N_ITEMS) for _ in range(3))
    for n, (item, x) in enumerate(zip(newest, share, strict=True)):
        first, last = offsets[item], offsets[item + 1]
        read = max(16, int((last - first) * DECAY ** (n / 2)))
        for p in range(first, min(last, first + read)):
            order[row_items[p]] += x * weights[p]
        own = codes[held[item] : held[item + 1]]
        for code in own:
            for p in range(lists[code], lists[code + 1]):
                taste[list_items[p]] += x / len(own) * list_weights[p]
    own = user_codes[user_held[user] : user_held[user + 1]] if user >= 0 else []
    for code in own:
        for p in range(user_lists[code], user_lists[code + 1]):
            kin[user_items[p]] += user_weights[p] / len(own)
    a, b, c = mix
    b = b if history else 0.0
    c = c if user >= 0 else 0.0
    p = b * taste + c * kin
    if history:
        p = p + (1 - a - b - c) * order
    return p + (1 - p.sum()) * recent


def fast(history: list[int], user: int, mix: tuple[float, float, float]) -> np.ndarray:
    out = np.full(N_ITEMS, np.nan, np.float32)
    arguments = [np.array(history, np.int32), user, np.array(mix, np.float32), DECAY, LIMIT, *TABLES, out]
    predict(*arguments)
    return out


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, N_ITEMS - 1), max_size=10),
    st.integers(-1, len(DATA.users.ids) - 1),
    st.sampled_from([(0.0, 0.0, 0.0), (0.1, 0.2, 0.3), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]),
)
def test_the_mixture_equals_the_slow_one_and_sums_to_one(
    history: list[int], user: int, mix: tuple[float, float, float]
) -> None:
    found = fast(history, user, mix)
    assert found == pytest.approx(slow(history, user, mix), abs=1e-5)
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert (found >= -1e-7).all()


def test_the_bucket_is_the_longest_that_a_history_reaches() -> None:
    assert [bucket(n) for n in (0, 1, 2, 3, 7, 8, 24, 25, 1000)] == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(BUCKETS) == bucket(10**6) + 1


def test_the_held_out_tenth_is_the_same_for_the_same_seed_and_of_users_with_two() -> None:
    offsets = DATA.interactions.offsets
    users = [mixing.held_out_users(offsets, np.random.default_rng(s)).tolist() for s in (1, 1, 2)]
    assert users[0] == users[1] != users[2]
    assert len(users[0]) == int(np.count_nonzero(np.diff(offsets) >= 2)) // 10
    assert all(offsets[u + 1] - offsets[u] >= 2 for u in users[0])


def test_without_takes_just_those_users_away() -> None:
    offsets, item = DATA.interactions.offsets, DATA.interactions.item
    gone = np.array([3, 17])
    kept = mixing.without(DATA.interactions, gone)
    for user in range(len(offsets) - 1):
        own = kept.item[kept.offsets[user] : kept.offsets[user + 1]].tolist()
        assert own == ([] if user in gone else item[offsets[user] : offsets[user + 1]].tolist())


def test_the_mixture_prefers_the_component_that_knows() -> None:
    """Where everyone walks round a ring, transitions know all; popularity knows nothing."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, N_ITEMS, 200)
    item = np.concatenate([(s + np.arange(12)) % N_ITEMS for s in starts]).astype(np.int32)
    offsets = np.arange(0, 12 * 201, 12).astype(np.int64)
    walks = interactions_of(offsets, item)
    rows = transitions.count(walks, N_ITEMS, window=1, decay=1.0, shrinkage=0.0, row_limit=10)
    none = [np.zeros(N_ITEMS + 1, np.int64), np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int32),
            np.zeros(0, np.float32)]  # fmt: skip
    nobody = [np.zeros(201, np.int64), *none[1:]]
    even = np.full(N_ITEMS, 1 / N_ITEMS, np.float32)
    tables = (*rows, even, *none, *nobody)
    chosen = mixing.choose(np.arange(100), walks, tables, DECAY, LIMIT, N_ITEMS)
    assert chosen[2].tolist() == [0.0, 0.0, 0.0]
    assert chosen[4].tolist() == pytest.approx(mixing.DEFAULT)  # no history is that long


def test_attributes_are_values_and_eighths() -> None:
    numbers = np.array([*range(16), np.nan], np.float32)
    genre = Column(
        "GENRE", np.array([0, 2] + [2] * 15 + [3], np.int64), np.array([1, 0, 1], np.int32), ("a", "b"), None
    )
    held = attributes.attributes(
        Entities(
            Vocabulary.build([str(i) for i in range(17)]),
            (genre, Column("YEAR", None, None, (), numbers)),
            np.zeros(17, np.int64),
        )
    )
    rows = [held.codes[a:b].tolist() for a, b in zip(held.offsets, held.offsets[1:], strict=False)]
    assert held.n == 2 + 8
    assert rows[0] == [0, 1, 2]
    assert rows[16] == [1]
    assert [row[-1] for row in rows[:16]] == sorted(row[-1] for row in rows[:16])
    assert {row[-1] for row in rows[:16]} == set(range(2, 10))


def test_lists_of_an_attribute_hold_its_heaviest_items() -> None:
    held = attributes.Attributes(np.array([0, 1, 2, 3, 3], np.int64), np.array([0, 0, 0], np.int32), 1)
    lists = attributes.items_of(held, np.array([3.0, 0.0, 0.0, 9.0]), 2)
    assert lists.items.tolist() == [0, 2]  # of equals the newest row
    assert lists.weights.tolist() == pytest.approx([4 / 6, 1 / 6])


def test_items_taken_by_an_attributes_holders_are_shrunk() -> None:
    held = attributes.Attributes(np.array([0, 1, 2, 2], np.int64), np.array([0, 1], np.int32), 2)
    offsets, item = np.array([0, 3, 4, 6], np.int64), np.array([2, 2, 0, 1, 1, 1], np.int32)
    lists = attributes.items_taken_by(held, interactions_of(offsets, item), np.full(3, 1 / 3), 5)
    assert lists.offsets.tolist() == [0, 2, 3]
    assert lists.items.tolist() == [2, 0, 1]
    assert lists.weights.tolist() == pytest.approx([2 / 103, 1 / 103, 1 / 101])

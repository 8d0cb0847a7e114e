"""The counting algorithms equal obvious slow versions."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.data.dataset import Interactions
from nextpick.models import cosine, popularity, transitions
from nextpick.models.rows import Rows
from nextpick.testing.worlds import interactions_of

HISTORIES = st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=12)
N_ITEMS = 11  # one that nobody took


def columns(histories: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return histories as offsets and items."""
    offsets = np.concatenate(([0], np.cumsum([len(h) for h in histories]))).astype(np.int64)
    return offsets, np.array([i for h in histories for i in h], np.int32)


def taken(item: np.ndarray, time: np.ndarray) -> Interactions:
    """Return one user's interactions."""
    return interactions_of(np.array([0, len(item)], np.int64), item, time)


def as_dicts(rows: Rows) -> list[dict[int, float]]:
    """Return sparse rows, having seen that each is sorted as it must be."""
    found = []
    for start, end in zip(rows.offsets[:-1], rows.offsets[1:], strict=True):
        items, weights = rows.items[start:end].tolist(), rows.weights[start:end].tolist()
        assert [-w for w in weights] == sorted(-w for w in weights)
        assert all(
            a < b for a, b, v, w in zip(items, items[1:], weights, weights[1:], strict=False) if v == w
        )
        found.append(dict(zip(items, weights, strict=True)))
    return found


def best(row: dict[int, float], limit: int) -> dict[int, float]:
    """Return a row's heaviest entries, the lower item first among equals."""
    return dict(sorted(row.items(), key=lambda pair: (-np.float32(pair[1]), pair[0]))[:limit])


@settings(max_examples=150, deadline=None)
@given(HISTORIES, st.integers(1, 5), st.sampled_from([0.5, 1.0]), st.sampled_from([0.0, 2.0]))
def test_transitions_are_the_decayed_pairs_of_each_history(
    histories: list[list[int]], window: int, decay: float, shrinkage: float
) -> None:
    counted: list[dict[int, float]] = [defaultdict(float) for _ in range(N_ITEMS)]
    for history in histories:
        for i, source in enumerate(history):
            for gap, target in enumerate(history[i + 1 : i + 1 + window]):
                if target != source:
                    counted[source][target] += decay**gap
    expected = [{t: w / (sum(row.values()) + shrinkage) for t, w in row.items()} for row in counted]
    offsets, item = columns(histories)
    rows = transitions.count(
        interactions_of(offsets, item),
        N_ITEMS,
        window=window,
        decay=decay,
        shrinkage=shrinkage,
        row_limit=100,
    )
    for found, wanted in zip(as_dicts(rows), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(HISTORIES, st.integers(1, 4))
def test_a_row_keeps_its_heaviest_targets(histories: list[list[int]], limit: int) -> None:
    interactions = interactions_of(*columns(histories))
    options = {"window": 3, "decay": 0.5, "shrinkage": 0.0}
    whole = as_dicts(transitions.count(interactions, N_ITEMS, row_limit=100, **options))
    cut = as_dicts(transitions.count(interactions, N_ITEMS, row_limit=limit, **options))
    assert cut == [best(row, limit) for row in whole]


@settings(max_examples=150, deadline=None)
@given(
    HISTORIES,
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 3),
    st.integers(1, 5),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([0.0, 2.0]),
)
def test_likeness_is_the_discounted_cosine_over_users_that_took_both_near_each_other(
    histories: list[list[int]], discount: float, least: int, longest: int, decay: float, doubt: float
) -> None:
    newest = [list(dict.fromkeys(reversed(history)))[:longest] for history in histories]
    users = [sum(i in taken for taken in newest) for i in range(N_ITEMS)]
    expected: list[dict[int, float]] = []
    for a in range(N_ITEMS):
        expected.append({})
        for b in set(range(N_ITEMS)) - {a}:
            gaps = [abs(taken.index(a) - taken.index(b)) for taken in newest if a in taken and b in taken]
            if len(gaps) >= max(least, 1):
                near = sum(max(decay ** (gap - 1), 0.02) for gap in gaps) * len(gaps) / (len(gaps) + doubt)
                expected[a][b] = near / (users[a] * users[b]) ** (discount / 2)
    offsets, item = columns(histories)
    rows = cosine.likeness(
        offsets, item, N_ITEMS,
        discount=discount, step_decay=decay, least_together=least, longest_history=longest, row_limit=100,
        doubt=doubt,
    )  # fmt: skip
    for found, wanted in zip(as_dicts(rows), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-5)


@settings(max_examples=100, deadline=None)
@given(HISTORIES)
def test_users_are_counted_once_and_interactions_each_time(histories: list[list[int]]) -> None:
    offsets, item = columns(histories)
    users = [sum(i in history for history in histories) for i in range(N_ITEMS)]
    assert popularity.distinct_users(offsets, item, N_ITEMS).tolist() == users
    times = [sum(history.count(i) for history in histories) for i in range(N_ITEMS)]
    assert popularity.counts(item, N_ITEMS).tolist() == times


def test_recent_popularity_halves_in_thirty_days_and_is_a_distribution() -> None:
    day = 86_400
    item, age = np.array([0, 0, 1, 1, 2], np.int32), np.array([0, 30, 0, 60, 30]) * day
    found = popularity.recent(taken(item, 1_700_000_000 - age), 4, 1_700_000_000)
    weights = np.array([1.5 + 1, 1.25 + 1, 0.5 + 1, 1])
    assert found == pytest.approx(weights / weights.sum(), rel=1e-5)
    assert found.dtype == np.float32


def test_a_quiet_month_is_no_basis_for_popularity() -> None:
    day = 86_400
    item = np.array([0] * 100 + [1], np.int32)
    when = np.array([0] * 100 + [1000 * day])
    found = popularity.recent(taken(item, when), 2, 1000 * day)
    assert (
        found[0] > found[1]
    )  # half of all within the age of the oldest tenth, not of a month with one event


def test_popularity_of_nothing_is_even() -> None:
    nothing = np.zeros(0, np.int32)
    assert popularity.recent(taken(nothing, nothing), 4, 0).tolist() == [0.25] * 4

"""Pairs and the linear model equal what obvious loops and a plain regression give."""

from itertools import pairwise

import numpy as np
import pytest

from nextpick.data.dataset import Interactions
from nextpick.models import pairs, ridge
from nextpick.testing.worlds import interactions_of, made_data

DATA = made_data(users=80, items=20, longest=30)
N_ITEMS = len(DATA.items.ids)
LINEAR = ridge.fit(DATA.interactions, N_ITEMS)
PAIRS = pairs.count(DATA.interactions, N_ITEMS, LINEAR)


def histories(interactions: Interactions) -> list[list[int]]:
    offsets = interactions.offsets.tolist()
    return [interactions.item[a:b].tolist() for a, b in pairwise(offsets)]


def values(found: pairs.Pairs, table: str) -> dict[tuple[int, int], float]:
    """Return a table by pair, decoded."""
    t = pairs.TABLES.index(table)
    decoded = {}
    for a in range(len(found.offsets) - 1):
        for p in range(found.offsets[a], found.offsets[a + 1]):
            code = float(found.codes[p, t])
            decoded[a, int(found.items[p])] = code * abs(code) * float(found.scale[a, t])
    return decoded


def slow(steps: dict[int, float]) -> np.ndarray:
    """Return counts [n, n]: what each step away adds."""
    counts = np.zeros((N_ITEMS, N_ITEMS))
    for history in histories(DATA.interactions):
        for i, a in enumerate(history):
            for step, x in steps.items():
                if 0 <= i + step < len(history) and history[i + step] != a:
                    counts[a, history[i + step]] += x
    return counts


NEAR = slow({g: 0.7 ** (g - 1) for g in range(1, 6)})
ABOUT = slow({g: 0.9 ** (g - 1) for g in range(1, 16)} | {-g: 0.5 * 0.9 ** (g - 1) for g in range(1, 16)})
NEXT = slow({1: 1.0})
TOGETHER = slow({g: 1.0 for g in range(-60, 61) if g})
TAKEN = np.bincount(DATA.interactions.item, minlength=N_ITEMS)
SHARE = (TAKEN + 1) / (TAKEN.sum() + N_ITEMS)


def over_rows(counts: np.ndarray, shrinkage: float) -> np.ndarray:
    return counts / (counts.sum(axis=1, keepdims=True) + shrinkage)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("near", over_rows(NEAR, 10)),
        ("about", over_rows(ABOUT, 5) * (N_ITEMS * SHARE) ** -0.3),
        ("next", over_rows(NEXT, 3)),
        ("lift", np.log1p(NEAR / (100 * SHARE))),
        ("kin", TOGETHER / np.sqrt(np.outer(np.maximum(TAKEN, 1), np.maximum(TAKEN, 1)))),
        ("soon", None),
        ("later", None),
    ],
)
def test_a_table_equals_the_slow_one_to_the_byte_it_is_kept_in(
    table: str, expected: np.ndarray | None
) -> None:
    if expected is None:
        rows = np.maximum(LINEAR.place, 0)
        expected = LINEAR.weights[pairs.TABLES.index(table) - 5][np.ix_(rows, rows)]
        expected[LINEAR.place < 0] = expected[:, LINEAR.place < 0] = 0.0
    found = values(PAIRS, table)
    assert len(found) == np.count_nonzero(TOGETHER)
    for a in range(N_ITEMS):
        row = [(b, value) for (source, b), value in found.items() if source == a]
        most = max((abs(expected[a, b]) for b, _ in row), default=0.0)
        for b, value in row:
            assert abs(value - expected[a, b]) <= 0.0165 * np.sqrt(most * abs(expected[a, b])) + 4e-5 * most


def test_a_row_has_most_about_first_and_keeps_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    about = ABOUT / (ABOUT.sum(axis=1, keepdims=True) + 5) * (N_ITEMS * SHARE) ** -0.3
    whole = [PAIRS.items[a:b].tolist() for a, b in zip(PAIRS.offsets, PAIRS.offsets[1:], strict=False)]
    for a, row in enumerate(whole):
        assert about[a, row].tolist() == pytest.approx(sorted(about[a, row], reverse=True))
    monkeypatch.setattr(pairs, "_ROW_LIMIT", 16)
    less = pairs.count(DATA.interactions, N_ITEMS, LINEAR)
    assert [less.items[a:b].tolist() for a, b in zip(less.offsets, less.offsets[1:], strict=False)] == [
        row[:16] for row in whole
    ]


def test_an_interaction_that_counts_double_makes_double_pairs() -> None:
    offsets, item = np.array([0, 2, 4], np.int64), np.array([0, 1, 0, 2], np.int32)
    weight = np.array([1, 2, 1, 1], np.float32)
    none = ridge.Ridge(np.full(3, -1, np.int32), np.zeros((0, 0, 0), np.float32))
    found = values(pairs.count(interactions_of(offsets, item, weight=weight), 3, none), "next")
    assert found[0, 1] == pytest.approx(2 / 6)
    assert found[0, 2] == pytest.approx(1 / 6, rel=0.02)


@pytest.mark.parametrize(("small", "inputs", "outputs"), [(20, 20, 20), (0, 5, 20), (0, 6, 11)])
@pytest.mark.parametrize("block", [512, 7, 1])
def test_the_linear_model_is_the_ridge_regression_it_says(
    monkeypatch: pytest.MonkeyPatch, small: int, inputs: int, outputs: int, block: int
) -> None:
    """X with a row for every step, built as the docstring says, and its normal equations."""
    for name, value in (
        ("_SMALL", small),
        ("_INPUTS", inputs),
        ("_MOST_OUTPUTS", outputs),
        ("_BLOCK", block),
    ):
        monkeypatch.setattr(ridge, name, value)
    decays = list(enumerate(zip(ridge.DECAYS, ridge.SPANS, strict=True)))[0 if small else 1 :]
    items = np.argsort(-TAKEN, kind="stable")[: np.count_nonzero(TAKEN >= 5)][:outputs]
    read = items[:inputs]
    rows, targets = [], []
    for history in histories(DATA.interactions):
        for t in range(len(history) - 1):
            x = np.zeros((2, N_ITEMS))
            for age in range(t + 1):
                for d, (decay, span) in decays:
                    x[d, history[t - age]] += decay**age * (age < max(span, 30))
            rows.append(x[decays[0][0] :, read].ravel())
            targets.append(np.eye(N_ITEMS)[history[t + 1]][items])
    x, y = np.array(rows), np.array(targets)
    expected = np.linalg.solve(x.T @ x + 500 * np.eye(len(x.T)), x.T @ y)
    found = ridge.fit(DATA.interactions, N_ITEMS)
    assert np.abs(found.weights.reshape(expected.shape) - expected).max() < 0.02 * np.abs(expected).max()
    assert found.place.tolist() == [items.tolist().index(i) if i in items else -1 for i in range(N_ITEMS)]
    counted = pairs.count(DATA.interactions, N_ITEMS, found)
    of_pairs = {(a, b) for a in read.tolist() for b in items.tolist() if TOGETHER[a, b]}
    for d, _ in decays:
        later = values(counted, pairs.TABLES[5 + d])
        told = {pair for pair, value in later.items() if value}
        assert told <= of_pairs, "what is no input or no output says nothing"
        assert len(told) > 0.8 * len(of_pairs)
    assert small or not any(values(counted, "soon").values()), "of many items the slowest decay alone"


def test_there_is_no_linear_model_where_no_item_was_taken_often_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ridge, "_LEAST_PER_ITEM", 1_000_000)
    none = ridge.fit(DATA.interactions, N_ITEMS)
    assert none.weights.size == 0
    assert (none.place == -1).all()
    assert set(values(pairs.count(DATA.interactions, N_ITEMS, none), "soon").values()) == {0.0}

"""Lifts of contextual columns against a row-by-row count, and the choice of what they are worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.data.dataset import Context, Interactions
from nextpick.models import context

SIZES = (3, 2)


def interactions(item: np.ndarray, codes: list[np.ndarray], weight: np.ndarray | None = None) -> Interactions:
    n = len(item)
    columns = tuple(
        Context(f"c{i}", c.astype(np.int32), tuple("abc"[:size]), ())
        for i, (c, size) in enumerate(zip(codes, SIZES, strict=True))
    )
    none = np.full(n, -1, np.int16)
    offsets = np.array([0, n], np.int64)
    return Interactions(
        offsets, item, np.arange(n), none, np.full(n, np.nan, np.float32), (), weight, columns
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.booleans())
def test_lifts_are_what_counting_row_by_row_gives(seed: int, n: int, is_weighed: bool) -> None:
    rng = np.random.default_rng(seed)
    n_items = 7
    item = rng.integers(0, n_items, n).astype(np.int32)
    codes = [rng.integers(-1, size, n) for size in SIZES]
    weight = rng.integers(1, 4, n).astype(np.float32) if is_weighed else None
    tables = context.count(interactions(item, codes, weight), n_items)
    worth = np.ones(n) if weight is None else weight
    for column, size in enumerate(SIZES):
        told = codes[column] >= 0
        total = worth[told].sum()
        for value in range(size):
            found = dict(
                zip(
                    *(a[tables.lifted(column, value)].tolist() for a in (tables.items, tables.logs)),
                    strict=True,
                )
            )
            under = codes[column] == value
            for i in range(n_items):
                both = worth[under & (item == i)].sum()
                expected = worth[under].sum() * worth[told & (item == i)].sum() / max(total, 1)
                log = np.log((both + 10) / (expected + 10))
                if abs(log) > 0.0501:
                    assert found[i] == pytest.approx(log, abs=1e-4)
                elif abs(log) < 0.0499:
                    assert i not in found


def test_a_column_is_worth_what_held_out_events_say_and_noise_nothing() -> None:
    rng = np.random.default_rng(1)
    n, n_items = 4000, 10
    device, moon = rng.integers(0, 2, n), rng.integers(0, 2, n)
    item = (2 * rng.integers(0, 5, n) + device).astype(np.int32)
    tables = context.count(interactions(item[:3000], [device[:3000], moon[:3000]]), n_items)
    codes = np.stack([device, moon], axis=1)[3000:].astype(np.int32)
    chosen = context.choose(tables, lambda q: np.full(n_items, 1 / n_items, np.float32), codes, item[3000:])
    assert chosen.exponents[0] >= 1.0
    assert chosen.exponents[1] == 0.0
    p = np.full(n_items, 1 / n_items, np.float32)
    context.tilt(p, chosen, [1, -1])
    assert p.sum() == pytest.approx(1)
    assert p[1::2].sum() > 0.95


def test_a_column_that_history_already_tells_is_worth_little() -> None:
    rng = np.random.default_rng(2)
    n, n_items = 4000, 10
    device = rng.integers(0, 2, n)
    item = (2 * rng.integers(0, 5, n) + device).astype(np.int32)
    tables = context.count(interactions(item, [device, device]), n_items)
    knows = np.zeros((2, n_items), np.float32)
    knows[0, ::2] = knows[1, 1::2] = 0.2
    codes = np.stack([device, device], axis=1).astype(np.int32)[:500]
    chosen = context.choose(tables, lambda q: knows[device[q]].copy(), codes, item[:500])
    assert chosen.exponents.tolist() == [0.0, 0.0]

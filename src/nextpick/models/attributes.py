"""Metadata as attributes: every categorical value, and every eighth of a numeric column, is one attribute."""

from typing import NamedTuple

import numba
import numpy as np

from nextpick.data.dataset import Entities, Interactions
from nextpick.models.rows import weights_of

_BINS = 8
_PRIOR = 1.0  # interactions that every holder of an attribute is lent, so that new ones have a share


class Attributes(NamedTuple):
    """Attributes of rows: ``codes[offsets[r]:offsets[r + 1]]``; offsets int64 [n+1], codes int32, below ``n``."""

    offsets: np.ndarray
    codes: np.ndarray
    n: int


class Lists(NamedTuple):
    """Items by attribute with probabilities: offsets int64 [n+1], items int32, weights float32 (sum <= 1)."""

    offsets: np.ndarray
    items: np.ndarray
    weights: np.ndarray


def attributes(entities: Entities) -> Attributes:
    """Return the attributes of items or users."""
    n_rows = len(entities.ids)
    rows, codes, first = [], [], 0
    for column in entities.columns:
        if column.codes is not None and column.offsets is not None:
            rows.append(np.repeat(np.arange(n_rows), np.diff(column.offsets)))
            codes.append(np.asarray(column.codes) + first)
            first += len(column.values)
        elif column.numbers is not None:
            known = np.flatnonzero(~np.isnan(column.numbers))
            if len(known) == 0:
                continue
            values = np.asarray(column.numbers)[known]
            edges = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS))
            rows.append(known)
            codes.append(np.searchsorted(edges, values, side="right") + first)
            first += len(edges) + 1
    if not rows:
        return Attributes(np.zeros(n_rows + 1, np.int64), np.zeros(0, np.int32), 0)
    row, code = np.concatenate(rows), np.concatenate(codes)
    order = np.lexsort((code, row))
    offsets = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=n_rows), out=offsets[1:])
    return Attributes(offsets, code[order].astype(np.int32), first)


def items_of(held: Attributes, weight: np.ndarray, limit: int) -> Lists:
    """Return for each attribute the items that hold it, by ``weight`` [n_items] plus a prior.

    Lists keep their ``limit`` heaviest items, the newest rows first among equals.
    """
    item = np.repeat(np.arange(len(held.offsets) - 1), np.diff(held.offsets))
    mass = np.asarray(weight, np.float64)[item] + _PRIOR
    return _top_lists(held.codes, item, mass, held.n, limit)


def items_taken_by(held: Attributes, interactions: Interactions, background: np.ndarray, limit: int) -> Lists:
    """Return for each attribute of users the items its holders take, shrunk towards ``background`` [n_items]."""
    user = np.repeat(np.arange(len(interactions.offsets) - 1), np.diff(interactions.offsets))
    repeats = np.diff(held.offsets)[user]
    code = held.codes[_ranges(held.offsets[user], repeats)]
    taken = np.repeat(np.asarray(interactions.item, np.int64), repeats)
    n_items = len(background)
    pairs, at = np.unique(code.astype(np.int64) * n_items + taken, return_inverse=True)
    times = np.bincount(at, weights=np.repeat(weights_of(interactions), repeats), minlength=len(pairs))
    return _top_lists((pairs // n_items).astype(np.int32), pairs % n_items, times, held.n, limit,
                      shrinkage=100.0)  # fmt: skip


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return start, start + 1, … of each range, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - lengths, lengths) + np.repeat(starts, lengths)


def _top_lists(
    code: np.ndarray, item: np.ndarray, mass: np.ndarray, n: int, limit: int, shrinkage: float = 0.0
) -> Lists:
    total = np.bincount(code, weights=mass, minlength=n) + shrinkage
    order = np.lexsort((-item, -mass, code))
    code, item, mass = code[order], item[order], mass[order]
    starts = np.searchsorted(code, np.arange(n))
    kept = np.arange(len(code)) - starts[code] < limit
    code, item, mass = code[kept], item[kept], mass[kept]
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(code, minlength=n), out=offsets[1:])
    return Lists(offsets, item.astype(np.int32), (mass / total[code]).astype(np.float32))


@numba.njit(cache=True)
def likeness(a, offsets, codes, rarity, holder_offsets, holders, out):
    """Add to ``out`` [n_items] the sum of ``rarity`` [n] of the attributes each item shares with item ``a``."""
    for p in range(offsets[a], offsets[a + 1]):
        attribute = codes[p]
        for q in range(holder_offsets[attribute], holder_offsets[attribute + 1]):
            out[holders[q]] += rarity[attribute]

"""Metadata as attributes: every categorical value, and every eighth of a numeric column, is one attribute."""

from typing import NamedTuple

import numba
import numpy as np

from nextpick.data.dataset import Entities, Interactions
from nextpick.models.rows import weights_of

_BINS = 8
_DOUBT = 5.0  # interactions that are added to what is seen and to what is expected


class Attributes(NamedTuple):
    """Attributes of rows: ``codes[offsets[r]:offsets[r + 1]]``; offsets int64 [n+1], codes int32, below ``n``."""

    offsets: np.ndarray
    codes: np.ndarray
    n: int


class Lists(NamedTuple):
    """Items by attribute: offsets int64 [n+1], items int32, weights float32."""

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


def shares(held: Attributes, taken: np.ndarray) -> np.ndarray:
    """Return which share of all interactions is with holders of each attribute, float32 [n], above 0; ``taken``
    [n_items]: interactions of each item."""
    item = np.repeat(np.arange(len(held.offsets) - 1), np.diff(held.offsets))
    mass = np.bincount(held.codes, weights=taken[item], minlength=held.n) + 1.0
    return (mass / (taken.sum() + 1.0)).astype(np.float32)


def rare(held: Attributes, taken: np.ndarray, most: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each attribute the holders that were taken at most ``most`` times, ``limit`` of them, the newest
    rows first: offsets int64 [n+1], items int32."""
    item = np.repeat(np.arange(len(held.offsets) - 1), np.diff(held.offsets))
    kept = taken[item] <= most
    lists = _top_lists(held.codes[kept], item[kept], np.ones(int(kept.sum())), held.n, limit)
    return lists.offsets, lists.items


def lifts(held: Attributes, interactions: Interactions, share: np.ndarray, limit: int) -> Lists:
    """Return for each attribute of users the items its holders take more than others, with the logarithm of how much
    more: an item's interactions with holders over what its ``share`` [n_items] of all would make, a few added to both.

    Lists keep the ``limit`` items with most interactions beyond that.
    """
    user = np.repeat(np.arange(len(interactions.offsets) - 1), np.diff(interactions.offsets))
    repeats = np.diff(held.offsets)[user]
    code = held.codes[_ranges(held.offsets[user], repeats)]
    taken = np.repeat(np.asarray(interactions.item, np.int64), repeats)
    n_items = len(share)
    pairs, at = np.unique(code.astype(np.int64) * n_items + taken, return_inverse=True)
    times = np.bincount(at, weights=np.repeat(weights_of(interactions), repeats), minlength=len(pairs))
    of, item = pairs // n_items, pairs % n_items
    expected = np.bincount(of, weights=times, minlength=held.n)[of] * share[item]
    more = np.flatnonzero(times > expected)
    of, item, times, expected = of[more], item[more], times[more], expected[more]
    lists = _top_lists(of, item, times - expected, held.n, limit)
    lift = np.log((times + _DOUBT) / (expected + _DOUBT)).astype(np.float32)
    at = np.searchsorted(
        of * n_items + item, np.repeat(np.arange(held.n), np.diff(lists.offsets)) * n_items + lists.items
    )
    return lists._replace(weights=lift[at])


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return start, start + 1, … of each range, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - lengths, lengths) + np.repeat(starts, lengths)


def _top_lists(code: np.ndarray, item: np.ndarray, mass: np.ndarray, n: int, limit: int) -> Lists:
    """Return each attribute's ``limit`` items of most mass, the newest rows first among equals, with their mass."""
    order = np.lexsort((-item, -mass, code))
    code, item, mass = code[order], item[order], mass[order]
    starts = np.searchsorted(code, np.arange(n))
    kept = np.arange(len(code)) - starts[code] < limit
    code, item, mass = code[kept], item[kept], mass[kept]
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(code, minlength=n), out=offsets[1:])
    return Lists(offsets, item.astype(np.int32), mass.astype(np.float32))


@numba.njit(cache=True)
def likeness(a, offsets, codes, rarity, holder_offsets, holders, out):
    """Add to ``out`` [n_items] the sum of ``rarity`` [n] of the attributes each item shares with item ``a``."""
    for p in range(offsets[a], offsets[a + 1]):
        attribute = codes[p]
        for q in range(holder_offsets[attribute], holder_offsets[attribute + 1]):
            out[holders[q]] += rarity[attribute]

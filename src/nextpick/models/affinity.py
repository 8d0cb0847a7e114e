"""How much users are drawn to some items: what they took, and how like those items it is, the newest counting most.

Item-to-item cosine (models/cosine.py) turned round: an item's likeness to what is asked about is summed over each
user's history instead of being ranked for one. Such a sum is large for whoever took much of anything; of the sum over
all items there are it is a share, which sums to 1 for each user:

    share(u, Q) = sum over q in Q of s(u, q) / sum over every item i of s(u, i)
    s(u, q)     = sum over the items h of u, the newest first, at step t, of decay ^ t * likeness(q, h)
"""

from typing import NamedTuple

import numba
import numpy as np

from nextpick.models.rows import Rows, read_only


class Histories(NamedTuple):
    """Each user's newest items, oldest first: offsets int64 [n_users+1]; item int32."""

    offsets: np.ndarray
    item: np.ndarray


def newest(offsets: np.ndarray, item: np.ndarray, longest: int) -> Histories:
    """Return the newest ``longest`` items of each user; ``offsets`` [n_users+1], ``item`` [n] oldest first."""
    lengths = np.diff(offsets)
    step = np.repeat(offsets[1:], lengths) - 1 - np.arange(len(item))
    new_offsets = np.concatenate(([0], np.cumsum(np.minimum(lengths, longest)))).astype(np.int64)
    return Histories(new_offsets, item[step < longest].astype(np.int32))


def without(histories: Histories, users: np.ndarray) -> Histories:
    """Return the histories with those of ``users`` (rows) empty."""
    lengths = np.diff(histories.offsets)
    is_gone = np.zeros(len(lengths), bool)
    is_gone[users] = True
    kept = ~np.repeat(is_gone, lengths)
    offsets = np.concatenate(([0], np.cumsum(np.where(is_gone, 0, lengths)))).astype(np.int64)
    return Histories(offsets, histories.item[kept])


def likeness(rows: Rows, items: np.ndarray, n_items: int) -> np.ndarray:
    """Return how like ``items`` (rows, int32 [m]) each item is, summed over them, float32 [n_items]."""
    starts, sizes = rows.offsets[items], rows.offsets[items + 1] - rows.offsets[items]
    at = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    return np.bincount(rows.items[at], rows.weights[at], n_items).astype(np.float32)


def reach(rows: Rows, n_items: int) -> np.ndarray:
    """Return how like each item is to all items together, float32 [n_items]."""
    return np.bincount(rows.items, rows.weights, n_items).astype(np.float32)


def total(weight: np.ndarray, histories: Histories, decay: float) -> np.ndarray:
    """Return each user's sum of ``weight`` float32 [n_items] over the history, less by ``decay`` a step, float32
    [n_users]."""
    return _total(read_only(weight), read_only(histories.offsets), read_only(histories.item), decay)


def evidence(histories: Histories, decay: float) -> np.ndarray:
    """Return how many items each history is worth, an older one less by ``decay`` a step, float32 [n_users]."""
    lengths = np.diff(histories.offsets)
    if decay == 1.0:
        return lengths.astype(np.float32)
    return ((1.0 - decay**lengths) / (1.0 - decay)).astype(np.float32)


@numba.njit(cache=True, nogil=True)
def _total(weight, offsets, item, decay):
    found = np.empty(len(offsets) - 1, np.float32)
    for user in range(len(found)):
        worth = 0.0
        for p in range(offsets[user], offsets[user + 1]):
            worth = worth * decay + weight[item[p]]
        found[user] = worth
    return found

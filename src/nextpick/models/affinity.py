"""How much users are drawn to some items: what they took, and how like those items it is, the newest counting most.

Item-to-item cosine (models/cosine.py) turned round: an item's likeness to what is asked about is summed over each
user's history instead of being ranked for one.
"""

from typing import NamedTuple

import numpy as np

from nextpick.models.rows import Rows


class Histories(NamedTuple):
    """Each user's newest items: offsets int64 [n_users+1]; item int32, step float32: 0 the newest, 1 before it, …"""

    offsets: np.ndarray
    item: np.ndarray
    step: np.ndarray


def newest(offsets: np.ndarray, item: np.ndarray, longest: int) -> Histories:
    """Return the newest ``longest`` items of each user; ``offsets`` [n_users+1], ``item`` [n] oldest first."""
    lengths = np.diff(offsets)
    step = np.repeat(offsets[1:], lengths) - 1 - np.arange(len(item))
    kept = step < longest
    new_offsets = np.concatenate(([0], np.cumsum(np.minimum(lengths, longest)))).astype(np.int64)
    return Histories(new_offsets, item[kept].astype(np.int32), step[kept].astype(np.float32))


def without(histories: Histories, users: np.ndarray) -> Histories:
    """Return the histories with those of ``users`` (rows) empty."""
    lengths = np.diff(histories.offsets)
    is_gone = np.zeros(len(lengths), bool)
    is_gone[users] = True
    kept = ~np.repeat(is_gone, lengths)
    offsets = np.concatenate(([0], np.cumsum(np.where(is_gone, 0, lengths)))).astype(np.int64)
    return Histories(offsets, histories.item[kept], histories.step[kept])


def weights(rows: Rows, items: np.ndarray, n_items: int, own: float) -> np.ndarray:
    """Return how like each item is to ``items`` (rows, int32 [m]), float32 [n_items]: at most 1, theirs ``own``."""
    found = np.zeros(n_items, np.float32)
    for item in items.tolist():
        row = slice(rows.offsets[item], rows.offsets[item + 1])
        np.add.at(found, rows.items[row], rows.weights[row])
    found /= found.max(initial=0.0) or 1.0
    found[items] = own
    return found


def affinity(weight: np.ndarray, histories: Histories, decay: float) -> np.ndarray:
    """Return each user's sum of ``weight`` [n_items] over the history, float32 [n_users], less by ``decay`` a step."""
    worth = weight[histories.item] * decay**histories.step
    total = np.concatenate(([0.0], np.cumsum(worth, dtype=np.float64)))
    return (total[histories.offsets[1:]] - total[histories.offsets[:-1]]).astype(np.float32)

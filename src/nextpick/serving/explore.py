"""Exploration: young items are tried out at drawn positions of a list.

The draw depends on the version, the user and the hour, so an answer can be repeated. At each position but the
first an explored item enters with a probability of half the exploration weight; which one is drawn in
proportion to its own score. It takes the score of the place it enters, and all scores are divided by the new
total, so that a list stays in falling order, fewer results stay a prefix of more, and the scores of the whole
catalogue still sum to 1. Source for weight and cut-off: developer guide, "User-Personalization recipe".
"""

from hashlib import blake2b

import numba
import numpy as np

from nextpick.data.dataset import Data

DEFAULT_WEIGHT, DEFAULT_CUT_OFF_DAYS = 0.3, 30.0
DEPTH = 100  # positions at which items are explored
_DAY_S = 86400.0
_MOST = 1000  # young items considered, the youngest first


class Young:
    """The young items of a version by cut-off: created within it before the latest interaction, and with no
    more interactions than the mean item."""

    def __init__(self, data: Data, item_count: np.ndarray) -> None:
        self._age = data.latest - np.asarray(data.items.created)
        self._rare = item_count <= item_count.mean() if len(item_count) else np.zeros(0, bool)
        self._by_cut_off: dict[float, np.ndarray] = {}

    def rows(self, cut_off_days: float) -> np.ndarray:
        """Return rows of young items, int32, the youngest first."""
        rows = self._by_cut_off.get(cut_off_days)
        if rows is None:
            found = np.flatnonzero(self._rare & (self._age <= cut_off_days * _DAY_S))
            found = found[np.argsort(self._age[found], kind="stable")][:_MOST]
            rows = self._by_cut_off[cut_off_days] = found.astype(np.int32)
        return rows


def seed(version: str, user: str, now: float) -> np.uint64:
    """Return the seed of a user's draws for this hour."""
    text = f"{version} {user} {int(now // 3600)}"
    return np.uint64(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))


@numba.njit(cache=True)
def explore(scores, ranked, young, weight, seed, depth):
    """Return the list with explored items, their scores, which were explored, and what the scores sum to.

    scores [n_items] float32; ranked [k] int32, the best rows in order, k >= depth or the whole catalogue;
    young [m] int32. Returns rows [k] int32, scores [k] float64, explored [k] bool, total (1 before).
    """
    k = len(ranked)
    rows = np.empty(k, np.int32)
    values = np.empty(k, np.float64)
    explored = np.zeros(k, np.bool_)
    order = np.argsort(_keys(scores, young, seed))
    placed = np.zeros(len(young), np.bool_)
    place_of = np.full(len(scores), -1, np.int32)
    for m in range(len(young)):
        place_of[young[m]] = m
    next_base, next_young, total = 0, 0, 1.0
    for position in range(k):
        while next_base < k and place_of[ranked[next_base]] >= 0 and placed[place_of[ranked[next_base]]]:
            next_base += 1
        if 0 < position < depth and _uniform(seed, position) < weight / 2 and next_base < k:
            while next_young < len(young) and placed[order[next_young]]:
                next_young += 1
            if next_young < len(young):
                chosen = order[next_young]
                placed[chosen] = True
                rows[position] = young[chosen]
                values[position] = scores[ranked[next_base]]
                explored[position] = True
                total += values[position] - scores[young[chosen]]
                continue
        if next_base >= k:
            return rows[:position], values[:position], explored[:position], total
        rows[position] = ranked[next_base]
        values[position] = scores[ranked[next_base]]
        if place_of[ranked[next_base]] >= 0:
            placed[place_of[ranked[next_base]]] = True
        next_base += 1
    return rows, values, explored, total


@numba.njit(cache=True)
def _keys(scores, young, seed):
    """Return keys whose ascending order is a draw without replacement in proportion to the scores."""
    keys = np.empty(len(young), np.float64)
    for m in range(len(young)):
        u = _uniform(seed, 1_000_000 + young[m])
        keys[m] = -np.log(u) / (scores[young[m]] + 1e-12)
    return keys


@numba.njit(cache=True)
def _uniform(seed, index):
    """Return a number in (0, 1) that depends on seed and index alone (SplitMix64, Steele et al. 2014)."""
    z = seed + np.uint64(index + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (np.float64(z >> np.uint64(11)) + 0.5) / 9007199254740992.0

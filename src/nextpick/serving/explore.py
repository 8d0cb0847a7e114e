"""Exploration: young items are tried out at drawn positions of a list.

The draw depends on the version, the user and the hour, so an answer can be repeated. At each position but the
first an explored item enters with a probability of half the exploration weight; which one is drawn in
proportion to its own score. Scores belong to places: the list's n-th score is the n-th best of the catalogue,
so that a list stays in falling order, fewer results are a prefix of more, and the scores of the whole catalogue
sum to 1 whatever is explored. What was often shown and not taken is left to the list more often
(``impressions.py``). Source for weight and cut-off: developer guide, "User-Personalization recipe".
"""

from hashlib import blake2b

import numba
import numpy as np

from nextpick.data.dataset import Data
from nextpick.models.rows import read_only
from nextpick.serving.impressions import Chances

DEFAULT_WEIGHT, DEFAULT_CUT_OFF_DAYS = 0.3, 30.0
_DAY_S = 86400.0
_MOST = 1000  # young items considered, the youngest first
ALWAYS = read_only(np.zeros(0, np.float32))
_TRIES = 8  # draws for a position before it is left to the list


class Young:
    """The young items of a version by cut-off: created within it before the latest interaction, and with no
    more interactions than the mean item. Where the recipe says which are ``cold`` (rows, the youngest first) it is
    these, whatever the cut-off."""

    def __init__(self, data: Data, item_count: np.ndarray, cold: np.ndarray | None = None) -> None:
        self.chances = Chances(data.items.ids, data.impressions)
        self._age = data.latest - np.asarray(data.items.created)
        self._rare = item_count <= item_count.mean() if len(item_count) else np.zeros(0, bool)
        self._by_cut_off: dict[float, np.ndarray] = {}
        self._cold = read_only(cold[:_MOST].copy()) if cold is not None else None

    def rows(self, cut_off_days: float) -> np.ndarray:
        """Return rows of young items, int32, the youngest first."""
        if self._cold is not None:
            return self._cold
        rows = self._by_cut_off.get(cut_off_days)
        if rows is None:
            found = np.flatnonzero(self._rare & (self._age <= cut_off_days * _DAY_S))
            found = found[np.argsort(self._age[found], kind="stable")][:_MOST]
            rows = self._by_cut_off[cut_off_days] = read_only(found.astype(np.int32))
        return rows


def seed(version: str, user: str, now: float) -> np.uint64:
    """Return the seed of a user's draws for this hour."""
    text = f"{version} {user} {int(now // 3600)}"
    return np.uint64(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))


@numba.njit(cache=True)
def explore(ranked, young, worth, chance, weight, seed):
    """Return the list with young items entered: rows [k] int32, and which were explored [k] bool.

    ranked [k] int32, the best rows in order; young [m] int32, their scores, worth [m] float32, and with which
    chance one that is drawn is entered, [m] float32, empty: always; seed uint64.
    """
    k = len(ranked)
    rows, explored = np.empty(k, np.int32), np.zeros(k, np.bool_)
    sums = np.empty(len(young), np.float64)
    total = 0.0
    for m in range(len(young)):
        total += worth[m] + 1e-12
        sums[m] = total
    next_ranked = 0
    for position in range(k):
        if position > 0 and _uniform(seed, position) < weight / 2:
            for attempt in range(_TRIES):
                u = _uniform(seed, (position + 1) * 1_000_000 + attempt)
                at = min(np.searchsorted(sums, u * total), len(young) - 1)
                if _contains(rows[:position], young[at]):
                    continue
                if not len(chance) or _uniform(seed, (position + 1) * 1_000_000 + _TRIES) < chance[at]:
                    rows[position], explored[position] = young[at], True
                break
        if not explored[position]:
            while _contains(rows[:position], ranked[next_ranked]):
                next_ranked += 1
            rows[position] = ranked[next_ranked]
            next_ranked += 1
    return rows, explored


@numba.njit(cache=True)
def _contains(rows, row):
    for other in rows:  # noqa: SIM110  numba compiles no any()
        if other == row:
            return True
    return False


@numba.njit(cache=True)
def _uniform(seed, index):
    """Return a number in (0, 1) that depends on seed and index alone (SplitMix64, Steele et al. 2014)."""
    z = seed + np.uint64(index + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (np.float64(z >> np.uint64(11)) + 0.5) / 9007199254740992.0

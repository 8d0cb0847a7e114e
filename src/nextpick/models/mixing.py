"""How much of each component: the mixture's weights, chosen on users that the components have not seen.

For each length of history, the weights whose ranking puts the next item highest (mean of 1 / log2(1 + rank),
the user's own items left out) on a few positions of each held-out user.
"""

from itertools import product

import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models.mixture import BUCKETS, gains
from nextpick.models.rows import read_only, weights_of

DEFAULT = (0.02, 0.05, 0.05)
_GRID = ((0.0, 0.03, 0.1, 0.3), (0.0, 0.03, 0.1, 0.3), (0.0, 0.05, 0.2))
_LEAST_QUERIES = 30
_MOST_USERS = 1000
_LEAST_WORK, _WORK_PER_INTERACTION = 2e9, 400  # queries * items * combinations that may be ranked


def held_out_users(offsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows of users to hold out: a tenth of those with two interactions or more, 1,000 at most."""
    users = np.flatnonzero(np.diff(offsets) >= 2)
    n = min(len(users) // 10, _MOST_USERS)
    return np.sort(rng.choice(users, n, replace=False))


def without(interactions: Interactions, users: np.ndarray) -> Interactions:
    """Return the interactions of all but these users."""
    lengths = np.diff(interactions.offsets)
    stays = np.ones(len(lengths), bool)
    stays[users] = False
    return interactions.only(np.repeat(stays, lengths))


def choose(
    users: np.ndarray,
    interactions: Interactions,
    tables: tuple,
    decay: float,
    limit: int,
    n_items: int,
) -> np.ndarray:
    """Return the weights (a, b, c) of each bucket of history length, float32 [len(BUCKETS), 3].

    ``tables`` are the components' arrays as ``mixture.predict`` takes them, fitted without ``users``. A next item
    counts as much as its interaction does.
    """
    has_taste, has_kin = len(tables[5]) > 0, len(tables[10]) > 0
    grid = (_GRID[0], _GRID[1] if has_taste else (0.0,), _GRID[2] if has_kin else (0.0,))
    mixes = np.array(list(product(*grid)), np.float32)
    chosen = np.tile(np.array(DEFAULT, np.float32), (len(BUCKETS), 1))
    work = max(_LEAST_WORK, _WORK_PER_INTERACTION * len(interactions.item))
    most = max(int(work / (n_items * len(mixes)) / (len(BUCKETS) + 1)), _LEAST_QUERIES)
    if len(users) == 0:
        return chosen
    gain, queries = gains(
        users[:most], read_only(interactions.offsets), read_only(interactions.item),
        read_only(weights_of(interactions)), mixes, decay, limit, n_items, BUCKETS,
        *map(read_only, tables),
    )  # fmt: skip
    for b in range(len(BUCKETS)):
        if queries[b] >= _LEAST_QUERIES:
            chosen[b] = mixes[int(np.argmax(gain[b]))]
    return chosen

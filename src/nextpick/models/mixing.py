"""How much of each component: the mixture's weights, chosen on users that the components have not seen.

For each length of history, the weights whose ranking puts the next item highest (mean of 1 / log2(1 + rank),
the user's own items left out) on a few positions of each held-out user.
"""

from itertools import product

import numba
import numpy as np

from nextpick.models.mixture import BUCKETS, add_attributes, add_rows
from nextpick.models.rows import read_only

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


def without(offsets: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets of the data without these users' interactions, and the mask of those that stay."""
    lengths = np.diff(offsets)
    stays = np.ones(len(lengths), bool)
    stays[users] = False
    kept = np.zeros(len(offsets), np.int64)
    np.cumsum(np.where(stays, lengths, 0), out=kept[1:])
    return kept, np.repeat(stays, lengths)


def choose(
    users: np.ndarray,
    offsets: np.ndarray,
    item: np.ndarray,
    tables: tuple,
    decay: float,
    limit: int,
    n_items: int,
) -> np.ndarray:
    """Return the weights (a, b, c) of each bucket of history length, float32 [len(BUCKETS), 3].

    ``tables`` are the components' arrays as ``mixture.predict`` takes them, fitted without ``users``.
    """
    has_taste, has_kin = len(tables[5]) > 0, len(tables[10]) > 0
    grid = (_GRID[0], _GRID[1] if has_taste else (0.0,), _GRID[2] if has_kin else (0.0,))
    mixes = np.array(list(product(*grid)), np.float32)
    chosen = np.tile(np.array(DEFAULT, np.float32), (len(BUCKETS), 1))
    work = max(_LEAST_WORK, _WORK_PER_INTERACTION * len(item))
    most = max(int(work / (n_items * len(mixes)) / (len(BUCKETS) + 1)), _LEAST_QUERIES)
    if len(users) == 0:
        return chosen
    gain, queries = _gains(
        users[:most], read_only(offsets), read_only(item), mixes, decay, limit, n_items, BUCKETS,
        *map(read_only, tables),
    )  # fmt: skip
    for b in range(len(BUCKETS)):
        if queries[b] >= _LEAST_QUERIES:
            chosen[b] = mixes[int(np.argmax(gain[b]))]
    return chosen


@numba.njit(cache=True)
def _gains(
    users, offsets, item, mixes, decay, limit, n_items, buckets,
    row_offsets, row_items, row_weights, popularity,
    item_held, item_codes, item_lists, item_list_items, item_list_weights,
    user_held, user_codes, user_lists, user_list_items, user_list_weights,
):  # fmt: skip
    n_buckets = len(buckets)
    gain = np.zeros((n_buckets, len(mixes)))
    queries = np.zeros(n_buckets, np.int64)
    parts = np.zeros((3, n_items), np.float32)
    used = np.zeros(3)
    seen = np.zeros(n_items, np.bool_)
    one = np.zeros(1, np.int32)
    for u in range(len(users)):
        user, start, end = users[u], offsets[users[u]], offsets[users[u] + 1]
        for q in range(n_buckets + 1):
            length = buckets[q] if q < n_buckets else end - start - 1
            if start + length >= end or (q < n_buckets and length == end - start - 1):
                continue
            b = n_buckets - 1
            while buckets[b] > length:
                b -= 1
            history, target = item[start : start + length], item[start + length]
            parts[:] = 0.0
            one[0] = user
            used[0] = add_rows(history, decay, limit, row_offsets, row_items, row_weights, 1.0, parts[0])
            used[1] = add_attributes(history, decay, limit, item_held, item_codes, item_lists, item_list_items,
                                     item_list_weights, 1.0, parts[1])  # fmt: skip
            used[2] = add_attributes(one, decay, limit, user_held, user_codes, user_lists, user_list_items,
                                     user_list_weights, 1.0, parts[2])  # fmt: skip
            for h in history:
                seen[h] = h != target
            queries[b] += 1
            for m in range(len(mixes)):
                taste = mixes[m, 1] if length else 0.0
                kin = mixes[m, 2]
                order = 1.0 - mixes[m, 0] - taste - kin if length else 0.0
                rest = 1.0 - order * used[0] - taste * used[1] - kin * used[2]
                own = (
                    order * parts[0, target]
                    + taste * parts[1, target]
                    + kin * parts[2, target]
                    + rest * popularity[target]
                )
                rank = 0
                for i in range(n_items):
                    score = (
                        order * parts[0, i] + taste * parts[1, i] + kin * parts[2, i] + rest * popularity[i]
                    )
                    if score > own and not seen[i]:
                        rank += 1
                gain[b, m] += 1.0 / np.log2(rank + 2.0)
            for h in history:
                seen[h] = False
    return gain, queries

"""Item-to-item likeness over users: items that the same users take, and near each other.

    likeness(a, b) = k / (k + doubt) * sum over users of both of near(gap) / (users of a * users of b) ^ (discount / 2)
    near(gap) = max(step_decay ^ (gap - 1), 0.02)

k is how many users took both; the gap, how many steps the two are apart in a user's history. With a decay of 1 and no
doubt this is the cosine of Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms"; what is
taken together is liker than what the same person took a year apart. Doubt about what few users say is the significance
weighting of Herlocker et al. 1999, in the form of Bell and Koren 2007.
"""

import numba
import numpy as np

from nextpick.models.rows import Rows, occurrences, read_only

STEP_DECAY, _LEAST_NEAR = 0.85, 0.02  # chosen on validation items of MovieLens and Amazon Beauty


def likeness(
    offsets: np.ndarray,
    item: np.ndarray,
    n_items: int,
    *,
    discount: float,
    step_decay: float,
    least_together: int,
    longest_history: int,
    row_limit: int,
    doubt: float = 0.0,
) -> Rows:
    """Return for each item its likest items, heaviest ``row_limit``.

    A ``discount`` of 0 keeps the popular, 1 is the cosine; ``doubt``: users in common that halve the likeness. Pairs
    with fewer than ``least_together`` users in common are left out; of each user the newest ``longest_history``
    distinct items count.
    """
    user_offsets, unique = _distinct(read_only(offsets), read_only(item), n_items, longest_history)
    unique = read_only(unique)
    places, starts = occurrences(unique, n_items)
    user_of = np.repeat(np.arange(len(user_offsets) - 1), np.diff(user_offsets))
    norms = np.maximum(np.diff(starts), 1).astype(np.float32) ** np.float32(discount / 2)
    near = np.maximum(step_decay ** np.arange(-1.0, longest_history), _LEAST_NEAR).astype(np.float32)
    sizes, items, weights = _rows(
        unique,
        user_of,
        user_offsets,
        places,
        starts,
        norms,
        near,
        max(least_together, 1),
        np.float32(doubt),
        row_limit,
    )
    row_offsets = np.zeros(n_items + 1, np.int64)
    np.cumsum(sizes, out=row_offsets[1:])
    return Rows(row_offsets, items, weights)


@numba.njit(cache=True)
def _distinct(offsets, item, n_items, longest):
    """Return each user's newest distinct items, newest first, and their offsets."""
    kept = np.empty(len(item), np.int32)
    ends = np.zeros(len(offsets), np.int64)
    seen = np.full(n_items, -1, np.int64)
    used = 0
    for user in range(len(offsets) - 1):
        n = 0
        for p in range(offsets[user + 1] - 1, offsets[user] - 1, -1):
            if seen[item[p]] != user:
                seen[item[p]] = user
                kept[used] = item[p]
                used += 1
                n += 1
                if n == longest:
                    break
        ends[user + 1] = used
    return ends, kept[:used].copy()


@numba.njit(cache=True)
def _rows(item, user_of, user_offsets, places, starts, norms, near, least, doubt, row_limit):
    n_items = len(starts) - 1
    together = np.zeros(n_items, np.int32)
    nearness = np.zeros(n_items, np.float32)
    touched = np.empty(n_items, np.int32)
    sizes = np.zeros(n_items, np.int64)
    items = np.empty(1024, np.int32)
    weights = np.empty(1024, np.float32)
    used = 0
    for source in range(n_items):
        n_touched = 0
        for p in range(starts[source], starts[source + 1]):
            user = user_of[places[p]]
            for j in range(user_offsets[user], user_offsets[user + 1]):
                other = item[j]
                if other != source:
                    if together[other] == 0:
                        touched[n_touched] = other
                        n_touched += 1
                    together[other] += 1
                    nearness[other] += near[abs(j - places[p])]
        chosen = np.sort(touched[:n_touched])
        chosen = chosen[together[chosen] >= least]
        both = together[chosen].astype(np.float32)
        strength = both / (both + doubt) * nearness[chosen] / (norms[source] * norms[chosen])
        best = np.argsort(-strength, kind="mergesort")[:row_limit]
        chosen, strength = chosen[best], strength[best]
        while used + len(chosen) > len(items):
            items = np.concatenate((items, np.empty_like(items)))
            weights = np.concatenate((weights, np.empty_like(weights)))
        for k in range(len(chosen)):
            items[used] = chosen[k]
            weights[used] = strength[k]
            used += 1
        sizes[source] = len(chosen)
        for t in range(n_touched):
            together[touched[t]] = 0
            nearness[touched[t]] = 0.0
    return sizes, items[:used].copy(), weights[:used].copy()

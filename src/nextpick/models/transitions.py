"""Decayed item-to-item transitions: what is taken after an item, nearer steps counting more.

For each user, each item adds ``decay ** (gap - 1)`` to its pair with each of the next ``window`` items; a row
is divided by its sum plus ``shrinkage``, so that what it lacks to 1 is the doubt about a rarely seen item.
A history's prediction is the sum of its items' rows, the newer the heavier. Related: FPMC's factorised chain
(Rendle et al. 2010), higher-order Markov chains (He & McAuley 2016).
"""

import numba
import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models.rows import Rows, occurrences, read_only, weights_of


def count(
    interactions: Interactions,
    n_items: int,
    *,
    window: int,
    decay: float,
    shrinkage: float,
    row_limit: int,
) -> Rows:
    """Return the transitions of interactions; one to an item counts as much as the interaction with it.

    A row keeps its ``row_limit`` heaviest targets and sums to less than 1. Time O(n * window), memory
    O(n + n_items * row_limit).
    """
    item = read_only(interactions.item)
    places, starts = occurrences(item, n_items)
    user_end = np.repeat(np.asarray(interactions.offsets[1:]), np.diff(interactions.offsets))
    powers = (decay ** np.arange(window)).astype(np.float32)
    sizes, items, weights = _rows(
        item,
        read_only(weights_of(interactions)),
        user_end,
        places,
        starts,
        powers,
        np.float32(shrinkage),
        row_limit,
    )
    row_offsets = np.zeros(n_items + 1, np.int64)
    np.cumsum(sizes, out=row_offsets[1:])
    return Rows(row_offsets, items, weights)


@numba.njit(cache=True)
def _rows(item, weight, user_end, places, starts, powers, shrinkage, row_limit):
    n_items = len(starts) - 1
    total = np.zeros(n_items, np.float32)
    touched = np.empty(n_items, np.int32)
    sizes = np.zeros(n_items, np.int64)
    items = np.empty(1024, np.int32)
    weights = np.empty(1024, np.float32)
    used = 0
    for source in range(n_items):
        n_touched = 0
        for p in range(starts[source], starts[source + 1]):
            i = places[p]
            last = min(user_end[i], i + 1 + len(powers))
            for j in range(i + 1, last):
                target = item[j]
                if target == source:
                    continue
                if total[target] == 0.0:
                    touched[n_touched] = target
                    n_touched += 1
                total[target] += weight[j] * powers[j - i - 1]
        mass = np.float32(0.0)
        for t in range(n_touched):
            mass += total[touched[t]]
        chosen = np.sort(touched[:n_touched])
        chosen = chosen[np.argsort(-total[chosen], kind="mergesort")[:row_limit]]
        while used + len(chosen) > len(items):
            items = np.concatenate((items, np.empty_like(items)))
            weights = np.concatenate((weights, np.empty_like(weights)))
        for target in chosen:
            items[used] = target
            weights[used] = total[target] / (mass + shrinkage)
            used += 1
        sizes[source] = len(chosen)
        for t in range(n_touched):
            total[touched[t]] = 0.0
    return sizes, items[:used].copy(), weights[:used].copy()

"""What follows what, and what goes with what: seven tables over the same pairs of items.

For items a and b, with C_d,W(a, b) the number of times b came 1 to W steps after a, each step beyond the first
counting ``d`` of the one before it, N the sums of their rows, p_b the share of b in all interactions:

    near   C_.7,5 / (N + 10)                                 what follows within a few steps
    about  (C_.9,15 + C_.9,15' / 2) / (N + 5) * (n p_b)^-.3  what is around, the rarer the better
    next   C_1,1 / (N + 3)                                   what comes right after
    lift   log(1 + C_.7,5 / (100 p_b))                       evidence that b comes after a, with its weight
    kin    users of both / sqrt(users of a * users of b)     cosine (Sarwar et al. 2001), within ``reach`` steps
    soon, later                                              the weights of the sequential linear model (ridge.py)

A row keeps the pairs with most ``about``: at 300 of 3,400 that is better than all of them (bench/LOG.md). A value is
kept in a byte: code * |code| * scale of the row and table. Related: FPMC (Rendle et al. 2010), Fossil (He & McAuley
2016).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models.ridge import Ridge
from nextpick.models.rows import occurrences, read_only, weights_of
from nextpick.models.threads import n_threads
from nextpick.models.topk import top_k

TABLES = ("near", "about", "next", "lift", "kin", "soon", "later")
_COLUMNS = 8  # of codes: the tables and a spare one, as many as are added at once (simd.py)
_WINDOW = 15
_SHRINKAGE = np.array([10.0, 5.0, 3.0], np.float32)  # near, about, next
_RARITY, _LIFT_PRIOR = -0.3, 100.0
_ROW_LIMIT, _MOST_PAIRS = 300, 40_000_000
_MOST_STEPS, _MOST_REACH = 400_000_000, 60  # for kin: interactions times reach, steps either way
_CHUNKS = 32


class Pairs(NamedTuple):
    """Rows of pairs, those with most ``about`` first: of item a, entries offsets[a] to offsets[a + 1].

    offsets [n_items+1] int64; items [nnz] int32; codes [nnz, 8] int8; scale [n_items, 8] float32.
    """

    offsets: np.ndarray
    items: np.ndarray
    codes: np.ndarray
    scale: np.ndarray


def count(
    interactions: Interactions, n_items: int, linear: Ridge, check: Callable[[], None] = lambda: None
) -> Pairs:
    """Return the tables of interactions and of the ``linear`` model; a pair counts as much as its second interaction.

    ``check`` is called now and then and may raise. Time O(n * (window + reach)) on all cores, the same bytes on any
    number of them; memory O(pairs kept), 40 million at most, plus O(n_items) a core.
    """
    item, n = read_only(interactions.item), len(interactions.item)
    lengths = np.diff(interactions.offsets)
    bounds = (np.repeat(interactions.offsets[:-1], lengths), np.repeat(interactions.offsets[1:], lengths))
    places, starts = occurrences(item, n_items)
    share = (np.diff(starts) + 1.0) / (n + n_items)
    limit = max(min(_ROW_LIMIT, _MOST_PAIRS // max(n_items, 1)), 16)
    reach = min(max(_MOST_STEPS // (2 * max(n, 1)), _WINDOW), _MOST_REACH)
    fixed = (item, read_only(weights_of(interactions)), *bounds, places, starts, _kernel(), reach,
             share.astype(np.float32), ((share * n_items) ** _RARITY).astype(np.float32), _SHRINKAGE, limit,
             read_only(linear.place), read_only(linear.weights))  # fmt: skip
    cuts = np.searchsorted(starts, np.linspace(0, n, _CHUNKS + 1))
    cuts[0], cuts[-1] = 0, n_items
    parts = []
    with ThreadPoolExecutor(n_threads()) as pool:
        for part in pool.map(lambda cut: _rows(*fixed, *cut), pairwise(cuts.tolist())):
            check()
            parts.append(part)
    sizes, items, codes, scale = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Pairs(np.concatenate(([0], np.cumsum(sizes))), items, codes, scale)


def _kernel() -> np.ndarray:
    """Return what a step from -window to window adds to the counts of near, about, next: float32 [2W+1, 3]."""
    kernel = np.zeros((2 * _WINDOW + 1, 3), np.float32)
    after = np.arange(_WINDOW)
    kernel[_WINDOW + 1 :, 0] = np.where(after < 5, 0.7**after, 0.0)
    kernel[_WINDOW + 1 :, 1] = 0.9**after
    kernel[:_WINDOW, 1] = 0.5 * 0.9 ** after[::-1]
    kernel[_WINDOW + 1, 2] = 1.0
    return kernel


@numba.njit(cache=True, nogil=True)
def _rows(
    item, weight, user_start, user_end, places, starts, kernel, reach, share, rarity, shrinkage, limit, place, linear,
    first, last,
):  # fmt: skip
    """Return the rows of items ``first`` to ``last``: sizes, items, codes, scales."""
    n_items, window = len(starts) - 1, len(kernel) // 2
    counts = np.zeros((n_items, 4), np.float32)  # near, about, next, kin
    known = np.zeros(n_items, np.bool_)
    touched = np.empty(n_items, np.int32)
    about = np.empty(n_items, np.float32)
    sizes = np.zeros(last - first, np.int64)
    scale = np.zeros((last - first, 8), np.float32)
    items = np.empty(1024, np.int32)
    codes = np.zeros((1024, 8), np.int8)
    value = np.zeros((limit, 7), np.float32)
    used = 0
    for a in range(first, last):
        n_touched = 0
        mass = np.zeros(3, np.float32)
        for p in range(starts[a], starts[a + 1]):
            i = places[p]
            for j in range(max(user_start[i], i - reach), min(user_end[i], i + reach + 1)):
                b = item[j]
                if b == a:
                    continue
                if not known[b]:
                    known[b] = True
                    touched[n_touched] = b
                    n_touched += 1
                counts[b, 3] += 1.0
                step = j - i + window
                if 0 <= step <= 2 * window:
                    for t in range(3):
                        x = kernel[step, t] * weight[j]
                        counts[b, t] += x
                        mass[t] += x
        for t in range(3):
            mass[t] += shrinkage[t]
        for k in range(n_touched):
            b = touched[k]
            about[k] = counts[b, 1] / mass[1] * rarity[b]
        kept = top_k(about[:n_touched], limit)
        n_linear = len(linear) if 0 <= place[a] < linear.shape[1] else 0  # it has no row of other items
        size = len(kept)
        for k in range(size):
            b = touched[kept[k]]
            value[k, 0] = counts[b, 0] / mass[0]
            value[k, 1] = about[kept[k]]
            value[k, 2] = counts[b, 2] / mass[2]
            value[k, 3] = np.log1p(counts[b, 0] / (np.float32(100.0) * share[b]))
            users = np.float32(starts[a + 1] - starts[a]) * np.float32(starts[b + 1] - starts[b])
            value[k, 4] = counts[b, 3] / np.sqrt(users)
            for d in range(n_linear):
                value[k, 7 - n_linear + d] = linear[d, place[a], place[b]] if place[b] >= 0 else 0.0
        while used + size > len(items):
            items = np.concatenate((items, np.empty_like(items)))
            codes = np.concatenate((codes, np.zeros_like(codes)))
        for t in range(7):
            if 5 <= t < 7 - n_linear:
                continue
            most = np.float32(1e-30)
            for k in range(size):
                most = max(most, abs(value[k, t]))
            scale[a - first, t] = most / np.float32(127.0 * 127.0)
            for k in range(size):
                codes[used + k, t] = np.int8(
                    np.rint(127.0 * np.sign(value[k, t]) * np.sqrt(abs(value[k, t]) / most))
                )
        for k in range(size):
            items[used + k] = touched[kept[k]]
        used += size
        sizes[a - first] = size
        for k in range(n_touched):
            known[touched[k]] = False
            counts[touched[k]] = 0.0
    return sizes, items[:used].copy(), codes[:used].copy(), scale

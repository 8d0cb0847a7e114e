"""A sequential linear model: the next item by ridge regression on the decayed history of the items most taken.

At each step t of a user, x_t has for each decay d the history as sum over ages k of d^k e(h_k); y_t is the next
item, one-hot. B = (X'X + L)^-1 X'Y needs no X: with C_d the counts of pairs a then b, each further step counting d,

    (X'Y)[d a, b]    = C_d(a, b)
    (X'X)[d a, e b]  = sum over pairs, a before b: d^gap (1 - (de)^rest) / (1 - de), b before a: e^gap ...,

where ``rest`` is how many steps the user goes on after the later one. So it costs one count and one solve. Of a large
catalogue the items most taken are inputs, more of them outputs, and the slowest decay is the only one, a quarter of the
work for nearly all of the gain. Source: SLIST (Choi et al. 2021), EASE (Steck 2019); the closed form of the sums is
elementary.

I: inputs, O: outputs, the first I of them the same items; D: decays.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models.rows import occurrences, read_only
from nextpick.models.threads import n_threads

DECAYS = (0.5, 0.85)
SPANS = (8, 24)  # ages of the history that a decay reads
_PENALTY = 500.0
_LEAST_PER_ITEM, _MOST_OUTPUTS = 5, 8192
_SMALL, _INPUTS = 4096, 2048  # of at most so many outputs all are inputs; of more, so many
_BLOCK = 512  # rows that are eliminated at a time
_CHUNKS = 32


class Ridge(NamedTuple):
    """B: place [n_items] int32, an item's rank among those most taken, which is its row and column, or -1; weights
    [D, I, O] float32, of the last D of DECAYS."""

    place: np.ndarray
    weights: np.ndarray


def fit(interactions: Interactions, n_items: int, check: Callable[[], None] = lambda: None) -> Ridge:
    """Return the model of the items with 5 interactions or more, at most 8,192; ``check`` may raise.

    Of more than 4,096 the first 2,048 are inputs. Time O(n * span + (D I)^2 O), memory 4 (D I)^2 + 4 D I O bytes.
    """
    item = read_only(interactions.item)
    taken = np.bincount(item, minlength=n_items)
    outputs = np.argsort(-taken, kind="stable")[: np.count_nonzero(taken >= _LEAST_PER_ITEM)]
    outputs = outputs[:_MOST_OUTPUTS].astype(np.int32)
    place = np.full(n_items, -1, np.int32)
    place[outputs] = np.arange(len(outputs), dtype=np.int32)
    inputs, first = (outputs, 0) if len(outputs) <= _SMALL else (outputs[:_INPUTS], len(DECAYS) - 1)
    decays, spans = np.array(DECAYS[first:], np.float32), np.array(SPANS[first:], np.int64)
    gram, follows = _counts(interactions, item, inputs, len(outputs), place, decays, spans, check)
    gram[np.diag_indices(len(gram))] += np.float32(_PENALTY)
    _solve(gram, follows, check)
    return Ridge(place, follows.reshape(len(decays), len(inputs), len(outputs)))


def _solve(a: np.ndarray, b: np.ndarray, check: Callable[[], None]) -> None:
    """Turn ``b`` into A^-1 B in place, by elimination of blocks; ``a``, symmetric and positive definite, is used up.

    ``numpy.linalg.solve`` does it in float64: more than twice the time, three times the memory.
    """
    n = len(a)
    for k in range(0, n, _BLOCK):
        check()
        end = k + _BLOCK
        inverse = np.linalg.inv(a[k:end, k:end])
        right = inverse @ a[k:end, end:]
        b[k:end] = inverse @ b[k:end]
        for i in range(end, n, _BLOCK):
            rows = slice(i, i + _BLOCK)
            below = a[k:end, rows].T  # the block at [rows, k:end], by symmetry
            a[rows, i:] -= below @ right[:, i - end :]
            b[rows] -= below @ b[k:end]
        a[k:end, end:] = right
    for k in reversed(range(0, n, _BLOCK)):
        check()
        end = k + _BLOCK
        b[k:end] -= a[k:end, end:] @ b[end:]


def _counts(
    interactions: Interactions,
    item: np.ndarray,
    inputs: np.ndarray,
    n_outputs: int,
    place: np.ndarray,
    decays: np.ndarray,
    spans: np.ndarray,
    check: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Return X'X float32 [D I, D I] and X'Y float32 [D I, O]."""
    lengths, n_rows = np.diff(interactions.offsets), len(decays) * len(inputs)
    starts_of = np.repeat(interactions.offsets[:-1], lengths)
    ends_of = np.repeat(interactions.offsets[1:], lengths)
    places, starts = occurrences(item, len(place))
    gram, follows = np.zeros((n_rows, n_rows), np.float32), np.zeros((n_rows, n_outputs), np.float32)
    so_far = np.concatenate(([0], np.cumsum(np.diff(starts)[inputs])))
    edges = np.searchsorted(so_far, np.linspace(0, so_far[-1], _CHUNKS + 1)).tolist()

    def count(cut: tuple[int, int]) -> None:
        _count(item, starts_of, ends_of, places, starts, inputs, place, decays, spans, *cut, gram, follows)

    with ThreadPoolExecutor(n_threads()) as pool:
        for _ in pool.map(count, pairwise(edges)):
            check()
    return gram, follows


@numba.njit(cache=True, nogil=True)
def _count(
    item, user_start, user_end, places, starts, inputs, place, decays, spans, first, last, gram, follows
):
    """Add to the rows of X'X and X'Y of the inputs ``first`` to ``last``."""
    m = len(inputs)
    for row in range(first, last):
        for p in range(starts[inputs[row]], starts[inputs[row] + 1]):
            i = places[p]
            end = user_end[i] - 1  # the last item is no history of any step
            for d in range(len(decays)):
                x = np.float32(1.0)
                for j in range(i + 1, min(end + 1, i + 1 + spans[d])):
                    b = place[item[j]]
                    if b >= 0:
                        follows[d * m + row, b] += x
                    x *= decays[d]
                if i >= end:
                    continue
                for e in range(len(decays)):
                    both = decays[d] * decays[e]
                    span = max(spans[d], spans[e])
                    rest = (np.float32(1.0) - both ** np.float32(end - i)) / (np.float32(1.0) - both)
                    gram[d * m + row, e * m + row] += rest
                    x = rest * decays[e]
                    for j in range(i - 1, max(user_start[i], i - span) - 1, -1):
                        b = place[item[j]]
                        if 0 <= b < m:
                            gram[d * m + row, e * m + b] += x
                        x *= decays[e]
                    x = decays[d]
                    left = both ** np.float32(end - i - 1)
                    for j in range(i + 1, min(end, i + span + 1)):
                        b = place[item[j]]
                        if 0 <= b < m:
                            gram[d * m + row, e * m + b] += (
                                x * (np.float32(1.0) - left) / (np.float32(1.0) - both)
                            )
                        x *= decays[d]
                        left /= both

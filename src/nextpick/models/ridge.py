"""A sequential linear model: the next item by ridge regression on the decayed history, of catalogues that it fits.

At each step t of a user, x_t has for each decay d the history as sum over ages k of d^k e(h_k); y_t is the next
item, one-hot. B = (X'X + L)^-1 X'Y needs no X: with C_d the counts of pairs a then b, each further step counting d,

    (X'Y)[d a, b]    = C_d(a, b)
    (X'X)[d a, e b]  = sum over pairs, a before b: d^gap (1 - (de)^rest) / (1 - de), b before a: e^gap ...,

where ``rest`` is how many steps the user goes on after the later one. So it costs one count and one solve. Source:
SLIST (Choi et al. 2021), EASE (Steck 2019); the closed form of the sums is elementary.
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
_MOST_ITEMS, _LEAST_PER_ITEM = 4096, 5
_CHUNKS = 32


class Ridge(NamedTuple):
    """B over m items: place [n_items] int32, an item's row or -1; weights [decays, m, m] float32."""

    place: np.ndarray
    weights: np.ndarray


def fit(interactions: Interactions, n_items: int, check: Callable[[], None] = lambda: None) -> Ridge:
    """Return the model of the items with 5 interactions or more; of none where these are more than 4,096.

    Time O(n * span + m^3), memory 50 m^2 bytes.
    """
    item = read_only(interactions.item)
    taken = np.bincount(item, minlength=n_items)
    items = np.flatnonzero(taken >= _LEAST_PER_ITEM).astype(np.int32)
    if len(items) > _MOST_ITEMS:
        items = items[:0]
    m = len(items)
    place = np.full(n_items, -1, np.int32)
    place[items] = np.arange(m, dtype=np.int32)
    if m == 0:
        return Ridge(place, np.zeros((0, 0, 0), np.float32))
    gram, follows = _counts(interactions, item, place, items, check)
    gram[np.diag_indices(len(gram))] += np.float32(_PENALTY)
    return Ridge(place, np.linalg.solve(gram, follows).reshape(len(DECAYS), m, m))


def _counts(
    interactions: Interactions,
    item: np.ndarray,
    place: np.ndarray,
    items: np.ndarray,
    check: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Return X'X float32 [decays * m, decays * m] and X'Y float32 [decays * m, m]."""
    lengths, m = np.diff(interactions.offsets), len(items)
    starts_of = np.repeat(interactions.offsets[:-1], lengths)
    ends_of = np.repeat(interactions.offsets[1:], lengths)
    places, starts = occurrences(item, len(place))
    gram = np.zeros((len(DECAYS) * m, len(DECAYS) * m), np.float32)
    follows = np.zeros((len(DECAYS) * m, m), np.float32)
    cuts = np.searchsorted(np.cumsum(np.diff(starts)[items]), np.linspace(0, len(item), _CHUNKS + 1)[1:-1])
    edges = [0, *cuts.tolist(), m]
    decays, spans = np.array(DECAYS, np.float32), np.array(SPANS, np.int64)

    def count(cut: tuple[int, int]) -> None:
        _count(item, starts_of, ends_of, places, starts, items, place, decays, spans, *cut, gram, follows)

    with ThreadPoolExecutor(n_threads()) as pool:
        for _ in pool.map(count, pairwise(edges)):
            check()
    return gram, follows


@numba.njit(cache=True, nogil=True)
def _count(
    item, user_start, user_end, places, starts, items, place, decays, spans, first, last, gram, follows
):
    """Add to the rows of X'X and X'Y of the model's items ``first`` to ``last``."""
    m = len(items)
    for row in range(first, last):
        for p in range(starts[items[row]], starts[items[row] + 1]):
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
                        if b >= 0:
                            gram[d * m + row, e * m + b] += x
                        x *= decays[e]
                    x = decays[d]
                    left = both ** np.float32(end - i - 1)
                    for j in range(i + 1, min(end, i + span + 1)):
                        b = place[item[j]]
                        if b >= 0:
                            gram[d * m + row, e * m + b] += (
                                x * (np.float32(1.0) - left) / (np.float32(1.0) - both)
                            )
                        x *= decays[d]
                        left /= both

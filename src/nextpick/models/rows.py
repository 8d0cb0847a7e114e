"""Sparse rows, and where things occur: what counting algorithms share."""

from typing import NamedTuple

import numba
import numpy as np

from nextpick.data.dataset import Interactions


class Rows(NamedTuple):
    """Sparse rows, heaviest first: offsets [n+1] int64, items [nnz] int32, weights [nnz] float32.

    Of equal weights in a row the lower item comes first.
    """

    offsets: np.ndarray
    items: np.ndarray
    weights: np.ndarray


def read_only(array: np.ndarray) -> np.ndarray:
    """Return an array as compiled code takes it: contiguous, and not to be written.

    To numba an array that may be written and one that may not are two types. What is mapped may not, so all
    that stands for it must not: else each function is compiled twice, the second time while someone waits.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def weights_of(interactions: Interactions) -> np.ndarray:
    """Return how much each interaction counts, float32 [n]."""
    if interactions.weight is None:
        return np.ones(len(interactions.item), np.float32)
    return interactions.weight


def occurrences(item: np.ndarray, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of each item in ``item`` [n] int32, int64 [n], and where each item's begin [n_items+1]."""
    starts = np.zeros(n_items + 1, np.int64)
    np.cumsum(np.bincount(item, minlength=n_items), out=starts[1:])
    return _places(item, starts), starts


@numba.njit(cache=True)
def _places(item: np.ndarray, starts: np.ndarray) -> np.ndarray:
    places = np.empty(len(item), np.int64)
    next_place = starts[:-1].copy()
    for i in range(len(item)):
        places[next_place[item[i]]] = i
        next_place[item[i]] += 1
    return places


@numba.njit(cache=True)
def times(offsets, codes, weights, dense):
    """Return the product of sparse rows with ``dense`` float32 [m, d], float32 [n, d]; codes below m."""
    out = np.zeros((len(offsets) - 1, dense.shape[1]), np.float32)
    for i in range(len(out)):
        for p in range(offsets[i], offsets[i + 1]):
            for d in range(dense.shape[1]):
                out[i, d] += weights[p] * dense[codes[p], d]
    return out


@numba.njit(cache=True)
def transposed_times(offsets, codes, weights, dense, n_codes):
    """Return the product of the transpose of sparse rows with ``dense`` float32 [n, d], float32 [n_codes, d]."""
    out = np.zeros((n_codes, dense.shape[1]), np.float32)
    for i in range(len(offsets) - 1):
        for p in range(offsets[i], offsets[i + 1]):
            for d in range(dense.shape[1]):
                out[codes[p], d] += weights[p] * dense[i, d]
    return out

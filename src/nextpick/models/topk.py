"""The k best of many scores; among equals the lower row wins."""

import numba
import numpy as np

from nextpick.models.simd import most32, most32_of

_BLOCK = 32  # scores that most32 looks at


@numba.njit(cache=True)
def top_k(scores: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """Return the rows of the ``k`` highest scores [n] float32, best first, as int32; equal to a stable argsort.

    allowed: bool [n], the rows to choose among; fewer than ``k`` are returned when there are not as many.
    The k-th best of the blocks' maxima is a bound that only a few scores reach; only blocks with one are read
    again. Scores must not be NaN.
    """
    scores = np.ascontiguousarray(scores)
    k = min(k, len(scores))
    if k <= 0:
        return np.empty(0, np.int32)
    n_blocks = len(scores) // _BLOCK
    value = np.empty(k, np.float32)
    row = np.empty(k, np.int32)
    if n_blocks <= k:
        size = _push(scores, allowed, 0, len(scores), -np.inf, value, row, 0)
    else:
        if allowed is None:
            maxima = _maxima(scores, n_blocks)
        else:
            maxima = _maxima_among(scores, np.ascontiguousarray(allowed), n_blocks)
        _push(maxima, None, 0, n_blocks, -np.inf, value, row, 0)
        bound = value[0]
        size = 0
        for block in range(n_blocks):
            if maxima[block] >= bound:
                size = _push(scores, allowed, block * _BLOCK, (block + 1) * _BLOCK, bound, value, row, size)
        size = _push(scores, allowed, n_blocks * _BLOCK, len(scores), bound, value, row, size)
    for end in range(size - 1, 0, -1):
        value[0], value[end] = value[end], value[0]
        row[0], row[end] = row[end], row[0]
        _sink(value, row, end)
    return row[:size]


@numba.njit(cache=True)
def rounded(scores: np.ndarray, rows: np.ndarray, decimals: int) -> np.ndarray:
    """Return the scores [n] of rows [k], rounded, as float64 [k]."""
    scale = 10.0**decimals
    values = np.empty(len(rows), np.float64)
    for i in range(len(rows)):
        values[i] = np.rint(np.float64(scores[rows[i]]) * scale) / scale
    return values


@numba.njit(cache=True)
def _maxima(scores, n_blocks):
    maxima = np.empty(n_blocks, np.float32)
    for block in range(n_blocks):
        maxima[block] = most32(scores, block * _BLOCK)
    return maxima


@numba.njit(cache=True)
def _maxima_among(scores, allowed, n_blocks):
    maxima = np.empty(n_blocks, np.float32)
    for block in range(n_blocks):
        maxima[block] = most32_of(scores, block * _BLOCK, allowed)
    return maxima


@numba.njit(cache=True)
def _push(scores, allowed, start, end, bound, value, row, size):
    """Offer scores of at least ``bound``, in order of rows, to a heap with its worst on top; return its size."""
    k = len(value)
    for i in range(start, end):
        s = scores[i]
        if s < bound:
            continue
        if allowed is not None and not allowed[i]:
            continue
        if size < k:
            value[size], row[size] = s, i
            child = size
            size += 1
            while child > 0:
                parent = (child - 1) >> 1
                if value[parent] < value[child] or (
                    value[parent] == value[child] and row[parent] > row[child]
                ):
                    break
                value[parent], value[child] = value[child], value[parent]
                row[parent], row[child] = row[child], row[parent]
                child = parent
        elif s > value[0]:
            value[0], row[0] = s, i
            _sink(value, row, k)
    return size


@numba.njit(cache=True)
def _sink(value, row, size):
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            return
        other = child + 1
        if other < size and (
            value[other] < value[child] or (value[other] == value[child] and row[other] > row[child])
        ):
            child = other
        if value[parent] < value[child] or (value[parent] == value[child] and row[parent] > row[child]):
            return
        value[parent], value[child] = value[child], value[parent]
        row[parent], row[child] = row[child], row[parent]
        parent = child

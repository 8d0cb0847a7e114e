"""The k best of many scores, in one pass; among equals the lower row wins."""

import numba
import numpy as np


@numba.njit(cache=True)
def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the rows of the ``k`` highest scores [n] float32, best first, as int32; equal to a stable argsort.

    A heap of the k best so far has its worst on top: most scores are compared once and dropped.
    """
    k = min(k, len(scores))
    if k <= 0:
        return np.empty(0, np.int32)
    value = np.empty(k, np.float32)
    row = np.empty(k, np.int32)
    size = 0
    for i in range(len(scores)):
        s = scores[i]
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
    for end in range(k - 1, 0, -1):
        value[0], value[end] = value[end], value[0]
        row[0], row[end] = row[end], row[0]
        _sink(value, row, end)
    return row


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

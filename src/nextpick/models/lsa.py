"""Latent semantic analysis: items as points, near each other when their texts have words of like use.

    X = tf-idf [n_items, n_terms], rows of length 1;  X ~ U S V^T;  an item is its row of U S, of length 1 again

Term frequencies are damped, 1 + log tf; the inverse document frequency is log((n + 1) / (df + 1)) + 1. The singular
vectors are found by random projection (Halko, Martinsson, Tropp 2011). Points are kept as bytes, which costs a
hundredth of a cosine and makes a scan of a million items one of 64 MB. Source: Deerwester et al. 1990.
"""

import numba
import numpy as np

from nextpick.data.dataset import Terms
from nextpick.models.rows import read_only, times, transposed_times

DIMENSIONS = 64
_SPARE, _POWERS = 10, 2
SCALE = 127.0


def points(terms: Terms, rng: np.random.Generator) -> np.ndarray:
    """Return an item's point, int8 [n_items, at most 64], 127 times unit length; zeros for one without terms."""
    n_items = len(terms.offsets) - 1
    width = min(DIMENSIONS + _SPARE, n_items, terms.n_terms)
    if width == 0:
        return np.zeros((n_items, 1), np.int8)
    offsets, codes = read_only(terms.offsets), read_only(terms.codes)
    weights = read_only(_tf_idf(terms))
    sketch = rng.standard_normal((terms.n_terms, width)).astype(np.float32)
    basis = times(offsets, codes, weights, sketch)
    for _ in range(_POWERS):
        basis = np.linalg.qr(basis)[0]
        basis = times(
            offsets, codes, weights, transposed_times(offsets, codes, weights, basis, terms.n_terms)
        )
    basis = np.ascontiguousarray(np.linalg.qr(basis)[0])
    small = transposed_times(offsets, codes, weights, basis, terms.n_terms)  # (Q^T X)^T
    left, strength, _ = np.linalg.svd(small.T, full_matrices=False)
    found = (basis @ left[:, :DIMENSIONS]) * strength[:DIMENSIONS]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    # what lies off the found directions counts as far from everything, not as noise made long
    found /= np.where(length > 1e-3, length, np.inf)
    return np.rint(found * SCALE).astype(np.int8)


@numba.njit(cache=True)
def cosines(points, a, out):
    """Write the cosine of item ``a`` with every item to ``out`` [n_items] float32."""
    for i in range(len(points)):
        total = np.int32(0)
        for d in range(points.shape[1]):
            total += np.int32(points[i, d]) * np.int32(points[a, d])
        out[i] = np.float32(total) / np.float32(16129.0)


def _tf_idf(terms: Terms) -> np.ndarray:
    n_items = len(terms.offsets) - 1
    frequency = np.bincount(terms.codes, minlength=terms.n_terms)
    idf = np.log((n_items + 1) / (frequency + 1)) + 1.0
    weights = (1.0 + np.log(terms.counts)) * idf[terms.codes]
    row = np.repeat(np.arange(n_items), np.diff(terms.offsets))
    length = np.sqrt(np.bincount(row, weights=weights**2, minlength=n_items))
    return (weights / length[row]).astype(np.float32)

"""Where the embeddings of items begin: factors of how much likelier than by chance two items are near each other.

    M = V + V^T,   v_ij = max(log(w_ij / p_j), 0),   M ~ Q L Q^T,   start_i = row i of Q |L|^(1/2), scaled

w_ij is how much of what follows item i is j (transitions.py), p_j the share of j in all. Such factors are what word2vec
converges to (Levy and Goldberg 2014); beginning there spares the network most of the epochs it would need to find them.
The factors are found by random projection (Halko, Martinsson, Tropp 2011).
"""

import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models import transitions
from nextpick.models.rows import read_only, times, transposed_times

_WINDOW, _DECAY, _SHRINKAGE, _ROW_LIMIT = 5, 0.8, 1.0, 300
_SPARE, _POWERS = 10, 2
STD = 0.1


def factors(interactions: Interactions, n_items: int, width: int) -> np.ndarray:
    """Return the start of each item, float32 [n_items, width]; zeros for one that nothing is known of."""
    rows = transitions.count(
        interactions, n_items, window=_WINDOW, decay=_DECAY, shrinkage=_SHRINKAGE, row_limit=_ROW_LIMIT
    )
    share = np.bincount(interactions.item, minlength=n_items) / max(len(interactions.item), 1)
    likelier = np.maximum(np.log(rows.weights / share[rows.items]), 0).astype(np.float32)
    offsets, near, logs = (read_only(array) for array in (rows.offsets, rows.items, likelier))
    rank = min(width, n_items)

    def product(dense: np.ndarray) -> np.ndarray:
        """M @ dense."""
        return times(offsets, near, logs, dense) + transposed_times(offsets, near, logs, dense, n_items)

    rng = np.random.default_rng(0)
    basis = product(rng.standard_normal((n_items, min(rank + _SPARE, n_items))).astype(np.float32))
    for _ in range(_POWERS):
        basis = product(np.ascontiguousarray(np.linalg.qr(basis)[0]))
    basis = np.ascontiguousarray(np.linalg.qr(basis)[0])
    values, vectors = np.linalg.eigh(basis.T @ product(basis))
    strongest = np.argsort(-np.abs(values), kind="stable")[:rank]
    found = np.zeros((n_items, width), np.float32)
    found[:, :rank] = (basis @ vectors[:, strongest]) * np.sqrt(np.abs(values[strongest]))
    spread = found.std()
    return found * np.float32(STD / spread) if spread > 0 else found

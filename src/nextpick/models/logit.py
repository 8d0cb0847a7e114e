"""Conditional logit (McFadden 1974): weights of features under which the item that was taken is likeliest.

Of each query, the taken item among candidates with features x_c and offsets o_c has the probability

    p(taken) = exp(w x_taken + o_taken) / sum over c of exp(w x_c + o_c),

and w has the highest sum of log p less 3 |w sd|^2, as if weights were drawn around 0: concave, so Newton's steps,
damped (Marquardt 1963) while they lead too far, reach it in some ten passes. Of many queries most of these go over some
of them only, from whose weights those of all are near.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numba
import numpy as np

from nextpick.models.threads import n_threads

_PRIOR = 3.0
_MOST_PASSES, _CLOSE = 30, 1e-5
_CHUNKS = 16
_SOME, _FEW = 4, 400  # of so many one is looked at first, where these are enough
_SPREAD_OVER = 250


class Choices(NamedTuple):
    """Q queries of at most C candidates: features [Q, C, D] float32; offsets [Q, C] float32, -inf where there is no
    candidate; taken [Q] int64, the place of the taken one; weight [Q] float32, how much a query counts."""

    features: np.ndarray
    offsets: np.ndarray
    taken: np.ndarray
    weight: np.ndarray

    def only(self, rows: np.ndarray) -> "Choices":
        """Return those of some rows."""
        return Choices(*(array[rows] for array in self))


def fit(
    choices: Choices, start: np.ndarray | None = None, check: Callable[[], None] = lambda: None
) -> np.ndarray:
    """Return the weights float64 [D], sought from ``start``; the same bytes on any number of threads. ``check`` may
    raise."""
    n_queries, _, n_columns = choices.features.shape
    if start is None and n_queries >= _SOME * _FEW:
        start = fit(choices.only(np.arange(0, n_queries, _SOME)), check=check)
    sd = _spread(choices)
    used = sd > 1e-6
    sd = np.where(used, sd, 1.0)
    edges = np.linspace(0, n_queries, _CHUNKS + 1).astype(int).tolist()
    firsts, lasts = edges[:-1], edges[1:]
    total = float(choices.weight.sum())
    penalty = _PRIOR / max(total, 1.0)
    best, reached, damping = np.zeros(n_columns), -np.inf, 1.0 if start is None else 1 / 64
    w, slope, bend = best if start is None else start * sd, best, np.eye(n_columns)
    with ThreadPoolExecutor(n_threads()) as pool:
        for _ in range(_MOST_PASSES):
            check()
            given = (w / sd).astype(np.float32)
            parts = list(pool.map(partial(_sums, *choices, given), firsts, lasts))
            value = sum(part[0] for part in parts) / total - penalty * w @ w
            gained = value - reached
            if gained > 0:
                best, reached, damping = w, value, damping / 8
                slope = np.where(used, sum(part[1] for part in parts) / sd / total - 2 * penalty * w, 0.0)
                bend = sum(part[2] for part in parts) / np.outer(sd, sd) / total + 2 * penalty * np.eye(
                    n_columns
                )
            else:
                damping *= 4
            if abs(gained) < _CLOSE:
                break
            w = best + np.linalg.solve(bend + damping * np.diag(np.where(used, bend.diagonal(), 1.0)), slope)
    return best / sd


def _spread(choices: Choices) -> np.ndarray:
    """Return the standard deviation of each column over the candidates of some queries, float64 [D]."""
    some = slice(None, None, max(len(choices.features) // _SPREAD_OVER, 1))
    there = np.isfinite(choices.offsets[some])
    if not there.any():
        return np.zeros(choices.features.shape[2])
    return choices.features[some][there].astype(np.float64).std(axis=0)


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def _sums(features, offsets, taken, weight, w, first, last):
    """Return of queries ``first`` to ``last`` the sum of log p, its slope [D] and minus its bend [D, D]."""
    n_candidates, n_columns = features.shape[1], features.shape[2]
    value, slope, bend = 0.0, np.zeros(n_columns), np.zeros((n_columns, n_columns))
    p = np.empty(n_candidates, np.float32)
    mean, square = np.empty(n_columns, np.float32), np.empty((n_columns, n_columns), np.float32)
    for q in range(first, last):
        most = np.float32(-1e30)
        for c in range(n_candidates):
            logit = offsets[q, c]
            for d in range(n_columns):
                logit += w[d] * features[q, c, d]
            p[c] = logit
            most = max(most, logit)
        mass = np.float32(0.0)
        for c in range(n_candidates):
            p[c] = np.exp(p[c] - most) if offsets[q, c] > np.float32(-1e30) else np.float32(0.0)
            mass += p[c]
        mean[:] = 0.0
        square[:] = 0.0
        for c in range(n_candidates):
            share = p[c] / mass
            if share < np.float32(1e-6):
                continue
            for d in range(n_columns):
                x = share * features[q, c, d]
                mean[d] += x
                for e in range(d + 1):
                    square[d, e] += x * features[q, c, e]
        value += weight[q] * np.log(max(p[taken[q]] / mass, np.float32(1e-30)))
        for d in range(n_columns):
            slope[d] += weight[q] * (features[q, taken[q], d] - mean[d])
            for e in range(d + 1):
                x = weight[q] * (square[d, e] - mean[d] * mean[e])
                bend[d, e] += x
                if e < d:
                    bend[e, d] += x
    return value, slope, bend


def ranks(choices: Choices, w: np.ndarray) -> np.ndarray:
    """Return how many items are ahead of each taken one, float64 [Q]; a candidate stands for e^offset items."""
    logits = choices.features @ w.astype(np.float32)
    own = np.take_along_axis(logits, choices.taken[:, None], axis=1)
    return np.where(logits > own, np.exp(choices.offsets), 0.0).sum(axis=1, dtype=np.float64)

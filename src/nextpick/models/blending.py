"""How much of two models: a log-linear blend whose weights are learnt on queries that neither has seen.

    p(i) ~ p_1(i)^a * exp(b z_2(i))          p_1 probabilities, z_2 logits

(a, b) is a conditional logit (McFadden 1974) over each query's best candidates of both models, for each length of
history, drawn towards that of all lengths. b is 0 unless two-fold validation is sure that the blend ranks better than
the first model alone, so that a second model which does not help does not hurt.
"""

from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models.topk import top_k

_LEAST_LENGTHS = (1, 4, 10, 25)  # of the history in each bucket
N_BUCKETS = len(_LEAST_LENGTHS)
_MOST_HELD, _HELD_SHARE, _LEAST_LENGTH = 5000, 0.05, 3  # users, share of the interactions, events of a user
_REPEATS = 0.05  # share of events with an item taken before, below which that is no candidate
_CANDIDATES = 200  # of each model
_LEAST_QUERIES = 50
_RIDGE = 1.0  # queries' worth of belief in (1, 0)
_TOWARDS_ALL = 50.0  # queries' worth of belief, for one length, in the weights of all
_STEPS = 30
_CUT = 10
_SURE = 1.645  # standard errors: one in twenty useless models would pass
_TINY = np.float32(1e-20)
ALONE = np.array([1.0, 0.0])


class Held(NamedTuple):
    """Users in random order, int64 [q], whose newest event, row ``at`` int64 [q] of the interactions, is held out;
    ``repeats``: whether users take again what they have taken."""

    users: np.ndarray
    at: np.ndarray
    repeats: bool

    def rest(self, interactions: Interactions) -> Interactions:
        """Return the interactions that are not held out."""
        kept = np.ones(len(interactions.item), bool)
        kept[self.at] = False
        return interactions.only(kept)


def hold_out(interactions: Interactions, rng: np.random.Generator) -> Held:
    """Hold out the newest event of users with three events or more: of 5,000 at most, a twentieth of all events."""
    able = np.flatnonzero(np.diff(interactions.offsets) >= _LEAST_LENGTH)
    n = min(len(able), _MOST_HELD, int(len(interactions.item) * _HELD_SHARE))
    users = rng.choice(able, n, replace=False)
    item, first, at = interactions.item, interactions.offsets[users], interactions.offsets[users + 1] - 1
    again = [item[end] in item[start:end] for start, end in zip(first, at, strict=True)]
    return Held(users, np.asarray(at), bool(np.mean(again) >= _REPEATS) if again else True)


class Case(NamedTuple):
    """A query's candidates: x [c, 2] float64, log p_1 and z_2 of each, the target first; ``bucket`` of its history."""

    x: np.ndarray
    bucket: int


class Weights(NamedTuple):
    """Chosen weights float32 [N_BUCKETS, 2]; mean NDCG@10 of the first model alone and of the blend, on the half of
    the queries that each half's weights were not learnt on."""

    weights: np.ndarray
    alone: float
    blended: float


def bucket(length: int) -> int:
    """Return the bucket of a history's length, which is at least 1."""
    return bisect_right(_LEAST_LENGTHS, length) - 1


def blend(p: np.ndarray, z: np.ndarray, weights: np.ndarray) -> None:
    """Make probabilities ``p`` float32 [n] those of the blend with the logits ``z`` float32 [n]."""
    a, b = weights
    np.maximum(p, _TINY, out=p)
    np.log(p, out=p)
    p *= a
    p += b * z
    p -= p.max()
    np.exp(p, out=p)
    p /= p.sum()


def case(p: np.ndarray, z: np.ndarray, target: int, length: int, left_out: np.ndarray) -> Case | None:
    """Return a query as a case, None when neither model has the target among its best.

    left_out: rows of items that are no candidates.
    """
    first, second = p.copy(), z.copy()
    for scores in (first, second):
        scores[left_out] = -np.inf
        scores[target] = p[target] if scores is first else z[target]
    k = min(_CANDIDATES, len(p))
    found = np.union1d(top_k(first, k), top_k(second, k))
    found = found[np.isfinite(first[found])]
    others = found[found != target]
    if len(others) == len(found) or len(others) == 0:
        return None
    rows = np.concatenate(([target], others))
    x = np.stack((np.log(np.maximum(p[rows], _TINY)), z[rows]), axis=1).astype(np.float64)
    return Case(x, bucket(length))


def choose(cases: list[Case]) -> Weights:
    """Return the weights for cases, which are in random order; those of the first model alone where the second does
    not help."""
    if len(cases) < _LEAST_QUERIES:
        return Weights(np.tile(ALONE, (N_BUCKETS, 1)).astype(np.float32), 0.0, 0.0)
    halves = (cases[::2], cases[1::2])
    learnt = [_learn(half) for half in halves]
    alone = np.array([_gain(one, ALONE) for half in halves for one in half])
    crossed = zip(halves, reversed(learnt), strict=True)
    blended = np.array([_gain(one, weights[one.bucket]) for half, weights in crossed for one in half])
    better = blended - alone
    helps = better.mean() > _SURE * better.std() / np.sqrt(len(better))
    weights = _learn(cases) if helps else np.tile(ALONE, (N_BUCKETS, 1))
    return Weights(weights.astype(np.float32), float(alone.mean()), float(blended.mean()))


def _learn(cases: list[Case]) -> np.ndarray:
    """Return weights [N_BUCKETS, 2]."""
    everywhere = _logit(cases, ALONE, _RIDGE)
    by_bucket = ([one for one in cases if one.bucket == b] for b in range(N_BUCKETS))
    return np.stack([_logit(some, everywhere, _TOWARDS_ALL) for some in by_bucket])


def _logit(cases: list[Case], prior: np.ndarray, strength: float) -> np.ndarray:
    """Return (a, b), neither negative, that make the targets likeliest: Newton's method on a concave likelihood."""
    if not cases:
        return prior
    size = max(len(one.x) for one in cases)
    x = np.zeros((len(cases), size, 2))
    real = np.zeros((len(cases), size), bool)
    for row, one in enumerate(cases):
        x[row, : len(one.x)] = one.x - one.x[0]  # the target is zero
        real[row, : len(one.x)] = True
    w, free = prior.copy(), np.ones(2, bool)
    for _ in range(_STEPS):
        z = np.where(real, x @ w, -np.inf)
        q = np.exp(z - z.max(1, keepdims=True))
        q /= q.sum(1, keepdims=True)
        weighed = x * q[:, :, None]
        mean = weighed.sum(1)
        spread = weighed.reshape(-1, 2).T @ x.reshape(-1, 2) - mean.T @ mean + strength * np.eye(2)
        slope = mean.sum(0) + strength * (w - prior)
        step = np.zeros(2)
        step[free] = np.linalg.solve(spread[np.ix_(free, free)], slope[free])
        w = w - step
        free &= w > 0  # a weight that wants to be negative stays zero
        w = np.maximum(w, 0.0)
        if np.abs(step).max() < 1e-6:
            break
    return w


def _gain(one: Case, weights: np.ndarray) -> float:
    """Return the target's NDCG@10 under weights; ties go against it."""
    scores = one.x @ weights
    rank = np.count_nonzero(scores[1:] >= scores[0])
    return 1.0 / np.log2(rank + 2.0) if rank < _CUT else 0.0

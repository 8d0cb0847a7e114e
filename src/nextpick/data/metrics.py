"""Metrics of ranked lists, by the definitions Amazon Personalize publishes.

Source: developer guide, "Evaluating a solution version with metrics". ``ranked`` is [n_queries, at least k]
rows of items, best first; ``truths`` the set of relevant rows of each query. Each is a mean over the queries.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

CUTOFFS = (5, 10, 25)
_AT_CUTOFFS = ("normalized_discounted_cumulative_gain", "precision")
# The eight of a recommendation recipe, in the order of their names.
METRICS = tuple(
    sorted(
        [
            "coverage",
            "mean_reciprocal_rank_at_25",
            *(f"{name}_at_{k}" for name in _AT_CUTOFFS for k in CUTOFFS),
        ]
    )
)


def personalize_metrics(
    ranked: np.ndarray, truths: Sequence[AbstractSet[int]], n_items: int
) -> dict[str, float]:
    """Return the eight metrics of a recommendation recipe, rounded to 4 decimals, in the order of their names."""
    result = {name: _mean(values) for name, values in values_by_query(ranked, truths).items()}
    result["coverage"] = len(np.unique(ranked)) / max(n_items, 1)
    return {name: round(float(result[name]), 4) for name in METRICS}


def values_by_query(ranked: np.ndarray, truths: Sequence[AbstractSet[int]]) -> dict[str, np.ndarray]:
    """Return what those of METRICS that are means are means of, float64 [n_queries] by name: all but coverage."""
    hits = hit_matrix(ranked, truths)
    sizes = np.array([len(truth) for truth in truths], np.int64)
    result = {"mean_reciprocal_rank_at_25": reciprocal_ranks(hits, 25)}
    for k in CUTOFFS:
        result[f"normalized_discounted_cumulative_gain_at_{k}"] = gains(hits, sizes, k)
        result[f"precision_at_{k}"] = precisions(hits, k)
    return result


def weighted_ndcg(ranked: np.ndarray, truths: Sequence[Mapping[int, float]], k: int) -> float:
    """Return the mean discounted gain within ``k`` where a hit gains its weight, over that of the best order."""
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    shares = []
    for row, truth in zip(ranked[:, :k].tolist(), truths, strict=True):
        best = sorted(truth.values(), reverse=True)[:k]
        gain = np.dot([truth.get(item, 0.0) for item in row], discount[: len(row)])
        shares.append(gain / np.dot(best, discount[: len(best)]))
    return float(np.mean(shares)) if shares else 0.0


def average_rewards(
    ranked: np.ndarray, truths: Sequence[AbstractSet[int]], reward: np.ndarray, k: int
) -> float:
    """Return the mean, over users, of what the items they take within ``k`` are worth over what all they take are.

    ``reward`` [n_items] is not negative; a user all of whose items are worth nothing is left out.
    """
    shares = []
    for row, truth in zip(ranked[:, :k].tolist(), truths, strict=True):
        whole = sum(float(reward[item]) for item in truth)
        if whole > 0:
            shares.append(sum(float(reward[item]) for item in row if item in truth) / whole)
    return float(np.mean(shares)) if shares else 0.0


def hit_matrix(ranked: np.ndarray, truths: Sequence[AbstractSet[int]]) -> np.ndarray:
    """Return which ranked items are relevant, bool [n_queries, k]."""
    return np.array(
        [[item in truth for item in row] for row, truth in zip(ranked.tolist(), truths, strict=True)], bool
    ).reshape(len(truths), ranked.shape[1])


def mrr(hits: np.ndarray, k: int) -> float:
    """Return the mean of 1 / rank of the first hit within ``k``, 0 where there is none."""
    return _mean(reciprocal_ranks(hits, k))


def ndcg(hits: np.ndarray, sizes: np.ndarray, k: int) -> float:
    """Return the mean of the discounted gain within ``k`` over that of the relevant items (``sizes``) on top."""
    return _mean(gains(hits, sizes, k))


def precision(hits: np.ndarray, k: int) -> float:
    """Return the mean of hits within ``k`` divided by ``k``, also where fewer items are relevant."""
    return _mean(precisions(hits, k))


def reciprocal_ranks(hits: np.ndarray, k: int) -> np.ndarray:
    """Return each query's 1 / rank of the first hit within ``k``, float64 [n_queries]."""
    within = hits[:, :k]
    return np.where(within.any(axis=1), 1.0 / (within.argmax(axis=1) + 1), 0.0)


def precisions(hits: np.ndarray, k: int) -> np.ndarray:
    """Return each query's hits within ``k`` divided by ``k``, float64 [n_queries]."""
    return hits[:, :k].sum(axis=1) / k


def gains(hits: np.ndarray, sizes: np.ndarray, k: int) -> np.ndarray:
    """Return each query's discounted gain within ``k`` over the best there could be, float64 [n_queries]."""
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    within = hits[:, :k]
    ideal = np.concatenate(([1.0], np.cumsum(discount)))[np.minimum(sizes, k)]
    return within @ discount[: within.shape[1]] / ideal


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0

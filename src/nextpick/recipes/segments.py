"""How good a segmentation recipe is: the metrics of GetSolutionMetrics for user segments.

Of each user the oldest 80 % of the interactions are fitted on, the newest 20 % are the truth. For each item (or each
value of an item column) some user takes in the truth, all users are ranked; those in the best 1 % who do take it
are hits. Source: developer guide, "Evaluating a solution version with metrics", user segmentation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models.topk import top_k

_TRAIN_SHARE, _TOP_SHARE = 0.8, 0.01
_MOST_QUERIES = 500


def evaluate(module: Any, params: Any, data: Data, run: Run) -> dict[str, float]:
    """Return coverage, hits_at_1_percent (an average count) and recall_at_1_percent."""
    found = measure(module, params, data, run)
    any_ = len(found.hits) > 0
    return {
        "coverage": round(found.coverage, 4),
        "hits_at_1_percent": round(float(found.hits.mean()), 4) if any_ else 0.0,
        "recall_at_1_percent": round(float(found.recall.mean()), 4) if any_ else 0.0,
    }


class Measured(NamedTuple):
    """Of each query hits, float64, and the share of its truth that they are; the share of users in any best 1 %."""

    hits: np.ndarray
    recall: np.ndarray
    coverage: float


def measure(module: Any, params: Any, data: Data, run: Run) -> Measured:
    """Return what a recipe fitted on the older interactions finds of the newer ones, query by query.

    The queries are the same for two recipes with the same ``targets`` whose runs begin with the same randomness.
    """
    train, test = split(data)
    queries = some(module.targets(data), test, _MOST_QUERIES, run.rng)
    state = module.fit(train, params, run.share(0.0, 0.6))
    n_users = len(data.users.ids)
    reached = np.zeros(n_users, bool)
    hits, recall = np.zeros(len(queries)), np.zeros(len(queries))
    for i, (rows, truth) in enumerate(zip(queries, takers(test, queries), strict=True)):
        best = top_k(module.rank_users(state, rows), max(1, round(n_users * _TOP_SHARE)))
        reached[best] = True
        hits[i] = len(np.intersect1d(best, truth))
        recall[i] = hits[i] / len(truth)
        if i % 16 == 0:
            run.checkpoint(0.6 + 0.4 * i / len(queries), "measuring on held-out interactions")
    return Measured(hits, recall, float(reached.mean()))


def some(targets: Sequence[np.ndarray], truth: Data, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the targets (rows of items) of which anything is taken in the truth; ``most`` of them, drawn, in order."""
    is_taken = np.bincount(truth.interactions.item, minlength=len(truth.items.ids)) > 0
    queries = [rows for rows in targets if is_taken[rows].any()]
    if len(queries) > most:
        queries = [queries[i] for i in np.sort(rng.choice(len(queries), most, replace=False))]
    return queries


def takers(data: Data, queries: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return for each query (rows of items) the users that take any of it, rising."""
    interactions = data.interactions
    user_of = np.repeat(np.arange(len(interactions.offsets) - 1), np.diff(interactions.offsets))
    found, is_asked = [], np.zeros(len(data.items.ids), bool)
    for rows in queries:
        is_asked[rows] = True
        found.append(np.unique(user_of[is_asked[interactions.item]]))
        is_asked[rows] = False
    return found


def split(data: Data) -> tuple[Data, Data]:
    """Return the data with the oldest 80 % of each user's interactions, and with the others."""
    offsets = data.interactions.offsets
    lengths = np.diff(offsets)
    cuts = np.ceil(lengths * _TRAIN_SHARE).astype(np.int64)
    place = np.arange(len(data.interactions.item)) - np.repeat(offsets[:-1], lengths)
    is_train = place < np.repeat(cuts, lengths)
    older, newer = (data.interactions.only(kept) for kept in (is_train, ~is_train))
    return data._replace(interactions=older), data._replace(interactions=newer)


def items_of_values(data: Data, most: int) -> Sequence[np.ndarray]:
    """Return for each value of a categorical item column the rows of its items, the ``most`` frequent values."""
    found = []
    for column in data.items.columns:
        if column.codes is None or column.offsets is None:
            continue
        row_of = np.repeat(np.arange(len(column.offsets) - 1, dtype=np.int32), np.diff(column.offsets))
        frequent = np.argsort(-np.bincount(column.codes, minlength=len(column.values)), kind="stable")[:most]
        found += [row_of[column.codes == code] for code in frequent.tolist()]
    return found

"""How good a segmentation recipe is: the metrics of GetSolutionMetrics for user segments.

Of each user the oldest 80 % of the interactions are fitted on, the newest 20 % are the truth. For each item (or each
value of an item column) some user takes in the truth, all users are ranked; those in the best 1 % who do take it
are hits. Source: developer guide, "Evaluating a solution version with metrics", user segmentation.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models.topk import top_k

_TRAIN_SHARE, _TOP_SHARE = 0.8, 0.01
_MOST_QUERIES = 500


def evaluate(module: Any, params: Any, data: Data, run: Run) -> dict[str, float]:
    """Return coverage, hits_at_1_percent (an average count) and recall_at_1_percent."""
    train, test = split(data)
    state = module.fit(train, params, run.share(0.0, 0.6))
    n_users = len(data.users.ids)
    reached = np.zeros(n_users, bool)
    hits, recalls = [], []
    queries = [rows for rows in module.targets(data) if np.isin(test.interactions.item, rows).any()]
    if len(queries) > _MOST_QUERIES:
        queries = [queries[i] for i in np.sort(run.rng.choice(len(queries), _MOST_QUERIES, replace=False))]
    user_of = np.repeat(np.arange(n_users), np.diff(test.interactions.offsets))
    for i, rows in enumerate(queries):
        truth = np.unique(user_of[np.isin(test.interactions.item, rows)])
        best = top_k(module.rank_users(state, rows), max(1, round(n_users * _TOP_SHARE)))
        reached[best] = True
        found = len(np.intersect1d(best, truth))
        hits.append(found)
        recalls.append(found / len(truth))
        if i % 16 == 0:
            run.checkpoint(0.6 + 0.4 * i / len(queries), "measuring on held-out interactions")
    return {
        "coverage": round(float(reached.mean()), 4),
        "hits_at_1_percent": round(float(np.mean(hits)), 4) if hits else 0.0,
        "recall_at_1_percent": round(float(np.mean(recalls)), 4) if recalls else 0.0,
    }


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

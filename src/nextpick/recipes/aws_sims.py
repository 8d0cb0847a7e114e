"""aws-sims: items that share users with the given item, near it in their histories.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP).
Answers:  GetRecommendations(itemId); without scores. An unknown item gets what is popular.
Sources:  models/cosine.py; developer guide, "SIMS recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import cosine, popularity
from nextpick.recipes.interface import Query, State, tunable

NAME = "aws-sims"
_ROW_LIMIT, _LONGEST_HISTORY = 500, 300


@dataclass(frozen=True, slots=True)
class Params:
    popularity_discount_factor: float = tunable(
        0.5, 0.0, 1.0, "0 keeps popular items, 1 is full cosine", hpo=True
    )
    min_cointeraction_count: int = tunable(3, 0, 10, "fewest users that two items must share", hpo=True)


def fit(data: Data, params: Params, run: Run) -> State:
    """Return sparse rows of likeness (``row_offsets``, ``row_items``, ``row_weights``) and ``users``."""
    run.checkpoint(0.0, "counting shared users")
    interactions, n_items = data.interactions, len(data.items.ids)
    rows = cosine.likeness(
        interactions.offsets,
        interactions.item,
        n_items,
        discount=params.popularity_discount_factor,
        step_decay=cosine.STEP_DECAY,
        least_together=params.min_cointeraction_count,
        longest_history=_LONGEST_HISTORY,
        row_limit=_ROW_LIMIT,
    )
    run.checkpoint(0.9, "counting users")
    users = popularity.distinct_users(interactions.offsets, interactions.item, n_items)
    return {
        "row_offsets": rows.offsets,
        "row_items": rows.items,
        "row_weights": rows.weights,
        "users": users.astype(np.float32),
        "item_count": popularity.counts(interactions.item, n_items),
    }


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return likeness to each query's item, float32: likest first, then by users; -inf for the item itself."""
    offsets, users = state["row_offsets"], state["users"]
    fallback = users / (users.max(initial=1.0) + 1.0) - 1.0  # below every likeness, in order of users
    out = np.tile(fallback.astype(np.float32), (len(queries), 1))
    for row, query in zip(out, queries, strict=True):
        if query.item >= 0:
            own = slice(offsets[query.item], offsets[query.item + 1])
            row[state["row_items"][own]] = state["row_weights"][own]
            row[query.item] = -np.inf
    return out if items is None else out[:, items]

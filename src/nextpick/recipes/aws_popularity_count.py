"""aws-popularity-count: the items that most users have taken; the same list for everyone.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP).
Answers:  GetRecommendations(), userId optional; without scores.
Source:   developer guide, "Popularity-Count recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import popularity
from nextpick.recipes.interface import Query, State

NAME = "aws-popularity-count"


@dataclass(frozen=True, slots=True)
class Params:
    """No hyperparameters."""


def fit(data: Data, params: Params, run: Run) -> State:
    """Return ``users`` float32 [n_items], the distinct users of each item."""
    run.checkpoint(0.0, "counting users")
    interactions, n_items = data.interactions, len(data.items.ids)
    users = popularity.distinct_users(interactions.offsets, interactions.item, n_items)
    run.checkpoint(1.0, "trained")
    return {"users": users.astype(np.float32), "item_count": popularity.counts(interactions.item, n_items)}


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return the number of distinct users of each item, float32, the same for every query."""
    users = state["users"] if items is None else state["users"][items]
    return np.tile(users, (len(queries), 1))

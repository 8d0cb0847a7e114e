"""aws-sims: items that share users with the given item, near it in their histories.

Where there is metadata, items with few interactions get those like them by it too, and a new item may stand beside a
known one.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP) and, for new items, ITEMS.
Answers:  GetRecommendations(itemId); without scores. An unknown item gets what is popular.
Sources:  models/related.py; developer guide, "SIMS recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import related
from nextpick.recipes.interface import Query, State, tunable

NAME = "aws-sims"


@dataclass(frozen=True, slots=True)
class Params:
    popularity_discount_factor: float = tunable(
        0.5, 0.0, 1.0, "0 keeps popular items, 1 is full cosine", hpo=True
    )
    min_cointeraction_count: int = tunable(3, 0, 10, "fewest users that two items must share", hpo=True)


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the state of ``models/related.py``."""
    discount, least = params.popularity_discount_factor, params.min_cointeraction_count
    return related.fit(data, run, discount=discount, least_together=least)


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return likeness to each query's item, float32: likest first, then by users; -inf for the item itself."""
    return related.scores(state, [query.item for query in queries], items)

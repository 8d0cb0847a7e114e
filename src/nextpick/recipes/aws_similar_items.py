"""aws-similar-items: items like the given one, by the users they share and the metadata they share.

Needs:    INTERACTIONS and, for the metadata, ITEMS.
Answers:  GetRecommendations(itemId); without scores. An unknown item gets what is popular.
Sources:  models/related.py; developer guide, "Similar-Items recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import related
from nextpick.recipes.interface import Query, State, tunable

NAME = "aws-similar-items"


@dataclass(frozen=True, slots=True)
class Params:
    item_id_hidden_dim: int = tunable(100, 30, 200, "accepted; this engine has no hidden layer", hpo=True)
    item_metadata_hidden_dim: int = tunable(
        100, 30, 200, "accepted; this engine has no hidden layer", hpo=True
    )
    popularity_discount_factor: float = tunable(
        0.0, 0.0, 1.0, "0 keeps popular items, 1 is full cosine", hpo=True
    )


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the state of ``models/related.py``, all pairs that share a user counted."""
    discount = params.popularity_discount_factor
    return related.fit(data, run, discount=discount, least_together=1)


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return likeness to each query's item, float32; -inf for the item itself."""
    return related.scores(state, [query.item for query in queries], items)

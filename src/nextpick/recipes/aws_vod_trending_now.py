"""aws-vod-trending-now: the videos whose popularity grows fastest.

Needs:    INTERACTIONS of any type.
Answers:  GetRecommendations(recommenderArn); without scores.
Sources:  models/trend.py; developer guide, "Trending now use case": windows of two hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import popularity, trend
from nextpick.recipes.interface import Query, State

NAME = "aws-vod-trending-now"
_WINDOW_S = 7200.0


@dataclass(frozen=True, slots=True)
class Params:
    """No hyperparameters."""


def fit(data: Data, params: Params, run: Run) -> State:
    """Return ``rise`` float32 [n_items], how fast the popularity of each item grows."""
    run.checkpoint(0.0, "comparing windows")
    item, n_items = data.interactions.item, len(data.items.ids)
    rise = trend.rise(item, data.interactions.time, n_items, data.latest, _WINDOW_S)
    run.checkpoint(1.0, "trained")
    return {"rise": rise, "item_count": popularity.counts(item, n_items)}


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return how fast each item's popularity grows, float32, the same for every query."""
    rise = state["rise"] if items is None else state["rise"][items]
    return np.tile(rise, (len(queries), 1))

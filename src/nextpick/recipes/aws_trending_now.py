"""aws-trending-now: the items whose popularity grows fastest.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP).
Answers:  GetRecommendations(), userId optional; without scores.
Sources:  models/trend.py; developer guide, "Trending-Now recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import popularity, trend
from nextpick.models.topk import top_k
from nextpick.recipes.interface import Query, State, feature

NAME = "aws-trending-now"
_FREQUENCIES = {
    "30 minutes": 1800.0,
    "1 hour": 3600.0,
    "2 hours": 7200.0,
    "3 hours": 10800.0,
    "1 day": 86400.0,
}
_TOP = 25


@dataclass(frozen=True, slots=True)
class Params:
    trend_discovery_frequency: str = feature(
        "2 hours", choices=tuple(_FREQUENCIES), help="the windows of time that are compared"
    )


def fit(data: Data, params: Params, run: Run) -> State:
    """Return ``rise`` float32 [n_items], how fast the popularity of each item grows."""
    run.checkpoint(0.0, "comparing windows")
    item, n_items = data.interactions.item, len(data.items.ids)
    window = _FREQUENCIES[params.trend_discovery_frequency]
    rise = trend.rise(item, data.interactions.time, n_items, data.latest, window)
    run.checkpoint(1.0, "trained")
    return {"rise": rise, "item_count": popularity.counts(item, n_items)}


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return how fast each item's popularity grows, float32, the same for every query."""
    rise = state["rise"] if items is None else state["rise"][items]
    return np.tile(rise, (len(queries), 1))


def evaluate(params: Params, data: Data, run: Run) -> dict[str, float]:
    """Return trend_prediction_accuracy: what the 25 items picked before the newest window gain in it over the long run,
    of what the 25 that gain most do. Windows are those of ``fit``; 0 when nothing gains."""
    item, time, n_items = data.interactions.item, np.asarray(data.interactions.time), len(data.items.ids)
    window = trend.window(time, data.latest, _FREQUENCIES[params.trend_discovery_frequency])
    end = int(data.latest - window)
    earlier = time <= end
    past, new = (item[earlier], time[earlier], n_items, end, window), item[~earlier]
    gain = np.maximum(np.bincount(new, minlength=n_items) - trend.long_run(*past), 0.0)
    run.checkpoint(1.0, "measuring on the newest window")
    best = np.sort(gain)[::-1][:_TOP].sum()
    picked = gain[top_k(trend.rise(*past), _TOP)].sum()
    return {"trend_prediction_accuracy": round(float(picked / best), 4) if best > 0 else 0.0}

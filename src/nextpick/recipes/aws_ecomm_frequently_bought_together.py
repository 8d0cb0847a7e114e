"""aws-ecomm-frequently-bought-together: items that are bought with the given one.

What stands in one basket (purchases of a user with less than a day between them) comes first, then what the same
users bought at other times, then what most users buy.

Needs:    INTERACTIONS with EVENT_TYPE Purchase; nothing else is trained on.
Answers:  GetRecommendations(recommenderArn, itemId); without scores.
Sources:  models/cosine.py; developer guide, "Frequently bought together use case".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import cosine, popularity
from nextpick.recipes.interface import Query, State

NAME = "aws-ecomm-frequently-bought-together"
_BASKET_GAP_S = 86_400
_DISCOUNT = 0.5
_ROW_LIMIT, _LONGEST_HISTORY = 500, 300


@dataclass(frozen=True, slots=True)
class Params:
    """No hyperparameters."""


def fit(data: Data, params: Params, run: Run) -> State:
    """Return rows of likeness by baskets (``basket_…``) and by users (``user_…``), and ``users``."""
    run.checkpoint(0.0, "counting baskets")
    interactions, n_items = data.interactions, len(data.items.ids)
    users = popularity.distinct_users(interactions.offsets, interactions.item, n_items)
    state: State = {
        "users": users.astype(np.float32),
        "item_count": popularity.counts(interactions.item, n_items),
    }
    for name, offsets in (("basket", _baskets(data)), ("user", interactions.offsets)):
        rows = cosine.likeness(
            offsets,
            interactions.item,
            n_items,
            discount=_DISCOUNT,
            step_decay=1.0,
            least_together=1,
            longest_history=_LONGEST_HISTORY,
            row_limit=_ROW_LIMIT,
        )
        state |= {f"{name}_{part}": array for part, array in rows._asdict().items()}
        run.checkpoint(0.5, "counting users")
    return state


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return likeness to each query's item, float32: baskets above users above popularity; -inf for itself."""
    users = state["users"]
    fallback = users / (users.max(initial=1.0) + 1.0) - 1.0
    out = np.tile(fallback.astype(np.float32), (len(queries), 1))
    for row, query in zip(out, queries, strict=True):
        if query.item < 0:
            continue
        for name, above in (("user", 0.0), ("basket", 1.0)):
            own = slice(state[f"{name}_offsets"][query.item], state[f"{name}_offsets"][query.item + 1])
            weights = state[f"{name}_weights"][own]
            row[state[f"{name}_items"][own]] = above + weights / (weights.max(initial=0.0) or 1.0)
        row[query.item] = -np.inf
    return out if items is None else out[:, items]


def _baskets(data: Data) -> np.ndarray:
    """Return where baskets begin, int64 [n_baskets+1]: with each user, and after each gap of a day."""
    interactions = data.interactions
    begins = np.ones(len(interactions.time), bool)
    begins[1:] = np.diff(interactions.time) >= _BASKET_GAP_S
    starts = interactions.offsets[:-1]
    begins[starts[starts < len(begins)]] = True
    return np.append(np.flatnonzero(begins), len(begins)).astype(np.int64)

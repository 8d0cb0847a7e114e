"""aws-user-personalization: the items a user is likely to take next.

A mixture of four distributions, each readable: what follows the user's last items (decayed transitions), what
is popular lately, what shares attributes with the user's items, what users of the same attributes take. The
weights are chosen at each training on users held out of the tables; a score is a probability, and those of the
whole catalogue sum to 1. Circumstances that a request tells change them by how much more each item is taken under them;
where an objective is set, probabilities are tilted towards items that are worth more.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP); uses metadata of ITEMS and USERS where there is any.
Answers:  GetRecommendations(userId). Events count from the next request on.
Sources:  models/transitions.py, models/attributes.py, models/mixture.py; developer guide,
          "User-Personalization recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from nextpick.data.dataset import Data, Interactions
from nextpick.data.objective import tilt
from nextpick.data.run import Run
from nextpick.models import attributes, mixing, popularity, transitions
from nextpick.models.mixture import bucket, predict
from nextpick.recipes import contextual
from nextpick.recipes.interface import Query, State, tunable

NAME = "aws-user-personalization"

_WINDOW, _STEP_DECAY, _SHRINKAGE = 10, 0.85, 20.0  # chosen on validation items of MovieLens and Amazon Beauty
_ROW_LIMIT, _LIST_LIMIT = 500, 300
_HISTORY_DECAY = 0.7
_TABLES = (
    "row_offsets", "row_items", "row_weights", "popularity",
    "item_held", "item_codes", "item_lists", "item_list_items", "item_list_weights",
    "user_held", "user_codes", "user_lists", "user_list_items", "user_list_weights",
)  # fmt: skip
_tables_of = itemgetter(*_TABLES)


@dataclass(frozen=True, slots=True)
class Params:
    hidden_dimension: int = tunable(149, 32, 256, "accepted; this engine has no hidden layer", hpo=True)
    bptt: int = tunable(32, 2, 32, "how many of a user's last items count", hpo=True, prefix="training.")
    recency_mask: bool = tunable(
        True, help="whether newer items count more than older ones", hpo=True, prefix="data."
    )


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the components' tables, the mixture's weights [buckets, 3] and ``history`` = (decay, limit); where events
    have contextual columns, what they change."""
    lifts = (
        contextual.fit(_fit, score, data, params, run.share(0.0, 0.5)) if data.interactions.contexts else {}
    )
    return {**_fit(data, params, run.share(0.5, 1.0) if lifts else run), **lifts}


def _fit(data: Data, params: Params, run: Run) -> State:
    n_items = len(data.items.ids)
    held_items, held_users = attributes.attributes(data.items), attributes.attributes(data.users)
    run.checkpoint(0.05, "choosing the mixture")
    users = mixing.held_out_users(data.interactions.offsets, run.rng)
    rest = mixing.without(data.interactions, users)
    tables = _tables(rest, held_items, held_users, n_items, data.latest)
    run.checkpoint(0.4, "choosing the mixture")
    decay = _decay(params)
    mix = mixing.choose(users, data.interactions, _tables_of(tables), decay, params.bptt, n_items)
    run.checkpoint(0.6, "counting transitions")
    return _state(data, params, mix, run)


def update(state: State, data: Data, params: Params, run: Run) -> State:
    """Return the tables of newer data under the mixture's weights of an earlier state."""
    run.checkpoint(0.0, "counting transitions")
    lifts = contextual.update(state, data) if data.interactions.contexts else {}
    return {**_state(data, params, np.array(state["mix"]), run), **lifts}


def _state(data: Data, params: Params, mix: np.ndarray, run: Run) -> State:
    n_items = len(data.items.ids)
    held_items, held_users = attributes.attributes(data.items), attributes.attributes(data.users)
    state = _tables(data.interactions, held_items, held_users, n_items, data.latest)
    run.checkpoint(1.0, "trained")
    state["mix"] = mix
    state["history"] = np.array([_decay(params), params.bptt], np.float64)
    state["item_count"] = popularity.counts(data.interactions.item, n_items)
    if data.reward is not None and data.strength:
        state["tilt"] = tilt(data.reward, data.strength)
    return state


def _decay(params: Params) -> float:
    return _HISTORY_DECAY if params.recency_mask else 1.0


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return probabilities of the next item, float32; each full row sums to 1."""
    out = np.empty((len(queries), len(state["popularity"])), np.float32)
    decay, limit = state["history"].tolist()
    tables = _tables_of(state)
    for row, query in zip(out, queries, strict=True):
        mix = state["mix"][bucket(len(query.items))]
        arguments: list[Any] = [query.items, query.user, mix, decay, int(limit), *tables, row]
        predict(*arguments)
        if query.context:
            contextual.apply(state, query.context, row)
    if "tilt" in state:
        out *= state["tilt"]
        out /= out.sum(axis=1, keepdims=True)
    return out if items is None else out[:, items]


def _tables(
    interactions: Interactions,
    held_items: attributes.Attributes,
    held_users: attributes.Attributes,
    n_items: int,
    latest: int,
) -> State:
    rows = transitions.count(
        interactions,
        n_items,
        window=_WINDOW,
        decay=_STEP_DECAY,
        shrinkage=_SHRINKAGE,
        row_limit=_ROW_LIMIT,
    )
    recent = popularity.recent(interactions, n_items, latest)
    weight = recent * len(interactions.item)
    likes = attributes.items_of(held_items, weight, _LIST_LIMIT)
    kin = attributes.items_taken_by(held_users, interactions, recent, _LIST_LIMIT)
    arrays = (
        *rows,
        recent,
        held_items.offsets,
        held_items.codes,
        *likes,
        held_users.offsets,
        held_users.codes,
        *kin,
    )
    return dict(zip(_TABLES, arrays, strict=True))

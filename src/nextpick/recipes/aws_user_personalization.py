"""aws-user-personalization: the items a user is likely to take next.

A blend without a neural network: the logit of an item is a weighted sum of what readable members say of it (what
follows the user's last items, what goes with them, a sequential linear model, popularity, the attributes of items and
of users, what the user took before); a score is the softmax of the logits, so those of the whole catalogue sum to 1.
The weights are chosen at each training on items that the members have not seen. Circumstances that a request tells
change probabilities by how much more each item is taken under them; where an objective is set, they are tilted towards
items that are worth more.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP); uses metadata of ITEMS and USERS where there is any.
Answers:  GetRecommendations(userId). Events count from the next request on.
Sources:  models/blend.py: the logit; models/pairs.py, ridge.py, attributes.py: its members; models/weighing.py: their
          weights; developer guide, "User-Personalization recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.objective import tilt
from nextpick.data.run import Run
from nextpick.models import attributes, blend, pairs, popularity, ridge, weighing
from nextpick.models.blend import Tables, Weights
from nextpick.models.explain import explain
from nextpick.models.rows import read_only, weights_of
from nextpick.models.weighing import Peeled
from nextpick.recipes import contextual
from nextpick.recipes.interface import Query, Reasons, State, tunable

NAME = "aws-user-personalization"

_DECAYS = (0.7, 0.85, 0.0, 0.7, 0.8, *ridge.DECAYS, 0.0)  # of pairs.TABLES, chosen on validation items
_LIST_LIMIT, _COLD_LIMIT, _COLD = 100, 16, 3
_SHARES = [blend.COLUMNS.index("popularity"), blend.COLUMNS.index("recent popularity")]


@dataclass(frozen=True, slots=True)
class Params:
    hidden_dimension: int = tunable(149, 32, 256, "accepted; this engine has no hidden layer", hpo=True)
    bptt: int = tunable(32, 2, 32, "how many of a user's last items count", hpo=True, prefix="training.")
    recency_mask: bool = tunable(
        True, help="whether newer items count more than older ones", hpo=True, prefix="data."
    )


class Learnt(NamedTuple):
    """What weights were learnt on: ``left`` is the data without what is ``peeled``; ``tables`` and ``linear`` are of
    it. ``weights`` float32 [buckets, columns]."""

    peeled: Peeled
    left: Data
    linear: ridge.Ridge
    tables: Tables
    weights: np.ndarray


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the blend's tables and ``weights`` [buckets, columns]; where events have contextual columns, what they
    change."""
    lifts = lifts_of(data, params, run.share(0.0, 0.5))
    return {**_fit(data, params, run.share(0.5, 1.0) if lifts else run), **lifts}


def lifts_of(data: Data, params: Params, run: Run) -> State:
    """Return what contextual columns change, nothing where there are none."""
    return contextual.fit(_fit, score, data, params, run) if data.interactions.contexts else {}


def learn(data: Data, params: Params, run: Run) -> Learnt:
    """Return the weights, and what they were learnt on."""
    peeled = weighing.peel(data.interactions, run.rng)
    left = data._replace(interactions=data.interactions.only(peeled.kept))
    linear = _linear(left, run)
    tables = count(left, linear, params, run.share(0.4, 0.7))
    run.checkpoint(0.7, "weighing the members")
    weights = weighing.choose(peeled, data.interactions, tables, params.bptt, run.rng, run.check)
    return Learnt(peeled, left, linear, tables, weights)


def _fit(data: Data, params: Params, run: Run) -> State:
    learnt = learn(data, params, run.share(0.0, 0.7))
    return state_of(data, count(data, learnt.linear, params, run.share(0.7, 1.0)), params, learnt.weights)


def update(state: State, data: Data, params: Params, run: Run) -> State:
    """Return the tables of newer data under the weights of an earlier state."""
    lifts = contextual.update(state, data) if data.interactions.contexts else {}
    tables = count(data, _linear(data, run), params, run.share(0.5, 1.0))
    return {**state_of(data, tables, params, np.array(state["weights"])), **lifts}


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return probabilities of the next item, float32; each full row sums to 1."""
    out = np.empty((len(queries), len(state["item_count"])), np.float32)
    tables, weights = _tables_of(state), _weights_of(state)
    for row, query in zip(out, queries, strict=True):
        b = weighing.bucket(len(query.items))
        blend.predict(query.items, query.user, b, weights, tables, row)
        if query.context:
            contextual.apply(state, query.context, row)
    if "tilt" in state:
        out *= state["tilt"]
        out /= out.sum(axis=1, keepdims=True)
    return out if items is None else out[:, items]


def reasons(state: State, query: Query, item: int) -> Reasons:
    """Return what each event and each member adds to the item's logit; see models/explain.py."""
    weights = state["weights"][weighing.bucket(len(query.items))]
    events, rest, sources = explain(
        query.items, query.user, int(state["limit"][0]), weights, item, _tables_of(state)
    )
    if query.context:
        sources["circumstances"] = contextual.log_lift(state, query.context, item)
    if "tilt" in state:
        sources["objective"] = float(np.log(state["tilt"][item]))
    return Reasons(events, rest + sources.get("circumstances", 0.0) + sources.get("objective", 0.0), sources)


def reached(state: State, query: Query) -> np.ndarray:
    """Return the items that more than their popularity speaks for, int32."""
    return blend.reached(query.items, query.user, int(state["limit"][0]), _tables_of(state))


_read_tables, _read_weights = itemgetter(*Tables._fields), itemgetter(*Weights._fields)


def _tables_of(state: State) -> Tables:
    return Tables._make(_read_tables(state))


def _weights_of(state: State) -> Weights:
    return Weights._make(_read_weights(state))


def _linear(data: Data, run: Run) -> ridge.Ridge:
    """Return the linear model. It is fitted once, on what the weights' members see: the newest items change little of
    it, and solving is a third of a training of thousands of items."""
    run.checkpoint(0.0, "fitting the linear model")
    return ridge.fit(data.interactions, len(data.items.ids), run.check)


def state_of(data: Data, tables: Tables, params: Params, weights: np.ndarray) -> State:
    """Return the state of the data's ``tables`` under weights."""
    state: State = dict(zip(Tables._fields, tables, strict=True))
    logits = weights[:, _SHARES] @ tables.log_share  # [buckets, n_items]
    most = logits.max(axis=1, keepdims=True)
    state["weights"], state["rest"] = weights, np.exp(logits - most)
    sums = state["rest"].sum(axis=1, dtype=np.float64)
    state["rest_sums"] = np.stack((sums, most[:, 0].astype(np.float64)), axis=1)
    state["limit"] = np.array([params.bptt], np.int64)
    state["item_count"] = popularity.counts(data.interactions.item, len(data.items.ids))
    if data.reward is not None and data.strength:
        state["tilt"] = tilt(data.reward, data.strength)
    return state


def count(data: Data, linear: ridge.Ridge, params: Params, run: Run) -> Tables:
    """Return what the members know from the data."""
    interactions, n_items = data.interactions, len(data.items.ids)
    run.checkpoint(0.0, "counting pairs")
    counted = pairs.count(interactions, n_items, linear, run.check)
    run.checkpoint(0.9, "reading metadata")
    taken = np.bincount(interactions.item, weights_of(interactions), n_items) + 1.0
    share = taken / taken.sum()
    recent = popularity.recent(interactions, n_items, data.latest)
    held, users = attributes.attributes(data.items), attributes.attributes(data.users)
    made = Tables(
        *counted,
        np.array(_DECAYS if params.recency_mask else [1.0] * len(_DECAYS), np.float32),
        np.log(np.stack((share, recent))).astype(np.float32),
        held.offsets,
        held.codes,
        attributes.shares(held, taken),
        *attributes.rare(held, taken, _COLD, _COLD_LIMIT),
        users.offsets,
        users.codes,
        *attributes.lifts(users, interactions, share, _LIST_LIMIT),
    )
    return Tables(*map(read_only, made))

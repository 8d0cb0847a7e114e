"""aws-item-affinity: the users most drawn to an item.

    affinity = likeness ^ a * length ^ b

Likeness is that of the item to a user's history, the newest items counting most; who takes much is likelier to take
this too. Whether having taken the item counts for or against taking it next, how fast the past fades, and a and b are
chosen on interactions held out.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP).
Answers:  batch segment jobs, ``itemId``.
Sources:  models/affinity.py, models/cosine.py; developer guide, "Item-Affinity recipe".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import affinity, cosine, popularity
from nextpick.models.affinity import Histories
from nextpick.models.rows import Rows
from nextpick.models.topk import top_k
from nextpick.recipes import segments
from nextpick.recipes.interface import State, tunable

NAME = "aws-item-affinity"
_ROW_LIMIT, _LONGEST = 500, 200
_OWN, _DECAY = (1.0, 0.0, -1e3), (1.0, 0.98, 0.9)
_POWERS = tuple(product((0.5, 1.0), (0.0, 0.5, 1.0, 2.0)))  # a and b
_JUDGED = 5  # per cent of the users whose order decides: the best one alone is coarse
_TRIED, _TRIED_WORK = (
    100,
    200_000_000,
)  # queries on which the three are chosen; queries times interactions, at most

Targets = Callable[[Data], Sequence[np.ndarray]]


@dataclass(frozen=True, slots=True)
class Params:
    hidden_dimension: int = tunable(149, 32, 256, "accepted; this engine has no hidden layer", hpo=True)


def fit(data: Data, params: Params, run: Run) -> State:
    """Return ``row_…`` likeness of items, ``history_…`` of users, and ``choice`` = (own, decay, a, b)."""
    return fit_for(targets, data, run)


def fit_for(targets: Targets, data: Data, run: Run) -> State:
    """Return the state, ``choice`` chosen on what ``targets`` returns: rows of items, int32, a query each."""
    train, test = segments.split(data)
    run.checkpoint(0.0, "counting shared users")
    queries = [rows for rows in targets(data) if np.isin(test.interactions.item, rows).any()]
    tried = min(_TRIED, max(1, _TRIED_WORK // max(1, len(data.interactions.item))))
    if len(queries) > tried:
        queries = [queries[i] for i in np.sort(run.rng.choice(len(queries), tried, replace=False))]
    state = _tables(train)
    run.checkpoint(0.3, "choosing how the past counts")
    n_users = len(data.users.ids)
    discount = 1.0 / np.log2(np.arange(2, max(1, n_users * _JUDGED // 100) + 2))
    user_of = np.repeat(np.arange(n_users), np.diff(test.interactions.offsets))
    truths = [np.unique(user_of[np.isin(test.interactions.item, rows)]) for rows in queries]
    activity = _activity(state)
    choice, best = (0.0, 1.0, 1.0, 1.0), -1.0
    for own, decay in product(_OWN, _DECAY):
        found = np.zeros((len(queries), len(_POWERS)))
        for query, (rows, truth) in enumerate(zip(queries, truths, strict=True)):
            drawn = _affinity(state, rows, own, decay)
            for i, powers in enumerate(_POWERS):
                ranked = top_k(_weighed(drawn, activity, *powers), len(discount))
                found[query, i] = discount @ np.isin(ranked, truth) / discount[: len(truth)].sum()
            run.check()
        worth = found.sum(axis=0)
        if queries and worth.max() > best:
            choice, best = (own, decay, *_POWERS[int(worth.argmax())]), float(worth.max())
    run.checkpoint(0.7, "counting shared users")
    return {**_tables(data), "choice": np.array(choice, np.float64)}


def rank_users(state: State, items: np.ndarray) -> np.ndarray:
    """Return each user's affinity to ``items`` (rows, int32 [m]), float32 [n_users]."""
    own, decay, *powers = state["choice"].tolist()
    return _weighed(_affinity(state, items, own, decay), _activity(state), *powers)


def _weighed(likeness: np.ndarray, length: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return likeness ^ a * length ^ b, float32; a likeness below 0 stays there."""
    return np.sign(likeness) * np.abs(likeness) ** np.float32(a) * length ** np.float32(b)


def _activity(state: State) -> np.ndarray:
    return np.diff(state["history_offsets"]).astype(np.float32)


def _affinity(state: State, items: np.ndarray, own: float, decay: float) -> np.ndarray:
    rows = Rows(state["row_offsets"], state["row_items"], state["row_weights"])
    histories = Histories(state["history_offsets"], state["history_item"], state["history_step"])
    weight = affinity.weights(rows, items, len(state["item_count"]), own)
    return affinity.affinity(weight, histories, decay)


def forget(state: State, users: np.ndarray) -> State:
    """Return the state with nothing of some users (rows)."""
    kept = affinity.without(
        Histories(state["history_offsets"], state["history_item"], state["history_step"]), users
    )
    return {**state, **{f"history_{name}": array for name, array in kept._asdict().items()}}


def targets(data: Data) -> Sequence[np.ndarray]:
    """Return what is asked about when the recipe is measured: each item."""
    return list(np.arange(len(data.items.ids), dtype=np.int32)[:, None])


def _tables(data: Data) -> State:
    interactions, n_items = data.interactions, len(data.items.ids)
    rows = cosine.likeness(
        interactions.offsets,
        interactions.item,
        n_items,
        discount=1.0,
        step_decay=1.0,
        least_together=1,
        longest_history=_LONGEST,
        row_limit=_ROW_LIMIT,
    )
    histories = affinity.newest(interactions.offsets, interactions.item, _LONGEST)
    return {
        **{f"row_{name}": array for name, array in rows._asdict().items()},
        **{f"history_{name}": array for name, array in histories._asdict().items()},
        "item_count": popularity.counts(interactions.item, n_items),
    }

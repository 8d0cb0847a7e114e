"""What contextual columns change in a recipe whose scores are probabilities: its state's ``context_*`` arrays.

Lifts are counted on all data; how much they count is chosen on users that neither they nor the recipe's own model have
seen, so that a column whose meaning the history already tells gets little.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.data.split import holdout
from nextpick.models import context
from nextpick.models.rows import read_only
from nextpick.recipes.interface import Query, State

_MOST_QUERIES = 1000
_MOST_SCORES = 50_000_000  # items times queries
_LEAST_QUERIES = 50
_MOST_OF_USER = 10

Fit = Callable[[Data, Any, Run], State]
Score = Callable[[State, Sequence[Query]], np.ndarray]


def fit(fit_model: Fit, score: Score, data: Data, params: Any, run: Run) -> State:
    """Return the arrays of the contextual columns of the data; ``fit_model`` and ``score`` are the recipe's, without
    context."""
    n_items = len(data.items.ids)
    most = min(_MOST_QUERIES, max(_MOST_SCORES // max(n_items, 1), _LEAST_QUERIES))
    held = holdout(data, run.rng, most)
    fitted = fit_model(held.train, params, run)
    state = {name: read_only(array) for name, array in fitted.items()}
    offsets, item = data.interactions.offsets, read_only(data.interactions.item)
    users, at = _queries(offsets, held.users, most)

    def p_of(q: int) -> np.ndarray:
        return score(state, [Query(int(users[q]), item[offsets[users[q]] : at[q]])])[0]

    codes = np.stack([column.codes[at] for column in data.interactions.contexts], axis=1)
    chosen = context.choose(context.count(held.train.interactions, n_items), p_of, codes, item[at])
    return _arrays(context.count(data.interactions, n_items)._replace(exponents=chosen.exponents))


def exponents(score: Score, state: State, data: Data, left: Data, asked: np.ndarray) -> np.ndarray:
    """Return how much lifts count beside scores that know the context themselves, float32 [columns].

    It is chosen on queries ``asked`` int64 [q, 3] (user, start and end of its history, where the target is), whose
    targets are in ``data`` and not in what is ``left`` of it for ``state``.
    """
    n_items, interactions = len(data.items.ids), data.interactions
    asked = asked[: min(_MOST_QUERIES, max(_MOST_SCORES // max(n_items, 1), _LEAST_QUERIES))]
    item, time, kind = (read_only(column) for column in interactions[1:4])
    codes = np.stack([column.codes[asked[:, 2]] for column in interactions.contexts], axis=1)

    def p_of(q: int) -> np.ndarray:
        user, start, end = asked[q].tolist()
        own = slice(start, end)
        query = Query(user, item[own], context=codes[q].tolist(), times=time[own], types=kind[own])
        return score(state, [query])[0]

    tables = context.count(left.interactions, n_items)
    return context.choose(tables, p_of, codes, item[asked[:, 2]]).exponents


def _queries(offsets: np.ndarray, users: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the newest interactions of some users, ten of each and ``most`` in all: users and places, int64 [m]."""
    each = min(max(most // max(len(users), 1), 1), _MOST_OF_USER)
    starts = np.maximum(offsets[users + 1] - each, offsets[users] + 1)
    lengths = offsets[users + 1] - starts
    at = np.concatenate([np.arange(start, start + n) for start, n in zip(starts, lengths, strict=True)])
    return np.repeat(users, lengths), at


def update(state: State, data: Data) -> State:
    """Return the arrays counted on newer data, with the exponents of an earlier state."""
    exponents = state.get("context_exponents")
    if exponents is None or len(exponents) != len(data.interactions.contexts):
        return {}
    tables = context.count(data.interactions, len(data.items.ids))
    return _arrays(tables._replace(exponents=np.array(exponents)))


def apply(state: State, codes: Sequence[int], p: np.ndarray, exponents: np.ndarray | None = None) -> None:
    """Change probabilities in place to what they are in the circumstances a request tells; ``exponents``: None the
    state's own."""
    if "context_exponents" in state:
        context.tilt(p, _tables_of(state, exponents), codes)


def log_lift(state: State, codes: Sequence[int], item: int, exponents: np.ndarray | None = None) -> float:
    """Return what circumstances add to the logarithm of an item's probability, up to what all items share."""
    if "context_exponents" not in state:
        return 0.0
    return context.log_lift(_tables_of(state, exponents), codes, item)


def _tables_of(state: State, exponents: np.ndarray | None) -> context.Tables:
    tables = context.Tables(*(state[f"context_{name}"] for name in context.Tables._fields))
    return tables if exponents is None else tables._replace(exponents=exponents)


def _arrays(tables: context.Tables) -> State:
    return {f"context_{name}": array for name, array in tables._asdict().items()}

"""What a recipe is: a module with ``Params``, ``fit`` and ``score``, or ``rank_users`` where users are segmented.

    fit(data: Data, params: Params, run: Run) -> State
    score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray
    rank_users(state: State, items: np.ndarray) -> np.ndarray
    targets(data: Data) -> Sequence[np.ndarray]
    evaluate(params: Params, data: Data, run: Run) -> dict[str, float]
    forget(state: State, users: np.ndarray) -> State
    update(state: State, data: Data, params: Params, run: Run) -> State
    reasons(state: State, query: Query, item: int) -> Reasons
    reached(state: State, query: Query) -> np.ndarray | None
    check(data: Data, params: Params) -> None

``score`` returns float32 [n_queries, n_items], or [n_queries, len(items)] for the given rows of items (int32); higher
is better. A state is arrays by name and nothing else; every state holds ``item_count`` int64 [n_items], the
interactions of each item. ``rank_users`` returns float32 [n_users], each user's affinity to some items (rows, int32
[m]), and ``targets`` what is asked about when that is measured. A recipe whose state has rows of users can ``forget``
some (rows), and then has nothing of them. One whose metrics are not those of ``evaluate.py`` has an ``evaluate`` of
its own. One that has an ``update`` can be trained on newer data, or on all of it after a measurement, with what was
dear in an earlier state taken over. One that can say exactly what of an item's score each event made has ``reasons``;
others are explained by scoring again without each event (``serving/reasons.py``). One whose answers tell which items
only fill them up has ``reached``: the rows of those that do not, or None for all. One that needs something of the
data beside the minimums of all recipes has a ``check``, which raises DataFailure.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import Any, NamedTuple

import numpy as np

State = dict[str, np.ndarray]


class Query(NamedTuple):
    """What is asked: ``user`` is a row of the users or -1, ``items`` the history's rows, oldest first (int32
    [h], read-only, live events included), ``item`` the row of the item that related ones are wanted for, or -1,
    ``outcomes`` of a history of actions what each was (int8 [h]), ``context`` the code of each contextual column of the
    interactions, -1 where nothing is told, none where nothing is at all; where the recipe reads times: ``times`` int64
    [h] of the history's events, seconds since 1970, ``types`` int16 [h] of them, and ``now``, when it is asked."""

    user: int
    items: np.ndarray
    item: int = -1
    outcomes: np.ndarray | None = None
    context: Sequence[int] = ()
    times: np.ndarray | None = None
    types: np.ndarray | None = None
    now: int | None = None

    def after(self, row: int) -> "Query":
        """Return the query, not one of actions, as it would be after an event with an item, of no type, just now."""
        late = {"items": row, "times": self.now or 0, "types": -1}
        columns = {name: getattr(self, name) for name in late}
        longer = {
            name: np.append(column, column.dtype.type(late[name]))
            for name, column in columns.items()
            if column is not None
        }
        for column in longer.values():
            column.flags.writeable = False
        return self._replace(**longer)

    def without(self, place: int) -> "Query":
        """Return the query as it is without one event of its history."""
        columns = {name: getattr(self, name) for name in ("items", "outcomes", "times", "types")}
        left = {name: np.delete(column, place) for name, column in columns.items() if column is not None}
        for column in left.values():
            column.flags.writeable = False
        return self._replace(**left)


class Reasons(NamedTuple):
    """Why an item has its score. The logit is what answers are ordered by, up to what all items share: the logarithm of
    a probability, say.

    ``events``: what each event of the query's history adds to it (float64 [h]);  ``rest``: what no event explains
    (popularity, the user's attributes, a bias);  ``sources``: the same logit by what proposed the item, a member of a
    blend say.  events.sum() + rest == the logit == sum(sources.values()).
    """

    events: np.ndarray
    rest: float
    sources: dict[str, float]

    @property
    def logit(self) -> float:
        """The sum of all parts."""
        return float(self.events.sum() + self.rest)


def tunable(
    default: Any, low: Any = None, high: Any = None, help: str = "", *, hpo: bool = False, prefix: str = ""
) -> Any:
    """Return a field of ``Params``: the default, the range it must lie in, whether HPO may choose it, and what its
    name begins with where a tuned value is told."""
    return field(
        default=default,
        metadata={"low": low, "high": high, "help": help, "hpo": hpo, "prefix": prefix}
        | {"feature": False, "choices": None},
    )


def feature(
    default: Any, low: Any = None, high: Any = None, help: str = "", *, choices: tuple[str, ...] = ()
) -> Any:
    """Return a field of ``Params`` that comes from featureTransformationParameters: within a range, or one of
    ``choices``."""
    return field(
        default=default,
        metadata={"low": low, "high": high, "help": help, "hpo": False, "prefix": ""}
        | {"feature": True, "choices": choices},
    )

"""What a recipe is: a module with ``Params``, ``fit`` and ``score``.

    fit(data: Data, params: Params, run: Run) -> State
    score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray

``score`` returns float32 [n_queries, n_items], or [n_queries, len(items)] for the given rows of items (int32);
higher is better. A state is arrays by name and nothing else; every state holds ``item_count`` int64 [n_items],
the interactions of each item.
"""

from dataclasses import field
from typing import Any, NamedTuple

import numpy as np

State = dict[str, np.ndarray]


class Query(NamedTuple):
    """What is asked: ``user`` is a row of the users or -1, ``items`` the history's rows, oldest first (int32
    [h], read-only, live events included), ``item`` the row of the item that related ones are wanted for, or -1."""

    user: int
    items: np.ndarray
    item: int = -1


def tunable(default: Any, low: Any = None, high: Any = None, help: str = "", *, hpo: bool = False) -> Any:
    """Return a field of ``Params``: the default, the range it must lie in, and whether HPO may choose it."""
    return field(default=default, metadata={"low": low, "high": high, "help": help, "hpo": hpo})

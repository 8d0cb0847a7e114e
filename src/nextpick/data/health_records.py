"""How healthy the records of items, users or actions are: what a model or a filter can make of each column."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpick.data.cells import CREATED
from nextpick.data.health import FORMAT, NOTICE, OK, WARNING, Finding, level
from nextpick.data.view import View, ViewColumn

_EMPTY, _LIKE_AN_ID, _LEAST_VALUES = 0.05, 0.5, 100
_DAY_S = 86_400


def of_records(view: View, duplicates: int, now: float) -> dict[str, Any]:
    """Return the health of records, as JSON takes it.

    duplicates: records that a later one of their id replaced;  now: seconds since 1970.
    """
    n = len(view.ids)
    columns = [_column(column, n) for column in view.columns.values()]
    looked = [
        _named("empty columns", [c for c in columns if c["filled"] < _EMPTY], "are filled in few records", n),
        _named("constant columns", [c for c in columns if c["values"] == 1], "say the same everywhere", n),
        _named(
            "columns like ids", [c for c in columns if _is_like_an_id(c, n)], "differ nearly everywhere", n
        ),
        _duplicates(n, duplicates),
        *_creation(view, now),
    ]
    return {
        "format": FORMAT,
        "kind": "health",
        "rows": n,
        "findings": [finding.told() for finding in looked],
        "columns": columns,
    }


def _column(column: ViewColumn, n: int) -> dict[str, Any]:
    """Return how many records a column is filled in, and how many different values it has."""
    if column.numbers is not None:
        there = column.numbers[~np.isnan(column.numbers)]
        filled, values = len(there), len(np.unique(there))
    else:
        assert column.texts is not None
        filled = int(np.count_nonzero(np.diff(column.texts.offsets)))
        values = len(np.unique(column.texts.codes))
    kind = "number" if column.numbers is not None else "text"
    return {"name": column.name, "kind": kind, "filled": round(filled / max(n, 1), 6), "values": values}


def _is_like_an_id(column: dict[str, Any], n: int) -> bool:
    return column["kind"] == "text" and column["values"] > max(_LIKE_AN_ID * n, _LEAST_VALUES)


def _named(name: str, columns: Sequence[dict[str, Any]], what: str, n: int) -> Finding:
    names = ", ".join(column["name"] for column in columns)
    text = f"{names}: {what}." if columns else f"There are no {name}."
    return Finding(name, NOTICE if columns and n else OK, float(bool(columns)), text)


def _duplicates(n: int, duplicates: int) -> Finding:
    share = duplicates / max(n + duplicates, 1)
    text = f"{duplicates:,} records were replaced by a later one of their id."
    return Finding("duplicates", level(share, 0.01, 0.2), share, text)


def _creation(view: View, now: float) -> list[Finding]:
    column = view.columns.get(CREATED)
    if column is None or column.numbers is None:
        return []
    late = column.numbers > now + _DAY_S
    share = float(late.mean()) if len(late) else 0.0
    text = (
        f"{int(late.sum()):,} records are created in the future." if late.any() else "None is of the future."
    )
    return [Finding("creation in the future", WARNING if late.any() else OK, share, text)]

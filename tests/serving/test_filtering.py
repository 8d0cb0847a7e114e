"""Masks of filters against an interpreter that reads records row by row."""

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from nextpick.data.avro import parse_schema
from nextpick.data.filters.bind import bind
from nextpick.data.filters.grammar import parse
from nextpick.data.filters.resolve import columns_of, resolve
from nextpick.data.view import Texts, View, ViewColumn
from nextpick.data.vocabulary import Vocabulary
from nextpick.serving.live import Put
from nextpick.serving.spaces import NO_CHANGES, Changes, Space

N = 30
SCHEMA = parse_schema(
    """{"type": "record", "name": "Items", "fields": [{"name": "ITEM_ID", "type": "string"},
    {"name": "GENRE", "type": ["null", "string"], "categorical": true}, {"name": "YEAR", "type": ["null", "int"]}]}"""
)
COLUMNS = columns_of({"ITEMS": SCHEMA})
GENRES = ("a", "b", "c")

texts = st.lists(st.sampled_from(GENRES), max_size=3, unique=True).map(tuple)
record = st.fixed_dictionaries({"GENRE": texts, "YEAR": st.one_of(st.none(), st.integers(0, 5))})
of_texts = st.builds(
    lambda op, values: ("GENRE", op, tuple(values)),
    st.sampled_from(("IN", "NOT IN")),
    st.lists(st.sampled_from((*GENRES, "none of them")), min_size=1, max_size=3),
)
of_numbers = st.builds(
    lambda op, value: ("YEAR", op, (value,)),
    st.sampled_from(("=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN")),
    st.integers(-1, 6),
)
expression = st.tuples(
    st.booleans(),
    st.lists(st.lists(st.one_of(of_texts, of_numbers), min_size=1, max_size=3), min_size=1, max_size=3),
)


def met(condition: tuple[str, str, tuple], row: dict[str, Any]) -> bool:
    """Tell whether a record meets a condition: the ten lines that the masks must equal."""
    column, op, values = condition
    held = row[column] if column == "GENRE" else () if row[column] is None else (row[column],)
    if not held:
        return False
    if op in ("IN", "NOT IN"):
        return any(value in values for value in held) == (op == "IN")
    one, other = held[0], values[0]
    return {"=": one == other, "!=": one != other, "<": one < other, "<=": one <= other,
            ">": one > other, ">=": one >= other}[op]  # fmt: skip


def lets_through(expressions: list, row: dict[str, Any]) -> bool:
    """Tell whether a filter lets a record through."""
    holds = [
        (includes, any(all(met(c, row) for c in every) for every in any_of))
        for includes, any_of in expressions
    ]
    included = [held for includes, held in holds if includes]
    return (not included or any(included)) and not any(held for includes, held in holds if not includes)


def written(expressions: list) -> str:
    """Return the filter as a client writes it."""

    def one(condition: tuple[str, str, tuple]) -> str:
        column, op, values = condition
        listed = ", ".join(f'"{value}"' if column == "GENRE" else str(value) for value in values)
        return f"Items.{column} {op} " + (f"({listed})" if op.endswith("IN") else listed)

    return " | ".join(
        f"{'INCLUDE' if includes else 'EXCLUDE'} ItemID WHERE "
        + " OR ".join(" AND ".join(map(one, every)) for every in any_of)
        for includes, any_of in expressions
    )


def view_of(rows: list[dict[str, Any]]) -> View:
    """Return the view of records whose ids are i0, i1, …, the last known to the view alone."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row["GENRE"]) for row in rows], out=offsets[1:])
    codes = np.array([GENRES.index(genre) for row in rows for genre in row["GENRE"]], np.int32)
    years = np.array([np.nan if row["YEAR"] is None else row["YEAR"] for row in rows], np.float64)
    genre = ViewColumn("GENRE", "string", None, Texts(offsets, codes, Vocabulary.build(GENRES)))
    year = ViewColumn("YEAR", "int", years, None)
    return View(
        "ITEM_ID", Vocabulary.build([f"i{i}" for i in range(len(rows))]), {"GENRE": genre, "YEAR": year}
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(record, min_size=1, max_size=N), st.lists(expression, min_size=1, max_size=3), st.data())
def test_masks_equal_reading_row_by_row(rows: list[dict], expressions: list, data: st.DataObject) -> None:
    ids = Vocabulary.build([*(f"i{i}" for i in range(len(rows) - 1)), "unknown to the view"])
    space = Space(ids, "ITEM_ID", view_of(rows))
    bound = bind(resolve(parse(written(expressions)), COLUMNS), {}, COLUMNS)
    includes, excludes = tuple(e for e in bound if e.includes), tuple(e for e in bound if not e.includes)
    known = [*rows[: len(ids) - 1], {"GENRE": (), "YEAR": None}]
    changes = Changes({})
    for step in range(3):
        mask = space.mask(includes or None, excludes, changes)
        allowed = np.ones(len(ids), bool) if mask is None else mask
        assert allowed.tolist() == [lets_through(expressions, row) for row in known], written(expressions)
        at, new = data.draw(st.integers(0, len(ids) - 1)), data.draw(record)
        known[at] = new
        held = json.dumps({"GENRE": list(new["GENRE"]) or None, "YEAR": new["YEAR"]})
        changes.add(Put("file", step + 1, 0, ids.id(at), held), "ITEM_ID")


def test_masks_are_kept_within_their_room() -> None:
    space = Space(Vocabulary.build(["i0"]), "ITEM_ID", view_of([{"GENRE": ("a",), "YEAR": 1}]))
    for year in range(100):
        bound = bind(resolve(parse(f"INCLUDE ItemID WHERE Items.YEAR = {year}"), COLUMNS), {}, COLUMNS)
        mask = space.mask(bound, (), NO_CHANGES)
        assert mask is not None
        assert mask.tolist() == [year == 1]

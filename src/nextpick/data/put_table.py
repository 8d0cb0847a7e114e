"""Records that were put, brought into the columns of a part."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from nextpick.data.avro import Schema
from nextpick.data.columns import arrow_schema, specs
from nextpick.data.kinds import Kind
from nextpick.data.records import Held, cell


def table_of(records: Iterable[tuple[str, str]], schema: Schema, kind: Kind) -> pa.Table:
    """Return (id, JSON) records as rows of a part, in their order; columns that a record lacks are null."""
    cells: dict[str, list[Any]] = {field.name: [] for field in schema.fields}
    for id, text in records:
        held: Held = {**json.loads(text), kind.key: id}
        for name, column in cells.items():
            column.append(cell(held.get(name)))
    arrays = []
    for column in specs(schema, kind):
        plain = pa.string() if pa.types.is_dictionary(column.type) else column.type
        made = pa.array(cells[column.name], plain)
        arrays.append(made.dictionary_encode().cast(column.type) if plain is not column.type else made)
    return pa.Table.from_arrays(arrays, schema=arrow_schema(specs(schema, kind)))

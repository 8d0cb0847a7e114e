"""How the columns of a schema lie in a part, and what their cells must be."""

from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute

from nextpick.data import kinds
from nextpick.data.avro import Field, Schema
from nextpick.data.cells import BREAK, MAX_ID, MAX_STRING, MAX_TEXTUAL, MILLISECONDS, TAG

pc: Any = pyarrow.compute  # makes its functions when imported, unseen by type checkers

_DICTIONARY = pa.dictionary(pa.int32(), pa.string())
_STORED = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
}


class Spec(NamedTuple):
    """A column of a part.

    type: as stored: texts that repeat as dictionaries, numbers with 64 bits;  most: longest text, characters;
    nullable: whether a cell may be empty;  time: whether it holds seconds since 1970;  textual: free text;
    limits: the least and the greatest number, None where there are none.
    """

    name: str
    type: pa.DataType
    most: int | None
    nullable: bool
    time: bool
    textual: bool
    limits: tuple[int, int] | None = None


def specs(schema: Schema, kind: kinds.Kind) -> tuple[Spec, ...]:
    """Return how each column of a schema is stored, in the schema's order."""
    return tuple(_spec(field, kind) for field in schema.fields)


def arrow_schema(columns: tuple[Spec, ...]) -> pa.Schema:
    """Return the Arrow schema of a part."""
    return pa.schema([(column.name, column.type) for column in columns])


def fits(table: pa.Table, columns: tuple[Spec, ...]) -> bool:
    """Tell whether typed cells keep the rules that a type does not say: nulls, lengths, finite, limits,
    seconds."""
    return all(_column_fits(table.column(column.name), column) for column in columns)


def clean_textual(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Strip tags, new lines and tabs from free text and cut it to ``MAX_TEXTUAL`` characters."""
    texts = pc.replace_substring_regex(texts, TAG, "")
    texts = pc.replace_substring_regex(texts, BREAK, " ")
    return pc.utf8_slice_codeunits(texts, 0, MAX_TEXTUAL)


def _spec(field: Field, kind: kinds.Kind) -> Spec:
    is_id = field.name in kind.required and field.name.endswith("_ID")
    repeats = is_id or field.categorical or field.name == "EVENT_TYPE"
    is_text = field.type == "string" or field.categorical
    most = (MAX_ID if is_id else MAX_STRING) if is_text and not field.textual else None
    time = field.name.endswith("TIMESTAMP") and not is_text and field.type != "boolean"
    stored = _DICTIONARY if repeats else _STORED[field.type]
    return Spec(field.name, stored, most, field.nullable, time, field.textual, kind.limits(field.name))


def _column_fits(cells: pa.ChunkedArray, column: Spec) -> bool:
    if cells.null_count and not column.nullable:
        return False
    if pa.types.is_floating(column.type) and not pc.all(pc.is_finite(cells), min_count=0).as_py():
        return False
    if column.limits is not None and cells.null_count < len(cells):
        least, greatest = (scalar.as_py() for scalar in pc.min_max(cells).values())
        return column.limits[0] <= least and greatest <= column.limits[1]
    if column.time:
        newest = pc.max(cells).as_py()
        return newest is None or newest < MILLISECONDS
    return column.most is None or all(_short(chunk, column.most) for chunk in cells.chunks)


def _short(chunk: pa.Array, most: int) -> bool:
    texts = chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk
    longest = pc.max(pc.binary_length(texts)).as_py()
    return longest is None or longest <= most or pc.max(pc.utf8_length(texts)).as_py() <= most

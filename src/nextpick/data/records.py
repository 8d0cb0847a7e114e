"""Records that are put one by one: checked against a schema, kept as JSON.

As JSON a record holds each column of its schema that it has a value for: categories as a list, other texts as a
text, numbers, booleans. Sources: developer guide, "Importing individual records"; API reference, PutItems.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

from nextpick.data.avro import Field, Schema
from nextpick.data.cells import BREAK, CREATED, MAX_STRING, MAX_TEXTUAL, MILLISECONDS, TAG
from nextpick.data.kinds import Kind
from nextpick.errors import InvalidInput

Held = dict[str, str | list[str] | float | int | bool]


def read_record(schema: Schema, kind: Kind, id: str, properties: dict[str, Any], now: float) -> str:
    """Return a record as JSON; names are those of the schema in camel case, or as in the schema.

    Where the schema wants a CREATION_TIMESTAMP and none is given, it is now. Raises InvalidInput naming the record and
    the column that is unknown, missing, or of another type.
    """
    fields = {_plain(field.name): field for field in schema.fields if field.name != kind.key}
    held: Held = {}
    for name, value in properties.items():
        field = fields.get(_plain(name))
        if field is None:
            raise InvalidInput(f"{id}: the schema has no field for {name}; it has {', '.join(fields)}.")
        if value is not None and value not in ("", []):
            held[field.name] = _value(id, field, value)
            _check_limits(id, field.name, held[field.name], kind)
    for field in fields.values():
        if field.name in held or field.nullable:
            continue
        if field.name != CREATED:
            raise InvalidInput(f"{id}: {field.name} is required by the schema and missing in properties.")
        held[CREATED] = int(now)
    return json.dumps(held, ensure_ascii=False)


def read_known(schema: Schema, kind: Kind, properties: dict[str, Any]) -> dict[str, Any]:
    """Return what properties say about the columns of a schema, as cells; what is unknown or unreadable is left out."""
    fields = {_plain(field.name): field for field in schema.fields if field.name not in kind.required}
    found: dict[str, Any] = {}
    for name, value in properties.items():
        field = fields.get(_plain(name))
        if field is None or value is None:
            continue
        try:
            found[field.name] = cell(_value("", field, value))
        except InvalidInput:
            continue
    return found


def cell(value: Any) -> Any:
    """Return a held value as it stands in a column: the categories of a list in one text."""
    return "|".join(value) if isinstance(value, list) else value


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _value(id: str, field: Field, value: Any) -> str | list[str] | float | int | bool:
    if field.categorical:
        texts = value if isinstance(value, list) else str(value).split("|")
        return [_text(id, field, text) for text in texts if text != ""]
    if field.type == "string":
        return _text(id, field, value)
    read, wanted = _READ[field.type]
    try:
        found = read(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{id}: {field.name} is {value!r}; it must be {wanted}.") from None
    if field.name.endswith("TIMESTAMP") and found >= MILLISECONDS:
        raise InvalidInput(f"{id}: {field.name} is {value!r}; it must be in seconds, not milliseconds.")
    return found


def _check_limits(id: str, name: str, value: Any, kind: Kind) -> None:
    limits = kind.limits(name)
    if limits is not None and not limits[0] <= value <= limits[1]:
        raise InvalidInput(f"{id}: {name} is {value}; it must be from {limits[0]} to {limits[1]}.")


def _text(id: str, field: Field, value: Any) -> str:
    if isinstance(value, list | dict):
        raise InvalidInput(f"{id}: {field.name} is {value!r}; it must be a text.")
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    if field.textual:
        return re.sub(BREAK, " ", re.sub(TAG, "", text))[:MAX_TEXTUAL]
    if len(text) > MAX_STRING:
        raise InvalidInput(f"{id}: Length cannot be more than {MAX_STRING} characters for {field.name}.")
    return text


def _integer(value: Any) -> int:
    number = int(value) if isinstance(value, str) else value
    if isinstance(number, bool) or number != int(number) or abs(number) >= 1 << 63:
        raise ValueError
    return int(number)


def _number(value: Any) -> float:
    number = math.nan if isinstance(value, bool) else float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError
    return text in ("true", "1")


_READ: dict[str, tuple[Callable[[Any], Any], str]] = {
    "int": (_integer, "a whole number"),
    "long": (_integer, "a whole number"),
    "float": (_number, "a finite number"),
    "double": (_number, "a finite number"),
    "boolean": (_boolean, "true or false"),
}

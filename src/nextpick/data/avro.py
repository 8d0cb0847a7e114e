"""Schemas: the Avro records that say which columns a dataset has.

A schema is a flat Avro record: no nested types, a column's type is one of ``TYPES`` or its union with null.
What each type of dataset must and may have is in ``kinds.py``.
Source: developer guide, "Creating schema JSON files for datasets and schemas".
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from nextpick.data import kinds
from nextpick.errors import InvalidInput

TYPES = ("string", "boolean", "int", "long", "float", "double")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"1(\.[0-9]+)?")  # programs count up the digit behind the point when they add a column


@dataclass(frozen=True, slots=True)
class Field:
    """A column. ``type`` is one of ``TYPES``; ``nullable`` columns may have empty cells."""

    name: str
    type: str
    nullable: bool = False
    categorical: bool = False
    textual: bool = False
    item_name: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """A record: its name and its columns, in the order of the schema."""

    name: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """Return the column of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)


def parse_schema(text: str) -> Schema:
    """Read a schema. A record named after a type of dataset must fit that type (in any domain).

    Raises InvalidInput naming the field, when the text is not JSON, not a flat record, or breaks a rule.
    """
    schema = _record(text)
    if schema.name.upper() in kinds.BY_RECORD_NAME:
        _check(schema, kinds.BY_RECORD_NAME[schema.name.upper()], any_domain=True)
    return schema


def check_schema(schema: Schema, dataset_type: str, domain: str | None) -> None:
    """Check a schema against the rules of a type of dataset in a domain (None: a custom dataset group).

    Raises InvalidInput naming the field that is missing, of the wrong type, or one too many.
    """
    kind = kinds.find(dataset_type.upper(), domain)
    if kind is None:
        raise InvalidInput(
            f"There are no {dataset_type} datasets in a dataset group of domain {domain or 'none'}."
        )
    named = kinds.BY_RECORD_NAME.get(schema.name.upper())
    if named is not None and named.dataset_type != kind.dataset_type:
        raise InvalidInput(
            f"The schema is of a record {schema.name}; a dataset of type {kind.dataset_type} needs another one."
        )
    _check(schema, kind, any_domain=False)


def _record(text: str) -> Schema:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The schema is not valid JSON: {error}.") from None
    if not isinstance(record, dict) or record.get("type") != "record":
        raise InvalidInput('The schema is not an Avro record: it needs "type": "record".')
    name = record.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(f'The schema needs a "name" of letters, digits and underscores, not {name!r}.')
    version = record.get("version")
    if version is not None and not _VERSION.fullmatch(str(version)):
        raise InvalidInput(
            f'The schema\'s "version" is {version!r}; only "1.0" and what follows it are known.'
        )
    fields = record.get("fields")
    if not isinstance(fields, list) or not fields:
        raise InvalidInput('The schema needs "fields": a list of at least one field.')
    schema = Schema(name, tuple(_field(field) for field in fields))
    _check_names(schema)
    return schema


def _field(field: Any) -> Field:
    name = field.get("name") if isinstance(field, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f'A field of the schema needs a "name" of letters, digits and underscores: {field!r}.'
        )
    if "type" not in field:
        raise InvalidInput(f'Field {name} of the schema has no "type".')
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    plain = [t for t in types if t != "null"]
    if len(plain) != 1 or plain[0] not in TYPES or len(types) > 2 or types.count("null") > 1:
        raise InvalidInput(
            f"Field {name} of the schema has type {json.dumps(field['type'])}; it must be one of "
            f"{', '.join(TYPES)}, or one of these and null."
        )
    flags = {key: field.get(key, False) for key in ("categorical", "textual", "itemName")}
    for key, value in flags.items():
        if not isinstance(value, bool):
            raise InvalidInput(f"Field {name} of the schema has {key} {value!r}; it must be true or false.")
        # Categories that are numbers (a year, a code) are taken as they are; texts and names must be strings.
        if value and plain[0] != "string" and not (key == "categorical" and plain[0] in ("int", "long")):
            raise InvalidInput(
                f"Field {name} of the schema is {key}, so its type must be string, not {plain[0]}."
            )
    if flags["categorical"] and flags["textual"]:
        raise InvalidInput(f"Field {name} of the schema cannot be both categorical and textual.")
    return Field(name, plain[0], "null" in types, *flags.values())


def _check_names(schema: Schema) -> None:
    seen: dict[str, str] = {}
    for field in schema.fields:
        plain = re.sub(r"[^a-z0-9]", "", field.name.lower())
        if plain in seen:
            raise InvalidInput(
                f"Fields {seen[plain]} and {field.name} of the schema have the same name but for characters "
                "that are not letters or digits."
            )
        seen[plain] = field.name


def _check(schema: Schema, kind: kinds.Kind, any_domain: bool) -> None:
    for name in kind.required:
        if schema.field(name) is None:
            raise InvalidInput(f"The schema {schema.name} is missing the required field {name}.")
    for field in schema.fields:
        rule = kind.required.get(field.name) or kind.reserved.get(field.name)
        if rule is not None:
            _check_reserved(field, rule, any_domain)
        if field.textual and kind.dataset_type != "ITEMS":
            raise InvalidInput(f"Field {field.name} is textual; only Items schemas can have a textual field.")
        if field.item_name and kind.dataset_type != "ITEMS":
            raise InvalidInput(f"Field {field.name} is itemName; only Items schemas can have one.")
    for flag, word in (("textual", "textual"), ("item_name", "itemName")):
        flagged = [field.name for field in schema.fields if getattr(field, flag)]
        if len(flagged) > 1:
            raise InvalidInput(
                f"An Items schema can have one {word} field, not {len(flagged)}: {', '.join(flagged)}."
            )
    metadata = [field.name for field in schema.fields if kind.is_metadata(field.name)]
    if len(metadata) < kind.least_metadata:
        raise InvalidInput(
            f"The schema {schema.name} needs at least one metadata field beside {', '.join(kind.required)}."
        )
    if len(metadata) > kind.most_metadata:
        raise InvalidInput(
            f"The schema {schema.name} has {len(metadata)} metadata fields; "
            f"{kind.dataset_type} datasets can have at most {kind.most_metadata}."
        )


def _check_reserved(field: Field, rule: kinds.Rule, any_domain: bool) -> None:
    types = (
        (*rule.types, "float", "double") if any_domain and field.name == "CREATION_TIMESTAMP" else rule.types
    )
    if field.type not in types:
        raise InvalidInput(
            f"Field {field.name} of the schema must have type {rule.types[0]}, not {field.type}."
        )
    if field.nullable and rule.never_null:
        raise InvalidInput(f"Field {field.name} of the schema is required in each record; it cannot be null.")
    if rule.categorical is not None and field.categorical != rule.categorical:
        must = "must be" if rule.categorical else "cannot be"
        raise InvalidInput(f"Field {field.name} of the schema {must} categorical.")
    if rule.textual and not field.textual:
        raise InvalidInput(f"Field {field.name} of the schema must be textual.")

"""The Avro schema of a prepared dataset, from the types and values of its columns."""

import json
from collections.abc import Collection
from typing import Any

_TYPES = {
    "BIGINT": "long",
    "HUGEINT": "long",
    "INTEGER": "int",
    "SMALLINT": "int",
    "TINYINT": "int",
    "DOUBLE": "double",
    "FLOAT": "float",
    "BOOLEAN": "boolean",
}
_PLAIN = ("USER_ID", "ITEM_ID", "EVENT_TYPE", "IMPRESSION", "RECOMMENDATION_ID")
_LONG_TEXT, _UNIQUE_SHARE = 80, 0.9


def schema_of(database: Any, query: str, dataset: str, nullable: Collection[str]) -> str:
    """Return the schema of what a query gives, for a dataset of type ``dataset``, as JSON.

    A text is a category, but for ids: free text, of items, where it is long on average; plain where nearly every row
    has another.
    """
    fields = []
    has_free_text = False
    for name, type_, *_ in database.execute(f"DESCRIBE {query}").fetchall():
        kind = "float" if name == "EVENT_VALUE" else _TYPES.get(type_, "string")
        field: dict[str, Any] = {"name": name, "type": [kind, "null"] if name in nullable else kind}
        if kind == "string" and name not in _PLAIN:
            length, share = database.execute(
                f'SELECT avg(length("{name}")), count(DISTINCT "{name}") / greatest(count("{name}"), 1) FROM ({query})'
            ).fetchone()
            if dataset == "items" and (length or 0) > _LONG_TEXT and not has_free_text:
                field["textual"] = has_free_text = True
            elif share < _UNIQUE_SHARE:
                field["categorical"] = True
        fields.append(field)
    record = {
        "type": "record",
        "name": dataset.capitalize(),
        "namespace": "com.amazonaws.personalize.schema",
        "fields": fields,
        "version": "1.0",
    }
    return json.dumps(record, indent=2) + "\n"

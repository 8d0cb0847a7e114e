"""What a filter means over the columns there are: which must exist, and what can be compared with what.

Sources: developer guide, "Filter expressions", "Filter expression structure and elements", "Endpoints and quotas".
"""

import math
from collections.abc import Mapping

from nextpick.data.avro import Field, Schema
from nextpick.data.filters.terms import (
    ANY,
    ORDERED,
    Condition,
    CurrentItem,
    Expression,
    Filter,
    Placeholder,
    Value,
    event_name,
)
from nextpick.errors import InvalidInput

NUMBER, TEXT = "number", "text"
Columns = Mapping[str, Mapping[str, str]]  # by dataset: by column, upper case: NUMBER, TEXT or why neither

MOST_FIELDS = 10
EVENTS = ("INTERACTIONS", "ACTION_INTERACTIONS")
_SUBJECTS = {
    "ITEMID": ("ITEMS", "INTERACTIONS"),
    "USERID": ("USERS", "INTERACTIONS"),
    "ACTIONID": ("ACTIONS", "ACTION_INTERACTIONS"),
}


def columns_of(schemas: Mapping[str, Schema]) -> Columns:
    """Return what the columns of datasets are to a filter."""
    return {
        dataset: {field.name.upper(): _kind(field) for field in schema.fields}
        for dataset, schema in schemas.items()
    }


def fields_of(filter: Filter) -> frozenset[tuple[str, str]]:
    """Return the (dataset, column) pairs a filter names."""
    found = {("USERS" if c.dataset == "CURRENTUSER" else c.dataset, c.column) for c in filter.conditions}
    items = {("ITEMS", v.column) for c in filter.conditions for v in c.values if isinstance(v, CurrentItem)}
    return frozenset(found | items)


def resolve(filter: Filter, columns: Columns) -> Filter:
    """Return the filter with each value as its column has it: float or str; on texts ``=`` is IN, ``!=`` NOT IN.

    Raises InvalidInput naming the dataset, column, operator or placeholder that cannot be.
    """
    subjects = {expression.subject for expression in filter.expressions}
    if len(subjects) > 1:
        raise InvalidInput(f"A filter is about one of {', '.join(sorted(subjects))}, not about several.")
    if len(fields_of(filter)) > MOST_FIELDS:
        raise InvalidInput(
            f"The filter expression names {len(fields_of(filter))} fields; it may name {MOST_FIELDS}."
        )
    return Filter(tuple(_expression(expression, columns) for expression in filter.expressions))


def number(text: str) -> float | None:
    """Return the number a text is, None for what is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _expression(expression: Expression, columns: Columns) -> Expression:
    allowed = _SUBJECTS[expression.subject]
    for condition in expression.conditions:
        if condition.dataset not in allowed:
            raise InvalidInput(
                f"An expression about {expression.subject} has conditions on {' or '.join(allowed)}, "
                f"not on {condition.dataset}."
            )
        if condition.dataset != expression.dataset:
            raise InvalidInput(
                f"One expression has conditions on one dataset: {expression.dataset} here, not "
                f"{condition.dataset} too; join two expressions with |."
            )
    any_of = tuple(
        tuple(_condition(condition, columns, expression.subject) for condition in all_of)
        for all_of in expression.any_of
    )
    when = tuple(_condition(condition, columns, expression.subject) for condition in expression.when)
    return expression._replace(any_of=any_of, when=when)


def _condition(condition: Condition, columns: Columns, subject: str) -> Condition:
    dataset = "USERS" if condition.dataset == "CURRENTUSER" else condition.dataset
    kind = _column(columns, dataset, condition.column)
    op = condition.op
    if kind == TEXT and op in ORDERED:
        raise InvalidInput(f"{dataset}.{condition.column} holds texts, which {op} does not compare.")
    if kind == TEXT and op in ("=", "!="):
        op = "IN" if op == "=" else "NOT IN"
    if dataset in EVENTS and condition.column != "EVENT_TYPE":
        raise InvalidInput(f"Invalid Expression: of {dataset} only EVENT_TYPE can be filtered by.")
    for value in condition.values:
        if isinstance(value, Placeholder) and op == "NOT IN":
            raise InvalidInput(
                f"Invalid input symbol: ${value.name}. Placeholders are not allowed with NOT_IN operator."
            )
        if isinstance(value, CurrentItem):
            if subject != "ITEMID" or dataset in EVENTS:
                raise InvalidInput("CurrentItem can be compared with columns of Items only.")
            if _column(columns, "ITEMS", value.column) != kind:
                raise InvalidInput(
                    f"{dataset}.{condition.column} cannot be compared with CurrentItem.{value.column}: "
                    "one holds numbers, the other texts."
                )
    values = tuple(_value(value, kind, f"{dataset}.{condition.column}") for value in condition.values)
    if dataset in EVENTS:
        values = tuple(event_name(v) if isinstance(v, str) else v for v in values)
        values = (ANY,) if ANY in values else values
    return Condition(condition.dataset, condition.column, op, values)


def _column(columns: Columns, dataset: str, column: str) -> str:
    if dataset not in columns:
        raise InvalidInput(f"Invalid Expression: the dataset group has no {dataset} dataset.")
    kind = columns[dataset].get(column)
    if kind is None:
        raise InvalidInput(f"Invalid Expression: {dataset} has no column {column}.")
    if kind not in (NUMBER, TEXT):
        raise InvalidInput(f"Invalid Expression: {dataset}.{column} is {kind}, by which cannot be filtered.")
    return kind


def _value(value: Value, kind: str, column: str) -> Value:
    if kind == TEXT or not isinstance(value, str):
        return value
    known = number(value)
    if known is None:
        raise InvalidInput(f"{column} holds numbers; {value!r} is none.")
    return known


def _kind(field: Field) -> str:
    if field.textual:
        return "textual"
    if field.type == "boolean":
        return "boolean"
    return TEXT if field.categorical or field.type == "string" else NUMBER

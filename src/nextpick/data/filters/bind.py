"""A filter with the values of one request.

Source: developer guide, "Filtering recommendations": each value of ``filterValues`` is a list of texts, each in
quotes, joined by commas. Numbers may stand without quotes.
"""

import re
from collections.abc import Mapping

from nextpick.data.filters.grammar import unquote
from nextpick.data.filters.resolve import NUMBER, Columns, number
from nextpick.data.filters.terms import (
    ANY,
    Condition,
    CurrentItem,
    Expression,
    Filter,
    Placeholder,
    Value,
    event_name,
)
from nextpick.data.view import Record
from nextpick.errors import InvalidInput

_LITERAL = re.compile(r'\s*("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(,|$)')
_LONGEST = 1000


def bind(
    filter: Filter,
    given: Mapping[str, str],
    columns: Columns,
    item: Record | None = None,
) -> tuple[Expression, ...]:
    """Return the expressions that hold for a request, each value a str or float.

    given: ``filterValues``;  columns: what the columns are;  item: the record of the
    item a request for related items names, empty where nothing is known of it. An EXCLUDE whose value is
    missing is left out. Raises InvalidInput for an INCLUDE whose value is missing, or a value that cannot be read.
    """
    if sum(map(len, given.values())) > _LONGEST:
        raise InvalidInput(f"The filterValues have more than {_LONGEST} characters.")
    bound = []
    for expression in filter.expressions:
        missing = _placeholders(expression) - given.keys()
        if not missing:
            bound.append(_expression(expression, given, columns, item))
        elif expression.includes:
            raise InvalidInput(
                f"filterValues lack {', '.join(sorted(missing))}, which the filter includes by."
            )
    return tuple(bound)


def read_values(name: str, text: str) -> list[str]:
    """Return the literals of one filter value; raises InvalidInput naming it when it cannot be read."""
    found, at = [], 0
    while at < len(text) or not found:
        match = _LITERAL.match(text, at)
        if match is None:
            raise InvalidInput(
                f"The filter value {name} is {text!r}; it must be texts in quotes, or numbers, joined by commas."
            )
        literal = match[1]
        found.append(unquote(literal) if literal[0] in "\"'" else literal)
        at = match.end()
        if match[2] == ",":
            continue
        break
    return found


def _expression(
    expression: Expression,
    given: Mapping[str, str],
    columns: Columns,
    item: Record | None,
) -> Expression:
    def condition(one: Condition) -> Condition:
        dataset = "USERS" if one.dataset == "CURRENTUSER" else one.dataset
        values: list[Value] = []
        for value in one.values:
            if isinstance(value, Placeholder):
                values += _given(value.name, given[value.name], columns[dataset][one.column] == NUMBER, one)
            elif isinstance(value, CurrentItem):
                held = (item or {}).get(value.column)
                values += held if isinstance(held, tuple) else [] if held is None else [held]
            else:
                values.append(value)
        if len(values) > 1 and one.op not in ("IN", "NOT IN"):
            raise InvalidInput(f"{dataset}.{one.column} {one.op} takes one value, not {len(values)}.")
        return one._replace(values=tuple(values))

    return expression._replace(
        any_of=tuple(tuple(map(condition, all_of)) for all_of in expression.any_of),
        when=tuple(map(condition, expression.when)),
    )


def _given(name: str, text: str, is_number: bool, condition: Condition) -> list[Value]:
    texts = read_values(name, text)
    if condition.column == "EVENT_TYPE" and condition.dataset.endswith("INTERACTIONS"):
        folded = [event_name(value) for value in texts]
        return [ANY] if ANY in folded else list(folded)
    if not is_number:
        return list(texts)
    values: list[Value] = []
    for text_ in texts:
        value = number(text_)
        if value is None:
            raise InvalidInput(
                f"The filter value {name} is {text_!r}; {condition.dataset}.{condition.column} holds numbers."
            )
        values.append(value)
    return values


def _placeholders(expression: Expression) -> set[str]:
    conditions = (*expression.conditions, *expression.when)
    return {v.name for c in conditions for v in c.values if isinstance(v, Placeholder)}

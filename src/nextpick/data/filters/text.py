"""A filter's expressions as people write them, to say which of them it was."""

from collections.abc import Mapping

from nextpick.data.filters.terms import Condition, CurrentItem, Expression, Placeholder, Value

_NAMES = {
    "ITEMID": "ItemID",
    "USERID": "UserID",
    "ACTIONID": "ActionID",
    "ITEMS": "Items",
    "USERS": "Users",
    "ACTIONS": "Actions",
    "INTERACTIONS": "Interactions",
    "ACTION_INTERACTIONS": "Action_Interactions",
    "CURRENTUSER": "CurrentUser",
}


def text_of(expression: Expression, values: Mapping[str, str]) -> str:
    """Return an expression as text, its placeholders replaced by the request's ``values`` where there are any."""
    action = "INCLUDE" if expression.includes else "EXCLUDE"
    subject = _NAMES[expression.subject]
    where = " OR ".join(" AND ".join(_condition(c, values) for c in all_of) for all_of in expression.any_of)
    when = " AND ".join(_condition(c, values) for c in expression.when)
    return f"{action} {subject} WHERE {where}" + (f" IF {when}" if when else "")


def _condition(condition: Condition, values: Mapping[str, str]) -> str:
    told = ", ".join(_value(value, values) for value in condition.values)
    if condition.op in ("IN", "NOT IN"):
        told = f"({told})"
    return f"{_NAMES[condition.dataset]}.{condition.column} {condition.op} {told}"


def _value(value: Value, values: Mapping[str, str]) -> str:
    if isinstance(value, Placeholder):
        return values.get(value.name, f"${value.name}")
    if isinstance(value, CurrentItem):
        return f"CurrentItem.{value.column}"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"

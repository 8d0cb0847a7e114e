"""Choice rules: which of them holds.

Source: Amazon States Language, "Choice state".
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from nextpick.workflow.asl import paths
from nextpick.workflow.asl.failure import RUNTIME
from nextpick.workflow.asl.templates import View

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "GreaterThan": lambda a, b: a > b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThanEquals": lambda a, b: a >= b,
}


def seconds_of(text: Any) -> float | None:
    """Return seconds since 1970 of an RFC 3339 time as ASL writes it, None for anything else."""
    if not isinstance(text, str) or not _TIMESTAMP.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


_KINDS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "String": (_string, tuple(_ORDER)),
    "Numeric": (_number, tuple(_ORDER)),
    "Timestamp": (seconds_of, tuple(_ORDER)),
    "Boolean": (_boolean, ("Equals",)),
}
_COMPARISONS = {
    f"{kind}{order}": (read, _ORDER[order]) for kind, (read, orders) in _KINDS.items() for order in orders
}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsString": lambda value: isinstance(value, str),
    "IsNumeric": lambda value: _number(value) is not None,
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: seconds_of(value) is not None,
}
OPERATORS = frozenset(
    [*_COMPARISONS, *(f"{name}Path" for name in _COMPARISONS), *_TYPES, "IsPresent", "StringMatches"]
)


def problems(rule: Any, at: str, is_top: bool = True) -> Iterator[str]:
    """Yield what is wrong with a rule."""
    if not isinstance(rule, dict):
        yield f"{at} is no object"
        return
    if is_top and not isinstance(rule.get("Next"), str):
        yield f"{at} has no Next"
    if not is_top and "Next" in rule:
        yield f"{at} is inside another rule, where Next is not allowed"
    operators = [name for name in rule if name not in ("Next", "Variable", "Comment")]
    if len(operators) != 1:
        yield f"{at} must have exactly one operator, not {', '.join(operators) or 'none'}"
        return
    (operator,) = operators
    given = rule[operator]
    if operator in ("And", "Or"):
        if not isinstance(given, list) or not given:
            yield f"{at}.{operator} is no list of rules"
            return
        for number, inner in enumerate(given):
            yield from problems(inner, f"{at}.{operator}[{number}]", False)
    elif operator == "Not":
        yield from problems(given, f"{at}.Not", False)
    elif operator not in OPERATORS:
        yield f"{at}.{operator} is no comparison operator"
    else:
        yield from _path_problems(rule.get("Variable"), f"{at}.Variable")
        if operator.endswith("Path"):
            yield from _path_problems(given, f"{at}.{operator}")


def _path_problems(text: Any, at: str) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"{at} is no path"
        return
    try:
        paths.parse(text.replace("$$", "$", 1))
    except paths.PathError as error:
        yield f"{at}: {error}"


def holds(rule: dict[str, Any], view: View) -> bool:
    """Tell whether a rule holds. Raises StateFailed (States.Runtime) where its Variable leads nowhere."""
    if "And" in rule:
        return all(holds(inner, view) for inner in rule["And"])
    if "Or" in rule:
        return any(holds(inner, view) for inner in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], view)
    (operator,) = (name for name in rule if name in OPERATORS)
    given = rule[operator]
    if operator == "IsPresent":
        path = rule["Variable"]
        data = view.context if path.startswith("$$") else view.data
        return paths.parse(path.replace("$$", "$", 1)).exists(data) == given
    value = view.find(rule["Variable"], RUNTIME)
    if operator in _TYPES:
        return _TYPES[operator](value) == given
    if operator == "StringMatches":
        return isinstance(value, str) and _pattern(given).fullmatch(value) is not None
    if operator.endswith("Path"):
        given = view.find(given, RUNTIME)
    read, compare = _COMPARISONS[operator.removesuffix("Path")]
    one, other = read(value), read(given)
    return one is not None and other is not None and compare(one, other)


def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern of ``*``, which ``\\*`` escapes."""
    parts = re.split(r"(\\.|\*)", text)
    return re.compile(
        "".join(".*" if p == "*" else re.escape(p[1:] if p[:1] == "\\" else p) for p in parts), re.DOTALL
    )

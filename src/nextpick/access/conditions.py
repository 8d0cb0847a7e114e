"""The Condition element of a statement.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Multivalued context keys".
"""

import binascii
import ipaddress
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from nextpick.access.patterns import Words, arn_matches, literal, matches, substitute

_MANY = ("forallvalues:", "foranyvalue:")


class Condition(NamedTuple):
    """One operator on one key: ``wanted`` are its values, as the policy writes them."""

    operator: str
    key: str
    wanted: Words


def _string_equals(wanted: str, found: str) -> bool:
    return literal(wanted) == found


def _string_fold(wanted: str, found: str) -> bool:
    return literal(wanted).casefold() == found.casefold()


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, found: compare(float(found), float(wanted))


def _date(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda wanted, found: compare(_moment(found), _moment(wanted))


def _moment(text: str) -> float:
    """Return seconds since 1970 of a number or of ISO 8601. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _bool(wanted: str, found: str) -> bool:
    return wanted.lower() == found.lower()


def _binary(wanted: str, found: str) -> bool:
    return b64decode(wanted, validate=True) == b64decode(found, validate=True)


def _address(wanted: str, found: str) -> bool:
    return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}

# By name, each on a wanted and a found value; those called Not… are the others turned round.
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _string_equals,
    "StringEqualsIgnoreCase": _string_fold,
    "StringLike": matches,
    **{f"Numeric{name}": _number(compare) for name, compare in _COMPARE.items()},
    **{f"Date{name}": _date(compare) for name, compare in _COMPARE.items()},
    "Bool": _bool,
    "BinaryEquals": _binary,
    "IpAddress": _address,
    "ArnEquals": arn_matches,
    "ArnLike": arn_matches,
}
_TURNED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
_BY_NAME = {name.lower(): name for name in (*_TESTS, *_TURNED, "Null")}


def is_operator(operator: str) -> bool:
    """Tell whether IAM has an operator of that name, with its prefix and ``IfExists``."""
    _, name, if_exists = _split(operator)
    return name in _BY_NAME and not (if_exists and name == "null")


def _split(operator: str) -> tuple[str, str, bool]:
    """Return an operator's prefix, its name in lower case, and whether the key may be missing."""
    name = operator.lower()
    prefix = next((prefix for prefix in _MANY if name.startswith(prefix)), "")
    name = name[len(prefix) :]
    if_exists = name.endswith("ifexists")
    return prefix, name.removesuffix("ifexists"), if_exists


def holds(condition: Condition, context: Mapping[str, Words]) -> bool:
    """Tell whether a condition holds; the keys of ``context`` are in lower case."""
    prefix, lowered, if_exists = _split(condition.operator)
    found = context.get(condition.key.lower(), ())
    if lowered == "null":
        return any((wanted.lower() == "true") == (not found) for wanted in condition.wanted)
    name = _BY_NAME[lowered]
    turned = name in _TURNED
    if not found:
        return prefix == _MANY[0] or if_exists or (turned and not prefix)
    test = _TESTS[_TURNED.get(name, name)]
    wanted = [text for text in (substitute(one, context) for one in condition.wanted) if text is not None]
    answers = [any(_check(test, one, value) for one in wanted) != turned for value in found]
    return all(answers) if prefix == _MANY[0] or (turned and not prefix) else any(answers)


def _check(test: Callable[[str, str], bool], wanted: str, found: str) -> bool:
    """Return the test's answer; a value that is no number, date or address is like none."""
    try:
        return test(wanted, found)
    except (ValueError, binascii.Error):
        return False


def explain(condition: Condition, context: Mapping[str, Words]) -> str:
    """Say what a condition wants and what the request has."""
    wanted = " or ".join(f'"{one}"' for one in condition.wanted)
    found = context.get(condition.key.lower(), ())
    has = " and ".join(f'"{one}"' for one in found) if found else "none"
    return f"condition {condition.operator} {condition.key} is {wanted}, the request has {has}"

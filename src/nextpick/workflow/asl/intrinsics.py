"""Intrinsic functions: ``States.Format('Hello {}', $.name)`` and its like.

Source: Amazon States Language, appendix B; Developer Guide, "Intrinsic functions". What is random is drawn from the
place of the call in its execution, so a call that is made again after a crash gives the same value.
"""

import base64
import binascii
import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from nextpick.workflow.asl import paths
from nextpick.workflow.asl.failure import StateFailed

_NAME = re.compile(r"States\.[A-Za-z0-9]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LONGEST_TEXT = 10_000
_MOST_ITEMS = 1000
_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}

FAILURE = "States.IntrinsicFailure"


class Call(NamedTuple):
    """A call of a function, read; arguments are values, paths or calls."""

    name: str
    arguments: tuple[Any, ...]


class PathArgument(NamedTuple):
    """An argument that is taken from the data."""

    text: str


class Place(NamedTuple):
    """Where a call is made: what paths look into, and what its random numbers are drawn from."""

    look_up: Callable[[str], Any]
    seed: str


def is_call(text: str) -> bool:
    """Tell whether a text is meant as a call of a function."""
    return text.startswith("States.")


def parse(text: str) -> Call:
    """Return the call that a text writes. Raises ValueError."""
    call, at = _call(text, 0)
    if text[at:].strip():
        raise ValueError(f"'{text}' goes on after its last parenthesis.")
    return call


def _call(text: str, at: int) -> tuple[Call, int]:
    match = _NAME.match(text, at)
    if match is None or match[0] not in FUNCTIONS:
        raise ValueError(f"'{text[at:][:80]}' is no intrinsic function.")
    at = _blank(text, match.end())
    if text[at : at + 1] != "(":
        raise ValueError(f"{match[0]} has no arguments in parentheses.")
    at = _blank(text, at + 1)
    arguments: list[Any] = []
    while text[at : at + 1] != ")":
        if arguments:
            if text[at : at + 1] != ",":
                raise ValueError(f"'{text}' lacks a comma or a parenthesis at '{text[at:]}'.")
            at = _blank(text, at + 1)
        argument, at = _argument(text, at)
        arguments.append(argument)
        at = _blank(text, at)
    return Call(match[0], tuple(arguments)), at + 1


def _blank(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _argument(text: str, at: int) -> tuple[Any, int]:
    if text.startswith("'", at):
        return _quoted(text, at + 1)
    if text.startswith("States.", at):
        return _call(text, at)
    if text.startswith("$", at):
        end, depth = at, 0
        while end < len(text) and (depth or text[end] not in ",)"):
            depth += (text[end] in "[(") - (text[end] in "])")
            end += 1
        written = text[at:end].strip()
        paths.parse(written.replace("$$", "$", 1))
        return PathArgument(written), end
    for word, value in (("null", None), ("true", True), ("false", False)):
        if text.startswith(word, at):
            return value, at + len(word)
    match = _NUMBER.match(text, at)
    if match is None:
        raise ValueError(f"'{text}' has an argument that cannot be read at '{text[at:][:80]}'.")
    number = match[0]
    return (float(number) if set(number) & set(".eE") else int(number)), match.end()


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Read a text in single quotes; ``\\{`` and ``\\}`` stay escaped for Format."""
    pieces = []
    while at < len(text):
        if text[at] == "'":
            return "".join(pieces), at + 1
        if text[at] == "\\" and at + 1 < len(text):
            pieces.append(text[at : at + 2] if text[at + 1] in "{}\\" else text[at + 1])
            at += 2
        else:
            pieces.append(text[at])
            at += 1
    raise ValueError(f"'{text}' has a quote that is not closed.")


def evaluate(call: Call, place: Place) -> Any:
    """Return what a call gives. Raises StateFailed (States.IntrinsicFailure)."""
    arguments = []
    for number, argument in enumerate(call.arguments):
        if isinstance(argument, Call):
            argument = evaluate(argument, Place(place.look_up, f"{place.seed}/{number}"))
        elif isinstance(argument, PathArgument):
            argument = place.look_up(argument.text)
        elif isinstance(argument, str) and call.name != "States.Format":
            argument = re.sub(r"\\(.)", r"\1", argument)
        arguments.append(argument)
    try:
        if call.name in _RANDOM:
            return _RANDOM[call.name](random.Random(f"{place.seed}:{call.name}"), *arguments)
        return FUNCTIONS[call.name](*arguments)
    except (TypeError, ValueError, LookupError, AttributeError, binascii.Error) as error:
        raise StateFailed(FAILURE, f"{call.name} failed: {error}") from None


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _format(template: str, *arguments: Any) -> str:
    left = list(arguments)

    def fill(match: re.Match[str]) -> str:
        if match[0] != "{}":
            return match[1]
        _require(bool(left), "there are more {} than arguments")
        return _text(left.pop(0))

    filled = re.sub(r"\\(.)|\{\}", fill, template)
    _require(not left, "there are more arguments than {}")
    return filled


def _string_to_json(text: str) -> Any:
    return json.loads(text) if text else None


def _json_to_string(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _partition(values: list[Any], size: float) -> list[Any]:
    size = round(size)
    _require(isinstance(values, list) and size > 0, "an array and a size above 0 are needed")
    return [values[at : at + size] for at in range(0, len(values), size)]


def _range(first: float, last: float, step: float) -> list[int]:
    first, last, step = round(first), round(last), round(step)
    _require(step != 0, "the step is 0")
    values = range(first, last + (1 if step > 0 else -1), step)
    _require(len(values) <= _MOST_ITEMS, f"the array would have more than {_MOST_ITEMS} elements")
    return list(values)


def _item(values: list[Any], index: int) -> Any:
    _require(isinstance(values, list) and index >= 0, "an array and an index from 0 are needed")
    return values[index]


def _unique(values: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if not any(_same(value, one) for one in kept):
            kept.append(value)
    return kept


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _encode(text: str) -> str:
    _require(len(text) <= _LONGEST_TEXT, f"the text is longer than {_LONGEST_TEXT}")
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    _require(len(text) <= _LONGEST_TEXT, f"the text is longer than {_LONGEST_TEXT}")
    return base64.b64decode(text, validate=True).decode()


def _hash(value: Any, algorithm: str) -> str:
    _require(algorithm in _HASHES, f"the algorithm must be one of {', '.join(_HASHES)}")
    text = _text(value)
    _require(len(text) <= _LONGEST_TEXT, f"the data is longer than {_LONGEST_TEXT}")
    return hashlib.new(_HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def _merge(one: dict[str, Any], other: dict[str, Any], deep: bool) -> dict[str, Any]:
    _require(isinstance(one, dict) and isinstance(other, dict), "two objects are needed")
    _require(deep is False, "only shallow merging is supported: the third argument must be false")
    return {**one, **other}


def _add(one: float, other: float) -> int:
    return round(one) + round(other)


def _split(text: str, at: str) -> list[str]:
    return [part for part in re.split(f"[{re.escape(at)}]", text) if part] if at else [text]


def _random_number(source: random.Random, first: float, last: float, seed: int | None = None) -> int:
    _require(round(first) < round(last), "the first number must be below the last")
    return (source if seed is None else random.Random(seed)).randrange(round(first), round(last))


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))


_RANDOM: dict[str, Callable[..., Any]] = {"States.MathRandom": _random_number, "States.UUID": _uuid}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "States.Format": _format,
    "States.StringToJson": _string_to_json,
    "States.JsonToString": _json_to_string,
    "States.Array": lambda *values: list(values),
    "States.ArrayPartition": _partition,
    "States.ArrayContains": lambda values, value: any(_same(value, one) for one in values),
    "States.ArrayRange": _range,
    "States.ArrayGetItem": _item,
    "States.ArrayLength": lambda values: len(values) if isinstance(values, list) else values.no_array,
    "States.ArrayUnique": _unique,
    "States.Base64Encode": _encode,
    "States.Base64Decode": _decode,
    "States.Hash": _hash,
    "States.JsonMerge": _merge,
    "States.MathAdd": _add,
    "States.StringSplit": _split,
    **_RANDOM,
}

"""JSONPath as far as state machines use it: members, indexes, slices, wildcards, descent and simple filters.

A path of members and indexes alone is definite and gives one value; any other gives the list of all it matches.
Source: Amazon States Language, "Paths"; the definite/indefinite rule is Jayway JsonPath's, which AWS uses.
"""

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_MEMBER = re.compile(r"[^\s.\[\]()'\",@$*?=<>!&|]+")
_FILTER = re.compile(
    r"@(?P<path>[^\s=<>!]*)\s*(?:(?P<sign>==|!=|<=|>=|<|>)\s*(?P<value>'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?|true|false|null))?"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_LITERALS = {"true": True, "false": False, "null": None}


class PathError(ValueError):
    """A text is not a path, or a path matches nothing in the data."""


class Step(NamedTuple):
    """One step of a path: what it selects from each value it is given."""

    select: Callable[[Any], Iterator[Any]]
    key: str | int | None  # of a definite step


class Path(NamedTuple):
    """A path, read."""

    text: str
    steps: tuple[Step, ...]

    @property
    def is_definite(self) -> bool:
        """Whether it gives one value."""
        return all(step.key is not None for step in self.steps)

    def find(self, data: Any) -> Any:
        """Return what the path selects. Raises PathError where a definite path leads nowhere."""
        values = [data]
        for step in self.steps:
            values = [found for value in values for found in step.select(value)]
        if not self.is_definite:
            return values
        if not values:
            raise PathError(f"The path '{self.text}' matches nothing in the data.")
        return values[0]

    def exists(self, data: Any) -> bool:
        """Tell whether the path selects anything."""
        try:
            found = self.find(data)
        except PathError:
            return False
        return self.is_definite or bool(found)

    def put(self, data: Any, value: Any) -> Any:
        """Return ``data`` with ``value`` at the path, objects made on the way. Raises PathError."""
        if not self.is_definite:
            raise PathError(f"'{self.text}' is no reference path: it may select several values.")
        return _put(data, [step.key for step in self.steps], value, self.text)


def _put(data: Any, keys: list[Any], value: Any, text: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(key, int):
        if not isinstance(data, list) or not -len(data) <= key < len(data):
            raise PathError(f"'{text}' has no element {key} to be put at.")
        copy = list(data)
        copy[key] = _put(data[key], rest, value, text)
        return copy
    if not isinstance(data, dict):
        raise PathError(f"'{text}' cannot be put into what is no object.")
    return {**data, key: _put(data.get(key, {}) if rest else None, rest, value, text)}


@functools.lru_cache(4096)
def parse(text: str) -> Path:
    """Return the path that a text writes. Raises PathError."""
    if not text.startswith("$"):
        raise PathError(f"'{text}' is no path: it does not begin with $.")
    steps: list[Step] = []
    at = 1
    while at < len(text):
        if text.startswith("..", at):
            steps.append(Step(_descend, None))
            at += 2 if text.startswith("[", at + 2) else 1
            if text.startswith(".", at):
                at += 1
            if not text.startswith("[", at):
                step, at = _member(text, at)
                steps.append(step)
        elif text[at] == ".":
            step, at = _member(text, at + 1)
            steps.append(step)
        elif text[at] == "[":
            end = _closing(text, at)
            steps.append(_bracket(text[at + 1 : end].strip(), text))
            at = end + 1
        else:
            raise PathError(f"'{text}' cannot be read as a path at '{text[at:]}'.")
    return Path(text, tuple(steps))


def _member(text: str, at: int) -> tuple[Step, int]:
    if text.startswith("*", at):
        return Step(_children, None), at + 1
    match = _MEMBER.match(text, at)
    if match is None:
        raise PathError(f"'{text}' cannot be read as a path at '{text[at:] or 'its end'}'.")
    return _named(match[0]), match.end()


def _closing(text: str, at: int) -> int:
    quote, depth = "", 0
    for index in range(at, len(text)):
        sign = text[index]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "[":
            depth += 1
        elif sign == "]":
            depth -= 1
            if depth == 0:
                return index
    raise PathError(f"'{text}' has a bracket that is not closed.")


def _bracket(inner: str, text: str) -> Step:
    if inner == "*":
        return Step(_children, None)
    if inner.startswith("?(") and inner.endswith(")"):
        return _filter(inner[2:-1].strip(), text)
    parts = [part.strip() for part in inner.split(",")] if inner[:1] not in "'\"" else _quoted(inner, text)
    if inner[:1] in ("'", '"'):
        return _named(parts[0]) if len(parts) == 1 else _union([_named(part) for part in parts])
    if ":" in inner:
        bounds = [part.strip() for part in inner.split(":")]
        if len(bounds) > 3 or not all(re.fullmatch(r"-?\d*", bound) for bound in bounds):
            raise PathError(f"'{text}' has the slice [{inner}], which cannot be read.")
        cut = slice(*(int(bound) if bound else None for bound in bounds))
        return Step(lambda value: iter(value[cut]) if isinstance(value, list) else iter(()), None)
    if not all(re.fullmatch(r"-?\d+", part) for part in parts):
        raise PathError(f"'{text}' has [{inner}], which is no index, name, slice or filter.")
    steps = [_indexed(int(part)) for part in parts]
    return steps[0] if len(steps) == 1 else _union(steps)


def _quoted(inner: str, text: str) -> list[str]:
    found = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", inner)
    if not found:
        raise PathError(f"'{text}' has a name in brackets that is not closed.")
    return [re.sub(r"\\(.)", r"\1", single or double) for single, double in found]


def _named(name: str) -> Step:
    def select(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return Step(select, name)


def _indexed(number: int) -> Step:
    def select(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= number < len(value):
            yield value[number]

    return Step(select, number)


def _union(steps: list[Step]) -> Step:
    return Step(lambda value: (found for step in steps for found in step.select(value)), None)


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(value: Any) -> Iterator[Any]:
    yield value
    for child in _children(value):
        yield from _descend(child)


def _filter(expression: str, text: str) -> Step:
    """Read ``@.a == 'x' && @.b`` with ``&&`` and ``||`` (of equal rank, from the left)."""
    words = re.split(r"\s*(&&|\|\|)\s*", expression)
    tests = [_test(word, text) for word in words[::2]]

    def holds(value: Any) -> bool:
        answer = tests[0](value)
        for join, test in zip(words[1::2], tests[1:], strict=True):
            answer = (answer and test(value)) if join == "&&" else (answer or test(value))
        return answer

    return Step(lambda value: (child for child in _children(value) if holds(child)), None)


def _test(word: str, text: str) -> Callable[[Any], bool]:
    match = _FILTER.fullmatch(word.strip())
    if match is None:
        raise PathError(f"'{text}' has the filter {word}, which cannot be read.")
    path, sign, literal = parse("$" + match["path"]), match["sign"], match["value"]
    if sign is None:
        return path.exists
    wanted: Any = literal[1:-1] if literal[0] in "'\"" else _LITERALS.get(literal, literal)
    if isinstance(wanted, str) and literal[0] not in "'\"":
        wanted = float(literal) if "." in literal else int(literal)

    def test(value: Any) -> bool:
        try:
            return _COMPARE[sign](path.find(value), wanted)
        except (PathError, TypeError):
            return False

    return test

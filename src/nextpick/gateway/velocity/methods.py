"""What templates may do with values: the methods of Java's strings, lists and maps that templates use, in tables."""

import json
from collections.abc import Callable
from typing import Any

import regex

LARGEST_TEXT = 10 << 20
_PATTERN_TIMEOUT_S = 0.1
_DEEPEST = 100


class TooLarge(Exception):
    """A text would be larger than a template may make."""


class Object:
    """Something with methods of its own (``$input``, ``$util``): ``methods`` by name, ``members`` by name."""

    def __init__(self, methods: dict[str, Callable[..., Any]], members: dict[str, Callable[[], Any]]) -> None:
        self.methods, self.members = methods, members


def member(value: Any, name: Any) -> Any:
    """Return ``value.name`` or ``value[name]``: a member of a map, an element of a list."""
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list):
        if isinstance(name, int) and not isinstance(name, bool):
            return value[name] if -len(value) <= name < len(value) else None
        return len(value) == 0 if name == "empty" else None
    if isinstance(value, Object):
        found = value.members.get(name)
        return found() if found else None
    return None


def call_method(value: Any, name: str, arguments: list[Any]) -> Any:
    """Return what a method returns; None for one there is not, or that cannot take the arguments."""
    if isinstance(value, Object):
        method = value.methods.get(name)
    elif isinstance(value, (bool, int, float)):
        method = _bound(_NUMBER, name, value)
    else:
        tables = {str: _TEXT, list: _LIST, dict: _MAP}
        table = tables.get(type(value))
        method = _bound(table, name, value) if table else None
    if method is None:
        return None
    try:
        found = method(*arguments)
        if type(found) is str and len(found) > LARGEST_TEXT:
            raise TooLarge
        return found
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, regex.error, TimeoutError):
        return None


def _bound(table: dict[str, Callable[..., Any]], name: str, value: Any) -> Callable[..., Any] | None:
    method = table.get(name)
    return (lambda *arguments: method(value, *arguments)) if method else None


def text_of(value: Any) -> str:
    """Return a value as a template writes it, which is how Java does. Raises TooLarge."""
    if isinstance(value, str):
        return value
    parts: list[str] = []
    _write(value, parts, [LARGEST_TEXT], 0)
    return "".join(parts)


def _write(value: Any, parts: list[str], left: list[int], depth: int) -> None:
    """Add the pieces of a value's text; what holds itself, or the same thing many times, comes to an end."""
    if isinstance(value, (dict, list)):
        if depth > _DEEPEST:
            raise TooLarge
        is_map = isinstance(value, dict)
        parts.append("{" if is_map else "[")
        for n, key in enumerate(value):
            parts.append(", " * (n > 0) + (f"{key}=" if is_map else ""))
            _write(value[key] if is_map else key, parts, left, depth + 1)
        parts.append("}" if is_map else "]")
        left[0] -= 2 * len(value) + 2
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, (str, int, float)):
        parts.append(value if isinstance(value, str) else json.dumps(value))
        left[0] -= len(parts[-1])
    else:
        parts.append("null" if value is None else "")
    if left[0] < 0:
        raise TooLarge


def _replace_all(text: str, pattern: str, by: str) -> str:
    group = regex.sub(r"\$(\d)", r"\\\1", by.replace("\\$", "\0"))
    return regex.sub(pattern, group.replace("\0", "$"), text, timeout=_PATTERN_TIMEOUT_S)


def _replace(text: str, old: str, new: str) -> str:
    if not old or len(text) * max(1, len(new)) > 1 << 24:
        raise ValueError
    return text.replace(old, new)


def _split(text: str, pattern: str) -> list[str]:
    parts = regex.split(pattern, text, timeout=_PATTERN_TIMEOUT_S)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def _substring(text: str, start: int, end: int | None = None) -> str:
    if not 0 <= start <= (len(text) if end is None else end) <= len(text):
        raise IndexError
    return text[start:end]


def _add(values: list[Any], value: Any) -> bool:
    values.append(value)
    return True


def _put(values: dict[str, Any], key: Any, value: Any) -> Any:
    before = values.get(key)
    values[key] = value
    return before


_TEXT: dict[str, Callable[..., Any]] = {
    "length": len,
    "isEmpty": lambda text: not text,
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(str(part)),
    "endsWith": lambda text, part: text.endswith(str(part)),
    "indexOf": lambda text, part: text.find(part),
    "lastIndexOf": lambda text, part: text.rfind(part),
    "substring": _substring,
    "toLowerCase": lambda text: text.lower(),
    "toUpperCase": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "concat": lambda text, more: text + more,
    "replace": _replace,
    "replaceAll": _replace_all,
    "matches": lambda text, pattern: regex.fullmatch(pattern, text, timeout=_PATTERN_TIMEOUT_S) is not None,
    "split": _split,
    "equals": lambda text, other: text == other,
    "equalsIgnoreCase": lambda text, other: text.lower() == other.lower(),
    "toString": lambda text: text,
}
_LIST: dict[str, Callable[..., Any]] = {
    "size": len,
    "isEmpty": lambda values: not values,
    "get": lambda values, index: values[index],
    "contains": lambda values, value: value in values,
    "indexOf": lambda values, value: values.index(value) if value in values else -1,
    "add": _add,
    "toString": text_of,
}
_MAP: dict[str, Callable[..., Any]] = {
    "size": len,
    "isEmpty": lambda values: not values,
    "get": lambda values, key: values.get(key),
    "containsKey": lambda values, key: key in values,
    "keySet": list,
    "values": lambda values: list(values.values()),
    "entrySet": lambda values: [{"key": key, "value": value} for key, value in values.items()],
    "put": _put,
    "remove": lambda values, key: values.pop(key, None),
    "toString": text_of,
    "getKey": lambda entry: entry.get("key"),
    "getValue": lambda entry: entry.get("value"),
}
_NUMBER: dict[str, Callable[..., Any]] = {
    "toString": text_of,
    "intValue": int,
    "equals": lambda number, other: number == other,
}

"""The variables that API Gateway gives to mapping templates.

Source: API Gateway developer guide, "Variables for data transformations".
"""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import msgspec

from nextpick.errors import Serialization
from nextpick.gateway import jsonpath
from nextpick.gateway.velocity.methods import Object, text_of
from nextpick.wire.body import decode

_encode = msgspec.json.Encoder().encode


def input_variable(body: str, params: dict[str, dict[str, str]]) -> Object:
    """Return ``$input``. ``params`` are those of ``path``, ``querystring`` and ``header``."""
    read: list[Any] = []

    def whole() -> Any:
        if not read:
            try:
                read.append(decode(body.encode()))
            except Serialization:
                read.append({})
        return read[0]

    def param(name: str | None = None) -> Any:
        if name is None:
            return params
        for place in ("path", "querystring"):
            if name in params[place]:
                return params[place][name]
        wanted = name.lower()
        return next((text for key, text in params["header"].items() if key.lower() == wanted), "")

    def json_at(path: str) -> str:
        found = jsonpath.find(whole(), path)
        return '""' if found is None else _encode(found).decode()

    methods: dict[str, Callable[..., Any]] = {
        "params": param,
        "json": json_at,
        "path": lambda path: jsonpath.find(whole(), path),
    }
    return Object(methods, {"body": lambda: body})


def _escape_javascript(text: Any) -> str:
    out = []
    for char in text_of(text):
        if char in "\"'\\/":
            out.append("\\" + char)
        elif char in _NAMED:
            out.append(_NAMED[char])
        elif " " <= char <= "~":
            out.append(char)
        else:
            units = char.encode("utf-16-be")
            out += [f"\\u{units[i] << 8 | units[i + 1]:04X}" for i in range(0, len(units), 2)]
    return "".join(out)


_NAMED = {"\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r"}


def _parse_json(text: str) -> Any:
    try:
        return decode(text.encode())
    except Serialization:
        return None


UTIL = Object(
    {
        "base64Encode": lambda text: base64.b64encode(text_of(text).encode()).decode(),
        "base64Decode": lambda text: base64.b64decode(text).decode("utf-8", "replace"),
        "escapeJavaScript": _escape_javascript,
        "urlEncode": lambda text: quote_plus(text_of(text), safe="*-._"),
        "urlDecode": unquote_plus,
        "parseJson": _parse_json,
    },
    {},
)

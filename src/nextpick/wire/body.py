"""Bodies: JSON in, JSON out."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import regex

from nextpick.errors import Serialization
from nextpick.wire.shapes import Shape, service

# Strings, even unfinished ones, are matched to be left as they are.
_LITERALS = regex.compile(rb'"(?:[^"\\]|\\.)*+"?|-?\b(?:NaN|Infinity)\b', flags=regex.DOTALL)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def decode(body: bytes) -> Any:
    """Return the JSON value in ``body``; an empty body is ``{}``.

    The literals NaN and Infinity, which are no JSON but which the JavaScript SDK sends, are read as null, as
    JavaScript itself writes them. Raises Serialization for anything else that is no JSON.
    """
    if not body:
        return {}
    try:
        return _decode(body)
    except (ValueError, RecursionError) as first:
        if b"NaN" in body or b"Infinity" in body:
            try:
                return _decode(_LITERALS.sub(_without_literal, body))
            except (ValueError, RecursionError):
                pass
        raise Serialization(_reason(first)) from None


def _without_literal(match: regex.Match[bytes]) -> bytes:
    text = match.group()
    return text if text.startswith(b'"') else b"null"


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The request body is nested too deeply."
    if isinstance(error, UnicodeDecodeError):
        return "The request body is not UTF-8."
    return f"The request body could not be read: {error}"


def encode(service_name: str, operation: str, answer: dict) -> bytes:
    """Return an answer as JSON: members that are None left out, timestamps in seconds with three decimals."""
    model = service(service_name)
    name = model.operations[operation].output
    return _encode(_clean(model.shapes, model.shapes[name] if name else None, answer))


def _clean(shapes: dict[str, Shape], shape: Shape | None, value: Any) -> Any:
    if isinstance(value, dict):
        inner = shapes[shape["value"]["shape"]] if shape and shape["type"] == "map" else None
        members = shape["members"] if shape and shape["type"] == "structure" else {}
        return {
            name: _clean(shapes, shapes[members[name]["shape"]] if name in members else inner, given)
            for name, given in value.items()
            if given is not None
        }
    if isinstance(value, (list, tuple)):
        inner = shapes[shape["member"]["shape"]] if shape and shape["type"] == "list" else None
        return [_clean(shapes, inner, given) for given in value]
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        return round(value, 3)
    if shape and shape["type"] == "timestamp":
        return round(value, 3)
    return value

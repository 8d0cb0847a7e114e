"""Where a value comes from: ``method.request.querystring.user_id``, ``context.requestId``, ``'a text'``.

Source: API Gateway developer guide, "Parameter mapping source reference".
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from nextpick.errors import Serialization
from nextpick.gateway import jsonpath
from nextpick.gateway.messages import Request
from nextpick.wire.body import decode

Source = Callable[[Request], Any]
"""Returns a value of a request, None where there is none."""

_METHOD = re.compile(
    r"method\.request\.(multivaluequerystring|querystring|path|multivalueheader|header)\.(.+)"
)
_BODY = re.compile(r"(method\.request|integration\.response)\.body(?:\.(.+))?")
_VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")
_encode = msgspec.json.Encoder().encode


class Answered(NamedTuple):
    """What an integration answered: header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: str


def source(text: str) -> Source:
    """Return what reads a value from requests. Raises ValueError for an expression that is none."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        constant = text[1:-1]
        return lambda request: constant
    if match := _METHOD.fullmatch(text):
        return _of_request(*match.groups())
    if (match := _BODY.fullmatch(text)) and match[1] == "method.request":
        return _of_body(match[2])
    if text.startswith("context."):
        return _walk(text.split(".")[1:], lambda request: request.context)
    if text.startswith("stageVariables."):
        name = text.partition(".")[2]
        return lambda request: request.stage.variables.get(name)
    raise ValueError(f"{text!r} says not where a value comes from.")


def is_source(value: Any) -> bool:
    """Tell whether a text is such an expression rather than a value."""
    return isinstance(value, str) and value.startswith(
        ("'", "method.request.", "context.", "stageVariables.")
    )


def constant_or_source(value: Any) -> Source:
    """Return what reads an expression, or gives a value that is none. Raises ValueError as ``source`` does."""
    return source(value) if is_source(value) else lambda request: value


def of_answer(text: str) -> Callable[[Request, Answered], Any]:
    """Return what reads a value from an integration's answer. Raises ValueError as ``source`` does."""
    if text.startswith("integration.response.header."):
        name = text.rpartition("header.")[2].lower()
        return lambda request, answered: answered.headers.get(name)
    if (match := _BODY.fullmatch(text)) and match[1] == "integration.response":
        path = match[2]
        return lambda request, answered: _at(answered.body, path)
    read = source(text)
    return lambda request, answered: read(request)


def with_variables(text: str, variables: Mapping[str, str]) -> str:
    """Return a text with ``${stageVariables.name}`` filled in. Raises ValueError for one that is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise ValueError(f"the stage variable {match[1]} is not set")
        return variables[match[1]]

    return _VARIABLE.sub(value, text)


def _of_request(place: str, name: str) -> Source:
    lower = name.lower()
    match place:
        case "querystring":
            return lambda request: request.query.get(name)
        case "multivaluequerystring":
            return lambda request: [value for key, value in request.pairs if key == name] or None
        case "path":
            return lambda request: request.path_parameters.get(name)
        case "header":
            return lambda request: request.headers.get(lower)
    return lambda request: [value for key, value in request.header_pairs if key.lower() == lower] or None


def _of_body(path: str | None) -> Source:
    if path is None:
        return lambda request: request.text or None
    jsonpath.parse(path if path.startswith("$") else f"$.{path}")
    return lambda request: _at(request.text, path)


def _at(body: str, path: str | None) -> Any:
    if path is None:
        return body
    try:
        return jsonpath.find(decode(body.encode()), path if path.startswith("$") else f"$.{path}")
    except Serialization:
        return None


def _walk(steps: list[str], start: Callable[[Request], Any]) -> Source:
    def read(request: Request) -> Any:
        value = start(request)
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return read


def text(value: Any) -> str:
    """Return a value as it stands in a header or a query string."""
    return value if isinstance(value, str) else _encode(value).decode()

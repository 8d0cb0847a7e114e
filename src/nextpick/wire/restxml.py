"""The rest-xml protocol by a service model: which operation a request means, its members, and the answer.

Made for S3, whose operations share paths and differ in their query and headers. Source: Smithy, "AWS restXml
protocol" and "HTTP bindings".
"""

import functools
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from nextpick.errors import Serialization
from nextpick.wire import xmltext
from nextpick.wire.shapes import Shape, service
from nextpick.wire.sigv4 import Headers

Query = dict[str, str]


class Target(NamedTuple):
    """What a request is for: an operation, and the bucket and key in its path ("" where there is none)."""

    operation: str
    bucket: str
    key: str


class _Rule(NamedTuple):
    operation: str
    constants: dict[str, str]
    needed: frozenset[str]
    headers: frozenset[bytes]

    def fits(self, query: Query, values: Headers) -> bool:
        return (
            all(
                name in query and (not value or query[name] == value)
                for name, value in self.constants.items()
            )
            and self.needed <= query.keys()
            and all(name in values for name in self.headers)
        )

    @property
    def weight(self) -> int:
        return len(self.constants) + len(self.needed) + len(self.headers)


@functools.cache
def _rules(service_name: str) -> dict[tuple[str, str], list[_Rule]]:
    """Return the rules of all operations by method and level of the path, the most special first."""
    model = service(service_name)
    levels = {"/": "service", "/{Bucket}": "bucket", "/{Bucket}/{Key+}": "key"}
    rules: dict[tuple[str, str], list[_Rule]] = {}
    for operation in sorted(model.operations.values()):
        path, _, text = operation.path.partition("?")
        if path not in levels or operation.deprecated:
            continue
        shape = model.shapes[operation.input] if operation.input else {"members": {}}
        required = [shape["members"][name] for name in shape.get("required", ())]
        pieces = [piece.partition("=") for piece in text.split("&") if piece]
        constants = {name: value for name, _, value in pieces}
        needed = frozenset(m["locationName"] for m in required if m.get("location") == "querystring")
        headers = frozenset(
            m["locationName"].lower().encode() for m in required if m.get("location") == "header"
        )
        rule = _Rule(operation.name, constants, needed, headers)
        rules.setdefault((operation.method, levels[path]), []).append(rule)
    for found in rules.values():
        found.sort(key=lambda rule: -rule.weight)
    return rules


def split_path(path: bytes) -> tuple[str, str]:
    """Return bucket and key of a path as it was sent. Raises Serialization for one that is not UTF-8."""
    bucket, _, key = path.removeprefix(b"/").partition(b"/")
    try:
        return unquote_to_bytes(bucket).decode(), unquote_to_bytes(key).decode()
    except UnicodeDecodeError:
        raise Serialization("Couldn't parse the specified URI: it is not UTF-8.") from None


def find_operation(
    service_name: str, method: str, path: bytes, query: Query, values: Headers
) -> Target | None:
    """Return what a request is for; None when no operation of the model is called like that."""
    bucket, key = split_path(path)
    level = "key" if key else "bucket" if bucket else "service"
    for rule in _rules(service_name).get((method, level), ()):
        if rule.fits(query, values):
            return Target(rule.operation, bucket, key)
    return None


def payload_of(service_name: str, operation: str) -> tuple[str, Shape] | None:
    """Return name and shape of the member that is the request's whole body, where one is."""
    model = service(service_name)
    shape = model.shapes[model.operations[operation].input or ""]
    name = shape.get("payload")
    return (name, model.shapes[shape["members"][name]["shape"]]) if name else None


def read_request(
    service_name: str, target: Target, query: Query, values: Headers, body: bytes | None
) -> dict[str, Any]:
    """Return a request's members; of ``body`` only what is XML or text, None for one that is streamed.

    Raises Serialization for what cannot be read.
    """
    model = service(service_name)
    shape = model.shapes[model.operations[target.operation].input or ""]
    request: dict[str, Any] = {}
    for name, reference in shape["members"].items():
        value = _bound(model.shapes[reference["shape"]], reference, target, query, values)
        if value is not None:
            request[name] = value
    payload = payload_of(service_name, target.operation)
    if payload and body:
        name, inner = payload
        if inner["type"] == "structure":
            request[name] = xmltext.read(model.shapes, inner, xmltext.parse(body))
        else:
            try:
                request[name] = body.decode()
            except UnicodeDecodeError:
                raise Serialization(f"{name} is not UTF-8.") from None
    return request


def _bound(shape: Shape, reference: Shape, target: Target, query: Query, values: Headers) -> Any:
    where, name = reference.get("location"), reference.get("locationName", "")
    if where == "uri":
        return target.bucket if name == "Bucket" else target.key
    if where == "querystring" and name in query:
        return _timed(shape, xmltext.scalar(shape, query[name], name))
    if where == "header" and (text := values.get(name.lower().encode())) is not None:
        return _timed(shape, xmltext.scalar(shape, _text(text), name))
    if where == "headers":
        prefix = name.lower().encode()
        return {_text(k[len(prefix) :]): _text(v) for k, v in values.items() if k.startswith(prefix)} or None
    return None


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _timed(shape: Shape, value: Any) -> Any:
    """Return a timestamp as seconds since 1970; None for one that is no date, which HTTP has us ignore."""
    if shape["type"] != "timestamp":
        return value
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(value)
        except (ValueError, TypeError, IndexError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def http_date(seconds: float) -> str:
    """Return a time as HTTP headers write it."""
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)


def answer_headers(
    service_name: str, operation: str, answer: dict[str, Any]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the members of an answer that are headers."""
    model = service(service_name)
    output = model.operations[operation].output
    for name, reference in (model.shapes[output]["members"] if output else {}).items():
        value, where = answer.get(name), reference.get("location")
        if value is None or where not in ("header", "headers"):
            continue
        if where == "headers":
            for key, text in value.items():
                yield f"{reference['locationName']}{key}".lower().encode(), text.encode()
            continue
        shape = model.shapes[reference["shape"]]
        text = http_date(value) if shape["type"] == "timestamp" else xmltext.scalar_text(shape, value)
        yield reference["locationName"].lower().encode(), text.encode()


def answer_body(
    service_name: str, operation: str, answer: dict[str, Any], root: str, namespace: str
) -> bytes:
    """Return the body of an answer: XML under the element ``root``, text, or nothing where it has no members."""
    model = service(service_name)
    output = model.operations[operation].output
    if output is None:
        return b""
    shape, value = model.shapes[output], answer
    if "payload" in shape:
        value = answer[shape["payload"]]
        shape = model.shapes[shape["members"][shape["payload"]]["shape"]]
        if shape["type"] != "structure":
            return value.encode() if isinstance(value, str) else value
    elif all(reference.get("location") for reference in shape["members"].values()):
        return b""
    text = xmltext.write(model.shapes, shape, value, root, f' xmlns="{namespace}"')
    return (xmltext.DECLARATION + text).encode()

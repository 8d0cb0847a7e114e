"""The rest-json protocol with labels in its paths, which Lambda speaks: what a request means, and the answer.

Personalize's runtime is rest-json too, but its paths are constant and its answers have no headers: those are served
by ``server``. Source: Smithy, "AWS restJson1 protocol" and "HTTP bindings".
"""

import asyncio
import functools
import inspect
import logging
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import msgspec

from nextpick.errors import InternalFailure, InvalidInput, Serialization, ServiceError, UnknownOperation
from nextpick.names import request_id as new_request_id
from nextpick.wire import shapes, xmltext
from nextpick.wire.asgi import ASGIApp, Receive, Scope, Send
from nextpick.wire.body import decode, encode
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Routes
from nextpick.wire.reading import Bodies, Gone
from nextpick.wire.sigv4 import Headers, header_map

_log = logging.getLogger("nextpick.wire")


class NotSpoken(ServiceError):
    """The operation is known, but nextpick does not speak it."""

    status = 501
    code = "NotImplementedException"


class Invalid(ServiceError):
    """A member violates what the service's model says of it."""

    code = "ValidationException"


class Target(NamedTuple):
    """What a request is for: an operation, and the labels in its path."""

    operation: str
    labels: dict[str, str]


def restjson_app(service: str, routes: Routes, callers: Callers, bodies: Bodies, pool: Executor) -> ASGIApp:
    """Return the application of one rest-json service; its handlers run in ``pool``.

    A handler may return an awaitable, which is waited for on the event loop. A member that is a streamed payload
    is bytes. An error's ``details`` (a dict) are members of its body. The service's model is read at the first
    request.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        try:
            status, headers, body = await answer(scope, receive, request_id)
        except ServiceError as error:
            status, headers, body = _error(service, error)
        except Gone:
            return
        except Exception:
            _log.exception("request %s of %s failed", request_id, service)
            status, headers, body = _error(service, InternalFailure())
        headers.append((b"x-amzn-requestid", request_id.encode()))
        if status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if status == 204 else body})

    async def answer(
        scope: Scope, receive: Receive, request_id: str
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        values = header_map(scope["headers"])
        body = await bodies.read(receive, values)
        method, path, query = scope["method"], scope["raw_path"], scope["query_string"]
        caller = callers.find(method.encode(), path, query, values, body)
        try:
            asked = parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=100)
        except ValueError as error:
            raise Serialization(f"The query could not be read: {error}") from None
        target = find_operation(service, method, path, asked)
        if target is None:
            raise UnknownOperation(f"{service} has no operation at {method} {scope['path'][:200]}.")
        route = routes.get((service, target.operation))
        if route is None:
            raise NotSpoken(f"nextpick does not speak {target.operation} of {service}.")
        call = caller.call(request_id, target.operation, scope)

        def serve() -> Any:
            return route.handler(call, read_request(service, target, asked, values, body))

        result = await asyncio.get_running_loop().run_in_executor(pool, serve)
        if inspect.isawaitable(result):
            result = await result
        return write_answer(service, target.operation, result or {})

    return app


class _Rule(NamedTuple):
    method: str
    segments: list[str]
    query: set[tuple[str, str]]
    operation: str

    @property
    def openness(self) -> tuple[int, int]:
        return sum(segment.startswith("{") for segment in self.segments), -len(self.query)


@functools.cache
def _rules(service: str) -> list[_Rule]:
    """Return how each operation is called; those with most that is literal first."""
    rules = []
    for known in shapes.service(service).operations.values():
        path, _, query = known.path.partition("?")
        rules.append(_Rule(known.method, path.strip("/").split("/"), set(parse_qsl(query, True)), known.name))
    return sorted(rules, key=lambda rule: rule.openness)


def find_operation(service: str, method: str, path: bytes, query: Iterable[tuple[str, str]]) -> Target | None:
    """Return what a request is for; None when no operation of the model is called like that."""
    segments, asked = path.decode("latin-1").strip("/").split("/"), set(query)
    for verb, pattern, constants, operation in _rules(service):
        if verb == method and len(pattern) == len(segments) and constants <= asked:
            pairs = list(zip(pattern, segments, strict=True))
            if all(segment and (want.startswith("{") or want == segment) for want, segment in pairs):
                return Target(operation, {w[1:-1]: unquote(s) for w, s in pairs if w.startswith("{")})
    return None


def read_request(
    service: str, target: Target, query: list[tuple[str, str]], values: Headers, body: bytes
) -> dict[str, Any]:
    """Return a request's members, checked against the model. Raises Serialization or Invalid."""
    model = shapes.service(service)
    shape = model.shapes[model.operations[target.operation].input or ""]
    payload = shape.get("payload")
    request: dict[str, Any] = {}
    if payload is None:
        given = decode(body) if body else {}
        if not isinstance(given, dict):
            raise Serialization("The request body must be a JSON object.")
        request.update(given)
    for name, reference in shape["members"].items():
        where, bound = reference.get("location"), reference.get("locationName", name)
        inner = model.shapes[reference["shape"]]
        text: str | None = None
        if where:
            request.pop(name, None)  # what is bound elsewhere is not read from the body
        if where == "uri":
            text = target.labels.get(bound)
        elif where == "querystring":
            given = [value for key, value in query if key == bound]
            if inner["type"] == "list" and given:
                request[name] = given
            elif given:
                text = given[0]
        elif where == "header":
            value = values.get(bound.lower().encode())
            text = None if value is None else value.decode("latin-1")
        if text is not None:
            request[name] = xmltext.scalar(inner, text, name)
    try:
        read = shapes.validate(service, target.operation, request)
    except InvalidInput as error:
        raise Invalid(error.message) from None
    return read | ({payload: body} if payload is not None else {})


def write_answer(
    service: str, operation: str, answer: dict[str, Any]
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of an answer; its members are the model's."""
    model = shapes.service(service)
    known = model.operations[operation]
    members = model.shapes[known.output]["members"] if known.output else {}
    status, rest, headers = known.status, dict(answer), [(b"content-type", b"application/json")]
    for name, reference in members.items():
        where = reference.get("location")
        value = rest.pop(name, None) if where else None
        if where == "statusCode" and value is not None:
            status = value
        elif where == "header" and value is not None:
            headers.append((reference["locationName"].lower().encode(), str(value).encode()))
    payload = model.shapes[known.output].get("payload") if known.output else None
    if payload is not None:
        return status, headers, rest.get(payload, b"")
    return status, headers, encode(service, operation, rest) if known.output else b""


def _error(service: str, error: ServiceError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    status = shapes.service(service).statuses.get(error.code, error.status)
    kind = "User" if status < 500 else "Server"
    # Models call the text either way; SDKs read the one that theirs has.
    told = {"Type": kind, "message": error.message, "Message": error.message, **getattr(error, "details", {})}
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", error.code.encode())]
    return status, headers, msgspec.json.encode(told)

"""The AWS query protocol, which STS, IAM and SNS speak: a form in, XML out.

Source: Smithy, "AWS query protocol".
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any
from urllib.parse import parse_qsl

from nextpick.errors import (
    AccessDenied,
    ExpiredToken,
    IncompleteSignature,
    InternalFailure,
    InvalidInput,
    InvalidSignature,
    MissingAuthenticationToken,
    Serialization,
    ServiceError,
    UnrecognizedClient,
)
from nextpick.names import request_id as new_request_id
from nextpick.wire import shapes, xmltext
from nextpick.wire.asgi import ASGIApp, Receive, Scope, Send
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Call, Routes
from nextpick.wire.reading import Bodies, Gone
from nextpick.wire.shapes import Shape
from nextpick.wire.sigv4 import header_map

_log = logging.getLogger("nextpick.wire")

# What these services call the errors of the wire, and with which status.
_CODES: dict[type[ServiceError], tuple[str, int]] = {
    AccessDenied: ("AccessDenied", 403),
    ExpiredToken: ("ExpiredToken", 403),
    IncompleteSignature: ("IncompleteSignature", 400),
    InvalidInput: ("ValidationError", 400),
    InvalidSignature: ("SignatureDoesNotMatch", 403),
    MissingAuthenticationToken: ("MissingAuthenticationToken", 403),
    Serialization: ("MalformedInput", 400),
    UnrecognizedClient: ("InvalidClientTokenId", 403),
}


class InvalidAction(ServiceError):
    """Could not find the operation."""

    code = "InvalidAction"


class NotSpoken(ServiceError):
    """The operation is known, but nextpick does not speak it."""

    status = 501
    code = "NotImplemented"


def query_app(service: str, routes: Routes, callers: Callers, bodies: Bodies, pool: Executor) -> ASGIApp:
    """Return the application of one query service; its handlers run in ``pool``.

    The service's model is read at the first request: most servers never see one.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_request_id()
        try:
            status, text = 200, await answer(scope, receive, request_id)
        except ServiceError as error:
            status, text = _error(service, error, request_id)
        except Gone:
            return
        except Exception:
            _log.exception("request %s of %s failed", request_id, service)
            status, text = _error(service, InternalFailure(), request_id)
        body = (xmltext.DECLARATION + text).encode()
        headers = [
            (b"content-type", b"text/xml"),
            (b"x-amzn-requestid", request_id.encode()),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def answer(scope: Scope, receive: Receive, request_id: str) -> str:
        values = header_map(scope["headers"])
        body = await bodies.read(receive, values)
        method, path, query = scope["method"].encode(), scope["raw_path"], scope["query_string"]
        caller = callers.find(method, path, query, values, body)
        form = _form(body if scope["method"] == "POST" else query)
        operation = form.get("Action", "")
        if operation not in shapes.service(service).operations:
            raise InvalidAction(f"Could not find operation {operation[:100]} for {service}.")
        route = routes.get((service, operation))
        if route is None:
            raise NotSpoken(f"nextpick does not speak {operation} of {service}.")
        call = caller.call(request_id, operation, scope)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, _serve, service, call, form, route.handler)

    return app


def _serve(service: str, call: Call, form: dict[str, str], handler: Callable[[Call, Any], Any]) -> str:
    request = shapes.validate(service, call.operation, read_form(service, call.operation, form))
    return write_answer(service, call, handler(call, request) or {})


def _form(text: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text.decode("utf-8"), keep_blank_values=True, max_num_fields=10_000, errors="strict"
        )
    except ValueError as error:
        raise Serialization(f"The form could not be read: {error}") from None
    return dict(pairs)


def read_form(service: str, operation: str, form: dict[str, str]) -> dict[str, Any]:
    """Return a form's members as the model reads them: ``Tags.member.1.Key`` becomes ``Tags[0].Key``.

    Raises Serialization for a value that is not of its type.
    """
    model = shapes.service(service)
    name = model.operations[operation].input
    tree: dict[str, Any] = {}
    for path, text in form.items():
        node = tree
        for step in path.split("."):
            node = node.setdefault(step, {})
        node[""] = text
    return _read(model.shapes, model.shapes[name], tree, "") if name else {}


def _read(known: dict[str, Shape], shape: Shape, node: dict[str, Any], path: str) -> Any:
    if shape["type"] == "structure":
        members = {name: (known[m["shape"]], node.get(name)) for name, m in shape["members"].items()}
        return {
            name: _read(known, member, held, name)
            for name, (member, held) in members.items()
            if held is not None
        }
    if shape["type"] == "list":
        inner = node.get(shape["member"].get("locationName", "member"), {})
        numbers = sorted((step for step in inner if step.isdigit()), key=int)
        member = known[shape["member"]["shape"]]
        return [_read(known, member, inner[number], f"{path}.member.{number}") for number in numbers]
    if shape["type"] == "map":
        key, value = shape["key"].get("locationName", "key"), shape["value"].get("locationName", "value")
        held = known[shape["value"]["shape"]]
        entries = [
            entry for entry in node.get("entry", {}).values() if isinstance(entry, dict) and key in entry
        ]
        return {
            entry[key].get("", ""): _read(known, held, entry.get(value, {}), f"{path}.entry")
            for entry in entries
        }
    return xmltext.scalar(shape, node.get("", ""), path)


def write_answer(service: str, call: Call, answer: dict[str, Any]) -> str:
    """Return an operation's answer: its result, and the request's id."""
    model = shapes.service(service)
    output = model.operations[call.operation].output
    result = ""
    if output is not None:
        result = xmltext.write(model.shapes, model.shapes[output], answer, f"{call.operation}Result")
    metadata = f"<ResponseMetadata><RequestId>{call.request_id}</RequestId></ResponseMetadata>"
    tag = f"{call.operation}Response"
    return f'<{tag} xmlns="{model.xml_namespace}">{result}{metadata}</{tag}>'


def _error(service: str, error: ServiceError, request_id: str) -> tuple[int, str]:
    code, status = _CODES.get(type(error), (error.code, error.status))
    fault = "Sender" if status < 500 else "Receiver"
    text = xmltext.text_of(error.message)
    inner = f"<Error><Type>{fault}</Type><Code>{code}</Code><Message>{text}</Message></Error>"
    namespace = shapes.service(service).xml_namespace
    answer = f'<ErrorResponse xmlns="{namespace}">{inner}<RequestId>{request_id}</RequestId></ErrorResponse>'
    return status, answer

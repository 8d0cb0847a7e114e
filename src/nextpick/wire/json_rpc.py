"""AWS JSON, as neighbours speak it: ``POST /``, ``X-Amz-Target: Prefix.Operation``, JSON in, JSON out.

Source: Smithy, "AWS JSON 1.1 protocol". Blobs are base64, timestamps seconds.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import msgspec

from nextpick.errors import InternalFailure, InvalidInput, ServiceError, UnknownOperation
from nextpick.names import request_id as new_request_id
from nextpick.wire.asgi import ASGIApp, Receive, Scope, Send
from nextpick.wire.body import decode, encode
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Call
from nextpick.wire.protocol import JSON_1_1
from nextpick.wire.reading import Bodies, Gone
from nextpick.wire.shapes import service as model_of
from nextpick.wire.shapes import validate
from nextpick.wire.sigv4 import header_map

Handler = Callable[[Call, Any], Any]
"""Takes a call and its validated request; returns a dict, None, or an awaitable of one. One that is no coroutine
function runs in a pool of threads."""

_log = logging.getLogger("nextpick.wire")


class NotSpoken(ServiceError):
    """The operation is known, but nextpick does not speak it."""

    status = 501
    code = "NotImplementedException"


class JsonService:
    """One service: its operations, called over HTTP (``asgi``) or from inside (``call``)."""

    def __init__(self, name: str, handlers: Mapping[str, Handler], pool: Executor) -> None:
        self._name, self._handlers, self._pool = name, handlers, pool

    def asgi(self, callers: Callers, bodies: Bodies) -> ASGIApp:
        """Return the application that answers signed requests."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request_id, values = new_request_id(), {}
            try:
                values = header_map(scope["headers"])
                body = await bodies.read(receive, values)
                method, path, query = scope["method"].encode(), scope["raw_path"], scope["query_string"]
                caller = callers.find(method, path, query, values, body)
                call = caller.call(request_id, self._operation(values.get(b"x-amz-target")), scope)
                status, answer = await self.answer(call, body)
            except ServiceError as error:
                status, answer = write_error(error)
            except Gone:
                return
            headers = [
                (b"content-type", values.get(b"content-type", JSON_1_1)),
                (b"x-amzn-requestid", request_id.encode()),
                (b"content-length", b"%d" % len(answer)),
            ]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

        return app

    async def answer(self, call: Call, body: bytes) -> tuple[int, bytes]:
        """Return status and body of what a call answers, errors included."""
        try:
            answer = await self.call(call, decode(body))
            return 200, encode(self._name, call.operation, answer) if answer is not None else b""
        except ServiceError as error:
            return write_error(error)
        except Exception:
            _log.exception("request %s: %s of %s failed", call.request_id, call.operation, self._name)
            return write_error(InternalFailure())

    async def call(self, call: Call, request: Any) -> Any:
        """Return what a handler returns. Raises ServiceError."""
        if call.operation not in model_of(self._name).operations:
            raise UnknownOperation(f"{self._name} has no operation {call.operation[:100]}.")
        handler = self._handlers.get(call.operation)
        if handler is None:
            raise NotSpoken(f"nextpick does not speak {call.operation} of {self._name}.")
        request = validate(self._name, call.operation, request)
        if inspect.iscoroutinefunction(handler):
            return await handler(call, request)
        return await asyncio.get_running_loop().run_in_executor(self._pool, handler, call, request)

    def _operation(self, target: bytes | None) -> str:
        prefix, _, operation = (target or b"").decode("latin-1").partition(".")
        if not operation or prefix != model_of(self._name).target_prefix:
            raise UnknownOperation("The request has no X-Amz-Target header that names an operation.")
        return operation


def write_error(error: ServiceError) -> tuple[int, bytes]:
    """Return status and body of an error; violations of a model are ValidationException here."""
    code = "ValidationException" if type(error) is InvalidInput else error.code
    return error.status, msgspec.json.encode({"__type": code, "message": error.message})

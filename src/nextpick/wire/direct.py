"""Calls of operations from inside this process: validated as from outside, without signature and HTTP."""

import asyncio
import inspect
import logging
from concurrent.futures import Executor
from typing import Any

import msgspec

from nextpick.errors import InternalFailure, ServiceError, UnknownOperation
from nextpick.wire import shapes
from nextpick.wire.body import decode, encode
from nextpick.wire.dispatch import Call, Routes, Unsettled

_log = logging.getLogger("nextpick.wire")


async def answer(routes: Routes, call: Call, service: str, body: bytes, pool: Executor) -> tuple[int, bytes]:
    """Return status and body of what the route of ``call.operation`` answers, errors as the service's own."""
    try:
        return 200, await _answer(routes, call, service, body, pool)
    except ServiceError as error:
        status = shapes.service(service).statuses.get(error.code, error.status)
        return status, msgspec.json.encode({"__type": error.code, "message": error.message})
    except Exception:
        _log.exception("request %s: %s of %s failed", call.request_id, call.operation, service)
        failure = InternalFailure()
        return failure.status, msgspec.json.encode({"__type": failure.code, "message": failure.message})


async def _answer(routes: Routes, call: Call, service: str, body: bytes, pool: Executor) -> bytes:
    route = routes.get((service, call.operation))
    if route is None:
        raise UnknownOperation(f"{service} has no operation {call.operation[:100]} that can be called.")
    request: Any = shapes.validate(service, call.operation, decode(body))
    if route.struct is not None:
        request = msgspec.convert(request, route.struct)
    if route.inline:
        result = route.handler(call, request)
    else:
        result = await asyncio.get_running_loop().run_in_executor(pool, route.handler, call, request)
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, Unsettled):
        result = result.answer
    if result is None:
        return b""
    return result if isinstance(result, bytes) else encode(service, call.operation, result)

"""Calls of operations from inside this process: validated as from outside, without signature and HTTP."""

import inspect
from typing import Any

import msgspec

from nextpick.errors import NotImplementedOperation
from nextpick.wire import shapes
from nextpick.wire.dispatch import Call, Routes


async def invoke(routes: Routes, call: Call, service: str, params: dict[str, Any]) -> Any:
    """Return what the route of ``call.operation`` answers: a dict, bytes, or None; for inline routes only.

    Raises errors.ServiceError as the wire would answer it.
    """
    route = routes.get((service, call.operation))
    if route is None or not route.inline:
        raise NotImplementedOperation(f"{service} {call.operation} cannot be called directly.")
    request: Any = shapes.validate(service, call.operation, params)
    if route.struct is not None:
        request = msgspec.convert(request, route.struct)
    answer = route.handler(call, request)
    return await answer if inspect.isawaitable(answer) else answer

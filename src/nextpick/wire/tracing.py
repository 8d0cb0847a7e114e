"""The engine's part of traces: a segment for a signed request that comes with a trace which is recorded."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from nextpick.tracing import header
from nextpick.tracing.header import Trace
from nextpick.tracing.store import Recorder, Segment
from nextpick.wire.asgi import Receive, Scope, Send
from nextpick.wire.sigv4 import Headers

_NAME = header.NAME.encode()
_SAMPLED = b"Sampled=1"


def is_sampled(values: Headers) -> bool:
    """Tell whether a request belongs to a trace that is recorded."""
    given = values.get(_NAME)
    return given is not None and _SAMPLED in given


async def traced(
    serve: Callable[[Scope, Receive, Send], Awaitable[None]],
    recorder: Recorder,
    called: tuple[str, str],
    values: Headers,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Serve a request and keep its segment; ``called`` are the service and the operation."""
    trace = header.parse(values[_NAME].decode("latin-1"))
    if trace is None:
        await serve(scope, receive, send)
        return
    own, started, clock, status = header.segment_id(), time.time(), time.perf_counter(), 500
    header.current.set(Trace(trace.root, own, True))

    async def note(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    try:
        await serve(scope, receive, note)
    finally:
        ended = started + time.perf_counter() - clock
        service, operation = called
        recorder.keep(
            Segment(trace.root, own, trace.parent, "AWS::Service", service, operation, started, ended, status)
        )

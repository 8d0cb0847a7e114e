"""The gateway's part of traces: a segment for each request of a stage that is traced, and for what it calls directly.

Source: API Gateway developer guide, "Trace user requests to REST APIs using X-Ray".
"""

import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from nextpick.gateway.messages import Refusal, Reply, Request
from nextpick.tracing import header
from nextpick.tracing.header import Trace
from nextpick.tracing.store import Recorder, Segment

Integration = Callable[[Request], Reply | Awaitable[Reply]]


class Open(NamedTuple):
    """The segment of a request that is being served. ``trace.parent`` is this segment's own id."""

    trace: Trace
    caller: str
    started: float
    clock: float


class Tracer:
    """Writes the segments of one worker's requests."""

    def __init__(self, home: Path, most: int) -> None:
        self._recorder = Recorder(home, most)

    def begin(self, request: Request, share: float) -> None:
        """Decide whether a request is traced, by its header or for a share of those without, and open its segment."""
        given = header.parse(request.headers.get(header.NAME)) or Trace(header.begin(request.now))
        sampled = random.random() < share if given.sampled is None else given.sampled
        own = header.segment_id() if sampled else given.parent
        request.trace = Trace(given.root, own, sampled)
        if sampled:
            request.segment = Open(request.trace, given.parent, time.time(), time.perf_counter())

    def end(self, request: Request, status: int) -> None:
        """Write the segment of a request."""
        held, stage = request.segment, request.stage
        if held is not None:
            name, told = f"{stage.title}/{stage.name}", f"{request.verb} {request.path}"
            ended = held.started + time.perf_counter() - held.clock
            self._recorder.keep(
                Segment(
                    held.trace.root,
                    held.trace.parent,
                    held.caller,
                    "AWS::ApiGateway::Stage",
                    name,
                    told,
                    held.started,
                    ended,
                    status,
                )
            )

    def call(self, request: Request, name: str, integration: Integration) -> Reply | Awaitable[Reply]:
        """Do what an integration does, with a segment for the service that it calls."""
        held = request.segment
        if held is None or not name:
            return integration(request)
        began = time.perf_counter()

        def note(status: int) -> None:
            started = held.started + began - held.clock
            ended = held.started + time.perf_counter() - held.clock
            service, _, told = name.partition(" ")
            own = header.segment_id()
            parent = held.trace.parent
            self._recorder.keep(
                Segment(held.trace.root, own, parent, _ORIGIN, service, told, started, ended, status)
            )

        try:
            reply = integration(request)
        except Refusal as refusal:
            note(refusal.status)
            raise
        if isinstance(reply, Reply):
            note(reply.status)
            return reply
        return _waited(reply, note)

    def close(self) -> None:
        """Write what is queued."""
        self._recorder.close()


_ORIGIN = "AWS::Service"


async def _waited(reply: Awaitable[Reply], note: Callable[[int], None]) -> Reply:
    status = 500
    try:
        made = await reply
        status = made.status
        return made
    except Refusal as refusal:
        status = refusal.status
        raise
    finally:
        note(status)

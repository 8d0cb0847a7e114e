"""The functions' part of traces: a segment for the service, one for the function, and the parts of the latter.

Source: X-Ray developer guide, "AWS Lambda and AWS X-Ray": Initialization, Invocation, Overhead.
"""

import time
from pathlib import Path

from nextpick.functions.process import Outcome
from nextpick.functions.registry import Function
from nextpick.tracing import header
from nextpick.tracing.header import Trace
from nextpick.tracing.store import Recorder, Segment

_FAILED = 500
_THROTTLED = 429


class Open:
    """An invocation that goes on: its trace, as the function gets it, the segment that called, and when it was asked
    for. ``taken``, of ``perf_counter``, is when a process was there."""

    __slots__ = ("asked", "caller", "clock", "taken", "trace")

    def __init__(self, trace: Trace, caller: str) -> None:
        self.trace, self.caller = trace, caller
        self.asked, self.clock = time.time(), time.perf_counter()
        self.taken = self.clock


class Tracer:
    """Writes the segments of a host's invocations."""

    def __init__(self, home: Path, most: int) -> None:
        self._recorder = Recorder(home, most)

    def begin(self, function: Function, given: str | None, now: float) -> Open:
        """Open an invocation's segments. Its caller's header decides whether they are kept; without one, and where it
        leaves that open, a function whose tracing is Active does."""
        known = header.parse(given) or Trace(header.begin(now))
        sampled = known.sampled
        if sampled is None:
            sampled = function.told.get("TracingConfig", {}).get("Mode") == "Active"
        return Open(Trace(known.root, header.segment_id(), sampled), known.parent)

    def end(self, held: Open, function: Function, outcome: Outcome | None) -> None:
        """Keep the segments of an invocation; None is the outcome of one that was refused."""
        if not held.trace.sampled:
            return
        ended = held.asked + time.perf_counter() - held.clock
        status = _THROTTLED if outcome is None else 200 if outcome.error is None else _FAILED
        called, name, version = header.segment_id(), function.name, function.version

        def keep(own: str, parent: str, origin: str, name: str, start: float, end: float, went: int) -> None:
            told = version if origin else ""
            self._recorder.keep(Segment(held.trace.root, own, parent, origin, name, told, start, end, went))

        keep(called, held.caller, "AWS::Lambda", name, held.asked, ended, status)
        if outcome is None:
            return
        ran, own = header.segment_id(), header.segment_id
        began = held.asked + held.taken - held.clock
        done = began + outcome.ms / 1000
        loaded = began - (outcome.init_ms or 0.0) / 1000
        keep(ran, called, "AWS::Lambda::Function", name, loaded, ended, status)
        if outcome.init_ms is not None:
            keep(own(), ran, "", "Initialization", loaded, began, 200)
        keep(held.trace.parent, ran, "", "Invocation", began, done, status)
        keep(own(), ran, "", "Overhead", done, ended, 200)

    def close(self) -> None:
        """Write what is queued."""
        self._recorder.close()

"""The journal of one execution: what has happened is found, what happens now is written down.

Events are gathered and written together; ``flush`` puts them on the disk. It must come before every effect (so that
the intent is known) and after every result.
"""

import json
from typing import Any

from nextpick.clock import Clock
from nextpick.workflow import executions
from nextpick.workflow.asl.failure import RUNTIME, StateFailed
from nextpick.workflow.database import Database
from nextpick.workflow.executions import Event

_MOST_GATHERED = 100


class Journal:
    """The events of one execution, for one event loop."""

    def __init__(self, database: Database, arn: str, clock: Clock) -> None:
        self._database, self._arn, self._clock = database, arn, clock
        with database.read() as db:
            known = executions.history(db, arn)
        self._known = {(event.path, event.type): event for event in known}
        self._last = known[-1].id if known else 0
        self._gathered: list[Event] = []

    def find(self, path: str, type: str) -> Event | None:
        """Return the event of a type at a place, None when it has not happened."""
        return self._known.get((path, type))

    def record(self, path: str, type: str, previous: int, details: dict[str, Any]) -> Event:
        """Return the event of a type at a place: the one that happened, or a new one.

        Raises StateFailed (States.Runtime) when the history is full.
        """
        found = self._known.get((path, type))
        if found is not None:
            return found
        if self._last >= executions.MOST_EVENTS - 1:
            raise StateFailed(
                RUNTIME,
                f"The execution reached the maximum number of history events ({executions.MOST_EVENTS}).",
            )
        event = self._new(path, type, previous, details)
        if len(self._gathered) >= _MOST_GATHERED:
            self.flush()
        return event

    def _new(self, path: str, type: str, previous: int, details: dict[str, Any]) -> Event:
        self._last += 1
        event = Event(self._last, path, type, self._clock.now(), previous, details)
        self._known[path, type] = event
        self._gathered.append(event)
        return event

    def flush(self) -> None:
        """Put what was recorded on the disk. Raises executions.Ended."""
        if self._gathered:
            executions.append(self._database, self._arn, self._gathered)
            self._gathered = []

    def succeed(self, previous: int, output: Any) -> None:
        """End the execution with its output. Raises executions.Ended."""
        text = json.dumps(output)
        self._end("SUCCEEDED", "ExecutionSucceeded", previous, {"output": text}, output=text)

    def fail(self, previous: int, failure: StateFailed, status: str = "FAILED") -> None:
        """End the execution as FAILED or TIMED_OUT. Raises executions.Ended."""
        said = {"error": failure.error, "cause": failure.cause}
        type = "ExecutionFailed" if status == "FAILED" else "ExecutionTimedOut"
        self._end(status, type, previous, said, **said)

    def _end(self, status: str, type: str, previous: int, details: dict[str, Any], **texts: Any) -> None:
        event = self._new("", type, previous, details)
        gathered, self._gathered = self._gathered, []
        executions.finish(self._database, self._arn, gathered, status, event.at, **texts)

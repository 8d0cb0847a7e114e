"""What one kind of Task is to the interpreter."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, NamedTuple


class Ask(NamedTuple):
    """A task to be run. ``token`` names it for good; ``is_resumed``: it may have been run already, by a process
    that was killed before it could say so; ``scheduled_at`` is when it was written down; ``role`` is who it is to
    act as."""

    parameters: Any
    token: str
    scheduled_at: float
    is_resumed: bool
    role: str


class Events(NamedTuple):
    """The types of the events of a task."""

    scheduled: str
    started: str
    succeeded: str
    failed: str
    timed_out: str


TASK = Events("TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskFailed", "TaskTimedOut")
FUNCTION = Events(
    "LambdaFunctionScheduled",
    "LambdaFunctionStarted",
    "LambdaFunctionSucceeded",
    "LambdaFunctionFailed",
    "LambdaFunctionTimedOut",
)


class Integration(NamedTuple):
    """How a Resource is run: ``perform`` is called in ``pool``, returns a JSON value and raises StateFailed."""

    perform: Callable[[Ask], Any]
    pool: Executor
    service: str
    action: str
    region: str
    resource: str
    events: Events = TASK

    @property
    def about(self) -> dict[str, Any]:
        """What every event of the task says of it."""
        return {} if self.events is FUNCTION else {"resourceType": self.service, "resource": self.action}

    def describe(self, parameters: Any, timeout_s: float | None) -> dict[str, Any]:
        """Return the details of the event that schedules it."""
        limit = {} if timeout_s is None else {"timeoutInSeconds": int(timeout_s)}
        given = json.dumps(parameters)
        if self.events is FUNCTION:
            return {"resource": self.resource, "input": given, **limit}
        return {**self.about, "region": self.region, "parameters": given, **limit}

    async def run(self, ask: Ask) -> Any:
        """Run it, without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.perform, ask)

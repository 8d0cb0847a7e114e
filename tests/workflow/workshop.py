"""An engine in this process whose workflows run on a clock that the test moves, with functions of the test."""

import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nextpick import automation
from nextpick.automation import Context
from nextpick.clock import ManualClock
from nextpick.workflow.preparation import Finder
from nextpick.workflow.service import Workflow
from worlds import Api, open_api

EXAMPLES = Path(__file__).parents[2] / "examples" / "workflow"


class Invoked:
    """What a function of the test answers."""

    def __init__(self, payload: bytes, error: str | None = None) -> None:
        self.payload, self.error, self.version = payload, error, "$LATEST"


class FunctionMissing(Exception):
    """There is no such function."""


class Handlers:
    """Functions by name; ``called`` are (name, event) of all calls, asynchronous ones included."""

    def __init__(self) -> None:
        self.known: dict[str, Callable[[Any], Any]] = {}
        self.called: list[tuple[str, Any]] = []
        self.is_down = False

    def invoke(self, home: Path, name: str, payload: bytes, *, qualifier: str | None = None) -> Invoked:
        if name not in self.known:
            raise FunctionMissing(name)
        event = json.loads(payload)
        self.called.append((name, event))
        try:
            return Invoked(json.dumps(self.known[name](event)).encode())
        except Exception as error:
            said = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
            return Invoked(json.dumps(said).encode(), "Unhandled")

    def enqueue(self, home: Path, name: str, payload: bytes) -> str:
        if self.is_down:
            raise ConnectionError("no host yet")
        if name not in self.known:
            raise FunctionMissing(name)
        self.called.append((name, json.loads(payload)))
        return "id"


class Workshop:
    """An engine and its workflows. Loops are turned by hand: ``tick``."""

    def __init__(self, home: Path, finders: tuple[Finder, ...] = (), **settings: Any) -> None:
        self.api: Api = open_api(home, **settings)
        library = self.api.library
        self.clock = ManualClock(time.time() - 3600)  # what the engine makes is never older than its intent
        self.functions = Handlers()
        self._numbers = itertools.count()
        self.context = Context(library.settings, self.clock, library.engine.records, library.client)
        self._finders = finders
        self.workflow = self._begin()
        self.states = library.client("stepfunctions", parameter_validation=False)
        self.s3 = library.client("s3")

    def _begin(self) -> Workflow:
        workflow = Workflow(self.context, self.functions, self._finders)
        workflow.preparations.resume()
        workflow.runner.start()
        return workflow

    def clear(self) -> None:
        """Forget functions, state machines, schedules, triggers and what they set off."""
        self.functions.known.clear()
        self.functions.called.clear()
        with self.workflow.database.write() as db:
            for name in ("machine", "execution", "event", "schedule", "watch", "seen", "outbox", "firing"):
                db.execute(f"DELETE FROM {name}")

    def restart(self) -> None:
        """End the workflows and begin them again, as after a kill."""
        self.workflow.stop()
        self.workflow = self._begin()

    def tick(self) -> None:
        """Notice what is due and what is new, and do it."""
        self.workflow.schedules.tick()
        self.workflow.watching.take()
        self.workflow.watching.scan()
        self.workflow.firings.run_due()

    def make(self, definition: dict[str, Any], name: str | None = None, role: str = "any") -> str:
        """Create a state machine, under a name of its own unless told, and return its ARN."""
        given = {"definition": json.dumps(definition), "roleArn": f"arn:aws:iam::000000000000:role/{role}"}
        name = name or f"m{next(self._numbers)}"
        return self.states.create_state_machine(name=name, **given)["stateMachineArn"]

    def finish(self, execution: str, stops: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Let time pass until an execution has ended, or ``stops`` says so, and describe it."""
        patience = time.monotonic() + 60
        while (found := self.states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            if stops():
                break
            assert time.monotonic() < patience, self.entered(execution)
            due = self.workflow.runner.next_at
            time.sleep(0.03)
            if due == self.workflow.runner.next_at and due < math.inf:
                self.clock.advance(max(0.0, due - self.clock.now()))
                self.workflow.runner.look()
        return found

    def run(self, machine: str, given: Any = None, **named: str) -> dict[str, Any]:
        """Run a state machine to its end and describe the execution."""
        text = json.dumps({} if given is None else given)
        return self.finish(
            self.states.start_execution(stateMachineArn=machine, input=text, **named)["executionArn"]
        )

    def history(self, execution: str) -> list[dict[str, Any]]:
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def entered(self, execution: str) -> list[str]:
        """Return the names of the states that an execution has entered."""
        key = "stateEnteredEventDetails"
        return [event[key]["name"] for event in self.history(execution) if key in event]

    def close(self) -> None:
        self.workflow.stop()
        self.api.library.close()


def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep engines from starting workflows by themselves."""
    monkeypatch.delitem(automation.SERVICES, "nextpick.workflow.service")  # type: ignore[arg-type]

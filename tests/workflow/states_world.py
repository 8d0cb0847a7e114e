"""State machines without the rest: tasks are functions of the test, and time passes when everything waits."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nextpick.clock import ManualClock
from nextpick.workflow import executions
from nextpick.workflow.asl.definition import parse
from nextpick.workflow.database import Database
from nextpick.workflow.executions import Execution, Machine
from nextpick.workflow.runner import Runner
from nextpick.workflow.tasks.integration import Ask, Integration

START = 1_700_000_000.0
MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:m"
EXECUTION = MACHINE.replace(":stateMachine:", ":execution:") + ":e"

Tasks = dict[str, Callable[[Ask], Any]]


class Hall:
    """A runner on a clock that is moved by hand; ``tasks`` are called by the last word of their Resource."""

    def __init__(self, home: Path, tasks: Tasks | None = None) -> None:
        self.database = Database(home)
        self.clock = ManualClock(START)
        self.tasks = tasks or {}
        self.pool = ThreadPoolExecutor(8)
        self.runner = self._runner()
        self.runner.start()

    def _runner(self) -> Runner:
        return Runner(self.database, self.clock, self._find, poll_s=0.005)

    def _find(self, resource: str, region: str) -> Integration:
        name = resource.rpartition(":")[2]
        return Integration(self.tasks[name], self.pool, "test", name, region, resource)

    def begin(self, definition: dict[str, Any], given: Any = None, name: str = "e") -> str:
        """Write an execution and return its ARN."""
        text = json.dumps(definition)
        parse(text, lambda resource: None)
        machine = Machine(MACHINE, "0", "us-east-1", "m", "STANDARD", "", text, {}, START, START, "INITIAL")
        arn = EXECUTION[:-1] + name
        with self.database.write() as db:
            given = {} if given is None else given
            executions.start(db, machine, arn, name, json.dumps(given), self.clock.now())
        return arn

    def find(self, arn: str = EXECUTION) -> Execution:
        with self.database.read() as db:
            found = executions.find(db, arn)
        assert found is not None
        return found

    def wait(self, holds: Callable[[], bool]) -> None:
        """Let time pass, from one moment that is waited for to the next, until something holds."""
        patience = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < patience
            due, seen = self.runner.next_at, self.database.version()
            time.sleep(0.008)
            is_still = due == self.runner.next_at and seen == self.database.version()
            if is_still and due < float("inf") and not holds():
                self.clock.advance(max(0.0, due - self.clock.now()))
                self.runner.look()

    def run(self, definition: dict[str, Any], given: Any = None) -> Execution:
        """Run a definition to its end."""
        arn = self.begin(definition, given)
        self.wait(lambda: self.find(arn).status != "RUNNING")
        return self.find(arn)

    def output(self, definition: dict[str, Any], given: Any = None) -> Any:
        """Return what a definition gives."""
        ended = self.run(definition, given)
        assert ended.status == "SUCCEEDED", (ended.error, ended.cause)
        return json.loads(ended.output or "null")

    def history(self, arn: str = EXECUTION) -> list[executions.Event]:
        with self.database.read() as db:
            return executions.history(db, arn)

    def types(self) -> list[str]:
        return [event.type for event in self.history()]

    def restart(self) -> None:
        """End the runner as a kill does, as far as the disk can tell, and start another."""
        self.runner.stop()
        self.runner = self._runner()
        self.runner.start()

    def close(self) -> None:
        self.runner.stop()
        self.pool.shutdown(wait=False)
        self.database.close()


def machine(**states: Any) -> dict[str, Any]:
    """Return a definition whose states follow one another as they are written, unless they say otherwise."""
    names = list(states)
    for number, (name, state) in enumerate(states.items()):
        free = "Next" not in state and "End" not in state
        if free and state["Type"] not in ("Choice", "Succeed", "Fail"):
            last = number == len(names) - 1
            states[name] = {**state, **({"End": True} if last else {"Next": names[number + 1]})}
    return {"StartAt": names[0], "States": states}


def task(name: str, **more: Any) -> dict[str, Any]:
    """Return a Task that calls one of the test's functions."""
    return {"Type": "Task", "Resource": f"arn:aws:states:::test:{name}", **more}

"""A kill at any point: what was done is not done again, and the execution comes to its end."""

from pathlib import Path
from typing import Any

import pytest
from states_world import Hall, machine, task

from nextpick.workflow import executions
from nextpick.workflow.asl.failure import StateFailed


class Disk:
    """Takes a number of commits, then none, as if the process were gone; ``after``: the last one is still taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int, after: bool) -> None:
        self.left, self.after, self.is_gone = left, after, False
        for name in ("append", "finish"):
            monkeypatch.setattr(executions, name, self._guard(getattr(executions, name)))

    def _guard(self, write: Any) -> Any:
        def guarded(*args: Any, **more: Any) -> None:
            if self.is_gone:
                raise OSError("gone")
            self.left -= 1
            if self.left < 0:
                self.is_gone = True
                if self.after:
                    write(*args, **more)
                raise OSError("gone")
            write(*args, **more)

        return guarded


RETRY = [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 2}]
BRANCH = machine(B=task("make", Parameters={"of.$": "$$.State.Name", "who.$": "$.who"}))
DEFINITION = machine(
    First=task("make", Parameters={"of": "first", "id.$": "States.UUID()"}, ResultPath="$.first"),
    Pause={"Type": "Wait", "Seconds": 30},
    Flaky=task("flaky", Retry=RETRY, ResultPath="$.flaky"),
    Both={"Type": "Parallel", "Branches": [BRANCH, BRANCH], "ResultPath": "$.both"},
    Each={
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemProcessor": machine(M=task("make")),
        "ResultPath": "$.each",
    },
)


class Effects:
    """What tasks do to the world, by the token of the task: done once, and found again by who asks a second time."""

    def __init__(self) -> None:
        self.made: dict[str, int] = {}
        self.times = 0
        self.failures = 0

    def make(self, ask: Any) -> Any:
        if not (ask.is_resumed and ask.token in self.made):
            self.times += 1
            self.made[ask.token] = self.times
        return {"made": ask.parameters}

    def flaky(self, ask: Any) -> Any:
        self.make(ask)
        if self.failures < 1:
            self.failures += 1
            raise StateFailed("Flaky", "once")
        return "ok"


def outcome(home: Path, monkeypatch: pytest.MonkeyPatch, left: int, after: bool) -> tuple[Effects, Any, bool]:
    effects = Effects()
    hall = Hall(home, {"make": effects.make, "flaky": effects.flaky})
    with monkeypatch.context() as patch:
        disk = Disk(patch, left, after)
        hall.begin(DEFINITION, {"who": "x", "items": [1, 2]})
        hall.wait(lambda: disk.is_gone or hall.find().status != "RUNNING")
        hall.runner.stop()
    hall.runner = hall._runner()
    hall.runner.start()
    hall.wait(lambda: hall.find().status != "RUNNING")
    found = hall.find()
    hall.close()
    return effects, (found.status, found.output), disk.is_gone


def test_a_kill_at_any_commit_changes_neither_effects_nor_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, expected, _ = outcome(tmp_path / "whole", monkeypatch, 10_000, False)
    assert expected[0] == "SUCCEEDED"
    assert whole.times == 7  # one, two attempts, two branches, two items
    left = 0
    while True:
        killed = False
        for after in (False, True):
            effects, ended, was = outcome(tmp_path / f"{left}{after}", monkeypatch, left, after)
            killed = killed or was
            assert ended == expected, left
            assert len(effects.made) == effects.times, left  # nothing was done a second time
            assert (
                whole.times - 1 <= effects.times <= whole.times
            )  # a failure that was not recorded may be none
        if not killed:
            return
        left += 1


def test_a_stopped_execution_does_nothing_more(hall: Hall) -> None:
    calls: list[int] = []
    hall.tasks["call"] = lambda ask: calls.append(1)
    arn = hall.begin(
        machine(A=task("call"), W={"Type": "Wait", "Timestamp": "2999-01-01T00:00:00Z"}, B=task("call"))
    )
    while "WaitStateEntered" not in hall.types():
        pass
    with hall.database.write() as db:
        executions.abort(db, arn, hall.clock.now(), "Enough", "said so")
    hall.clock.advance(1e11)
    hall.runner.look()
    hall.runner.stop()
    assert calls == [1]
    assert hall.types()[-1] == "ExecutionAborted"
    assert hall.find().error == "Enough"

"""Services that go on by themselves: started when there is something to do, stopped, tried again."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nextpick import automation
from nextpick.automation import Automation, Context
from nextpick.clock import SystemClock
from nextpick.settings import Settings


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Fake:
    """A module of a service that remembers what was done to it; its first ``failures`` starts fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int = 0) -> None:
        self.events: list[str] = []
        self._failures = failures
        module = ModuleType("fake_service")
        module.__dict__["start"] = self.start
        monkeypatch.setitem(sys.modules, "fake_service", module)

    def start(self, context: Context) -> "Fake":
        if self._failures:
            self._failures -= 1
            self.events.append("failed")
            raise OSError("not now")
        self.events.append(f"started in {context.settings.home.name}")
        return self

    def stop(self) -> None:
        self.events.append("stopped")


def context(home: Path) -> Context:
    nothing: Any = None
    return Context(Settings.load(home=home), SystemClock(), nothing, nothing)


def test_a_service_starts_when_its_path_appears_and_stops_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, services = Fake(monkeypatch), {"fake_service": "things"}
    running = Automation(context(tmp_path), services)
    running.start()
    assert not automation.any_wanted(tmp_path, services)
    assert fake.events == []
    (tmp_path / "things").mkdir()
    assert automation.any_wanted(tmp_path, services)
    until(lambda: fake.events == [f"started in {tmp_path.name}"])
    running.stop()
    assert fake.events[1:] == ["stopped"]


def test_a_service_that_cannot_start_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automation, "_RETRY_S", 0.0)
    fake = Fake(monkeypatch, failures=2)
    (tmp_path / "things").mkdir()
    running = Automation(context(tmp_path), {"fake_service": "things"})
    running.start()
    until(lambda: len(fake.events) == 3)
    running.stop()
    assert fake.events == ["failed", "failed", f"started in {tmp_path.name}", "stopped"]

"""Functions that are a dictionary."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest


class Invoked(NamedTuple):
    """What a function answered."""

    payload: bytes
    error: str | None


class Functions:
    """Stands for nextpick.functions.client: functions by name, which take the event and return or raise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.by_name: dict[str, Callable[[Any], Any]] = {}
        self.events: list[Any] = []
        package, client = ModuleType("nextpick.functions"), ModuleType("nextpick.functions.client")
        failure = type("FunctionError", (Exception,), {})
        self.missing = type("FunctionMissing", (failure,), {})
        client.__dict__.update(
            FunctionMissing=self.missing,
            FunctionError=failure,
            invoke=self.invoke,
            invoke_async=self.invoke_async,
        )
        package.__dict__["client"] = client
        monkeypatch.setitem(sys.modules, "nextpick.functions", package)
        monkeypatch.setitem(sys.modules, "nextpick.functions.client", client)

    def invoke(
        self, home: Path, name: str, payload: bytes, *, timeout_s: float | None, qualifier: Any = None
    ) -> Any:
        """Run a function as the host would."""
        name = f"{name}:{qualifier}" if qualifier else name
        if name not in self.by_name:
            raise self.missing(name)
        event = json.loads(payload)
        self.events.append(event)
        try:
            return Invoked(json.dumps(self.by_name[name](event)).encode(), None)
        except Exception as error:
            told = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
            return Invoked(json.dumps(told).encode(), "Unhandled")

    async def invoke_async(
        self, home: Path, name: str, payload: bytes, *, timeout_s: float, qualifier: Any = None
    ) -> Any:
        """The same for an event loop."""
        found = self.invoke(home, name, payload, timeout_s=timeout_s, qualifier=qualifier)
        if b'"sleep"' in found.payload:
            await asyncio.sleep(5)
        return found

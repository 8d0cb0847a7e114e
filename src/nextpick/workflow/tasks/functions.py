"""Functions as tasks: ``arn:aws:states:::lambda:invoke`` and the plain ARN of a function.

A function that ran when its process was killed may have done all, something or nothing of what it does, and only it
could tell. It is not run a second time: the task fails with ``Lambda.Unknown``, and the author's Retry decides.
Source: Developer Guide, "Lambda", "Handling Lambda service exceptions".
"""

import importlib
import json
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nextpick.workflow.asl.failure import StateFailed
from nextpick.workflow.tasks.integration import Ask


class Answer(Protocol):
    """What an invocation of a version gave: bytes of JSON; ``error`` is None where the handler returned."""

    @property
    def payload(self) -> bytes: ...
    @property
    def error(self) -> str | None: ...
    @property
    def version(self) -> str: ...


class Functions(Protocol):
    """The functions of a home: ``nextpick.functions.client``."""

    def invoke(self, home: Path, name: str, payload: bytes, *, qualifier: str | None = None) -> Answer: ...
    def enqueue(self, home: Path, name: str, payload: bytes) -> str: ...


class Parts(NamedTuple):
    """What a function's ARN, partial ARN or name says."""

    name: str
    qualifier: str | None

    @property
    def target(self) -> str:
        """The name with its qualifier."""
        return f"{self.name}:{self.qualifier}" if self.qualifier else self.name


def deployed() -> Functions:
    """Return the functions of this installation."""
    return importlib.import_module("nextpick.functions.client")  # type: ignore[return-value]


def parts_of(text: str) -> Parts:
    """Read ``name``, ``name:qualifier``, ``account:function:name`` or an ARN. Raises StateFailed."""
    words = text.split(":")
    if "function" in words:
        words = words[words.index("function") + 1 :]
    if not words[0] or len(words) > 2:
        raise StateFailed("Lambda.ResourceNotFoundException", f"'{text}' names no function.")
    return Parts(words[0], words[1] if len(words) == 2 else None)


def invoke(functions: Functions, home: Path, ask: Ask) -> Any:
    """Run ``lambda:invoke``: FunctionName, Payload, InvocationType, Qualifier in, Lambda's answer out."""
    given = ask.parameters
    if not isinstance(given, dict) or not isinstance(given.get("FunctionName"), str):
        raise StateFailed("States.Runtime", "lambda:invoke needs a FunctionName.")
    parts = parts_of(given["FunctionName"])
    if "Qualifier" in given:
        parts = parts._replace(qualifier=given["Qualifier"])
    payload = given.get("Payload", {})
    if given.get("InvocationType") == "Event":
        _refuse_repeated(ask)
        functions.enqueue(home, parts.target, json.dumps(payload).encode())
        return {"StatusCode": 202, "SdkHttpMetadata": {"HttpStatusCode": 202}}
    result, version = _run(functions, home, parts, payload, ask)
    metadata = {"HttpStatusCode": 200, "HttpHeaders": {"X-Amz-Executed-Version": version}}
    return {
        "ExecutedVersion": version,
        "Payload": result,
        "SdkHttpMetadata": metadata,
        "StatusCode": 200,
    }


def invoke_plainly(functions: Functions, home: Path, arn: str, ask: Ask) -> Any:
    """Run a function whose ARN is the Resource: the input is the payload, the payload the result."""
    return _run(functions, home, parts_of(arn), ask.parameters, ask)[0]


def _refuse_repeated(ask: Ask) -> None:
    if ask.is_resumed:
        cause = "The server ended while the function ran: whether it did what it does is not known."
        raise StateFailed("Lambda.Unknown", cause)


def _run(functions: Functions, home: Path, parts: Parts, payload: Any, ask: Ask) -> tuple[Any, str]:
    """Return what a function returned, and the version that ran."""
    _refuse_repeated(ask)
    try:
        answer = functions.invoke(home, parts.name, json.dumps(payload).encode(), qualifier=parts.qualifier)
    except Exception as error:
        raise _failure_of(error, parts.target) from error
    text = answer.payload.decode()
    if answer.error is None:
        return (json.loads(text) if text else None), answer.version
    try:
        said = json.loads(text)
    except ValueError:
        said = {}
    error = said.get("errorType") if isinstance(said, dict) else None
    raise StateFailed(error or "Lambda.Unknown", text)


def _failure_of(error: Exception, name: str) -> StateFailed:
    known = {
        "FunctionMissing": ("Lambda.ResourceNotFoundException", f"Function not found: {name}"),
        "FunctionBusy": ("Lambda.TooManyRequestsException", "Rate Exceeded."),
    }
    return StateFailed(*known.get(type(error).__name__, ("Lambda.ServiceException", str(error))))

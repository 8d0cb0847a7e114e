"""Invoking functions from any process of this machine.

Calls go over a socket in the home to the function host (``service``), which owns the warm processes. A function is
named by its name, its ARN, or the URI of an API Gateway integration; see ``Registry.find`` for accounts.
"""

import asyncio
import base64
import functools
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.functions import frames
from nextpick.functions.events import Queue
from nextpick.functions.registry import LATEST, Function, Registry, parse_name
from nextpick.tracing.header import current

LARGEST_PAYLOAD = 6 * 1024**2  # of a call that waits, Lambda's limit
LARGEST_EVENT = 1024**2  # of an asynchronous one

_HOST_WAIT_S = 20.0  # a host that is being started, or started again
_HOST_PAUSE_S = 0.05
_LONGEST_ADDRESS = 100  # bytes that every system takes for the address of a socket


class FunctionError(Exception):
    """A function could not be invoked."""


class FunctionMissing(FunctionError):
    """There is no function of that name."""


class FunctionBusy(FunctionError):
    """As many invocations as may are running; the text says of what."""


class FunctionsUnavailable(FunctionError):
    """Nothing runs functions on this home now, or it ended meanwhile; the text says which."""


class Invoked(NamedTuple):
    """What a function returned: JSON in ``payload``, or, where ``error`` is "Unhandled", what went wrong.

    ``log`` is the end of what it logged, 4 KiB at most; ``version`` is what ran.
    """

    payload: bytes
    error: str | None
    log: str
    request_id: str
    billed_ms: int
    version: str = LATEST


def invoke(
    home: Path,
    name: str,
    payload: bytes,
    *,
    timeout_s: float | None = None,
    qualifier: str | None = None,
    client_context: str | None = None,
) -> Invoked:
    """Run a function and return its answer.

    ``client_context`` is base64 of JSON. The trace of the request that is being served goes with it. Raises
    FunctionMissing, FunctionBusy, FunctionsUnavailable, ValueError for a payload that is too large, and TimeoutError
    after ``timeout_s``; the function goes on then.
    """
    request = _request(home, name, payload, qualifier, client_context)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                with address(home) as path:
                    sock.connect(path)
            except OSError:
                _wait_for_host(home, name, deadline)
                continue
            sock.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
            try:
                sock.sendall(request)
                return _result(name, frames.receive(sock))
            except (EOFError, ConnectionError):
                raise _interrupted(name) from None


async def invoke_async(
    home: Path,
    name: str,
    payload: bytes,
    *,
    timeout_s: float | None = None,
    qualifier: str | None = None,
    client_context: str | None = None,
) -> Invoked:
    """Do what ``invoke`` does, on an event loop."""
    request = _request(home, name, payload, qualifier, client_context)
    async with asyncio.timeout(timeout_s):
        started = time.monotonic()
        while True:
            try:
                with address(home) as path:
                    reader, writer = await asyncio.open_unix_connection(path)
                break
            except OSError:
                if time.monotonic() - started > _HOST_WAIT_S:
                    raise _no_host(home, name) from None
                await asyncio.sleep(_HOST_PAUSE_S)
        try:
            writer.write(request)
            return _result(name, await frames.read(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise _interrupted(name) from None
        finally:
            writer.close()


def enqueue(home: Path, name: str, payload: bytes, *, client_context: str | None = None) -> str:
    """Have a function invoked later, and again where it fails; return the request's id. On disk when it returns.

    Raises FunctionMissing, ValueError for a payload that is too large or no JSON.
    """
    target = _target(home, name, None)
    if len(payload) > LARGEST_EVENT:
        raise ValueError(
            f"Request must be smaller than {LARGEST_EVENT} bytes for the InvokeFunction operation"
        )
    try:
        json.loads(payload or b"{}")
    except ValueError as error:
        raise ValueError(f"Could not parse request body into json: {error}") from None
    with Queue(home) as queue:
        made = queue.put(target, payload or b"{}", time.time(), client_context)
    wake(home)
    return made


def find(home: Path, name: str) -> Function:
    """Return the function of a name. Raises FunctionMissing."""
    reference = parse_name(name)
    function = _registry(home).find(reference) if reference else None
    if function is None:
        raise FunctionMissing(f"Function not found: {name}")
    return function


def wake(home: Path) -> None:
    """Tell the host that there is something to do; it would notice by itself, later."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.setblocking(False)
            with address(home) as path:
                sock.connect(path)
            sock.send(frames.pack({"do": "wake"}))
        except OSError:
            pass  # there is no host now: it looks when it starts


@contextmanager
def address(home: Path) -> Iterator[str]:
    """Give the address of the host's socket, which is good meanwhile: a path that is too long goes by a descriptor."""
    path = home / "functions" / "host.sock"
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)


@functools.lru_cache(maxsize=64)
def _registry(home: Path) -> Registry:
    return Registry(home)


def _request(
    home: Path, name: str, payload: bytes, qualifier: str | None, client_context: str | None
) -> bytes:
    if len(payload) > LARGEST_PAYLOAD:
        raise ValueError(
            f"Request must be smaller than {LARGEST_PAYLOAD} bytes for the InvokeFunction operation"
        )
    head: dict[str, Any] = {"do": "invoke", "arn": _target(home, name, qualifier)}
    if (trace := current.get()) is not None:
        head["trace"] = trace.header
    if client_context:
        head["client_context"] = base64.b64decode(client_context).decode()
    return frames.pack(head, payload or b"{}")


def _target(home: Path, name: str, qualifier: str | None) -> str:
    """Return the ARN of what is to be invoked, with the version or alias that is asked for. Raises FunctionMissing."""
    function = find(home, name)
    reference = parse_name(name)
    asked = qualifier or (reference.qualifier if reference else "")
    if not asked:
        return function.arn
    if asked not in function.aliases and _registry(home).version(function, asked) is None:
        raise FunctionMissing(f"Function not found: {function.arn}:{asked}")
    return f"{function.arn}:{asked}"


def _result(name: str, frame: frames.Frame) -> Invoked:
    head, body = frame
    if head["is"] == "missing":
        raise FunctionMissing(f"Function not found: {name}")
    if head["is"] == "busy":
        raise FunctionBusy(head["reason"])
    return Invoked(body, head["error"], head["log"], head["request_id"], head["billed_ms"], head["version"])


def _wait_for_host(home: Path, name: str, deadline: float | None) -> None:
    """Wait until the host takes connections. Raises FunctionsUnavailable, TimeoutError."""
    patience = time.monotonic() + _HOST_WAIT_S
    while True:
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError
        if time.monotonic() > patience:
            raise _no_host(home, name)
        time.sleep(_HOST_PAUSE_S)
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                with address(home) as path:
                    sock.connect(path)
                return
            except OSError:
                continue


def _no_host(home: Path, name: str) -> FunctionsUnavailable:
    return FunctionsUnavailable(
        f"{name} cannot be invoked: nothing runs the functions of {home}. Is it being served?"
    )


def _interrupted(name: str) -> FunctionsUnavailable:
    return FunctionsUnavailable(
        f"{name} was interrupted: what runs functions ended. It may or may not have run."
    )

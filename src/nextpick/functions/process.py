"""One warm process of a function: started, invoked, watched, killed."""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nextpick.functions import environment, frames
from nextpick.functions.logs import Output
from nextpick.functions.registry import Function
from nextpick.functions.roles import Credentials
from nextpick.tracing.header import Trace

LARGEST_ANSWER = 6 * 1024**2 + 100  # of Lambda

_INIT_S = 10.0  # Lambda's limit of the first initialisation; the second has the function's own time
_ENDING_S = 1.0  # of a process that has closed its socket: it still has its exit status to give
_PIPE_BYTES = 1 << 16
_MB = 1024 * 1024
_PAGE = os.sysconf("SC_PAGE_SIZE")

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What an invocation came to: JSON in ``payload``, of an error where ``error`` is set; how long the handler took,
    and the loading of it, where it was loaded for this."""

    payload: bytes
    error: str | None
    log: str
    billed_ms: int
    ms: float = 0.0
    init_ms: float | None = None


def failure(kind: str, message: str) -> bytes:
    """Return an error of the platform in Lambda's shape."""
    return msgspec.json.encode({"errorType": kind, "errorMessage": message})


class Process:
    """A process of one revision of a function. One invocation at a time, while it ``is_alive``."""

    def __init__(self, function: Function, child: "_Child", output: Output, held: Credentials) -> None:
        self.function, self.output, self.held = function, output, held
        self.pid = child.popen.pid
        self.idle_since = time.monotonic()
        self._child, self._popen, self._printed = child, child.popen, child.printed
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._init_ms: float | None = None
        self._peak_mb = 0
        self._is_over = False
        self._is_ended = False
        self._unborn: bytes | None = None

    @classmethod
    async def start(
        cls, function: Function, code: Path, url: str, held: Credentials, output: Output, stream: str
    ) -> "Process":
        """Start a process and wait until its handler is loaded, or has failed to be: ``unborn`` says which.

        Raises OSError where it cannot be started.
        """
        started = time.perf_counter()
        spawning = asyncio.ensure_future(
            asyncio.to_thread(
                _spawn, function, code, environment.environment(function, code, url, held, stream)
            )
        )
        try:
            child = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            (await spawning).end()
            raise
        made = cls(function, child, output, held)
        try:
            await made._initialise(started)
        except BaseException:
            await made.close()
            raise
        return made

    async def _initialise(self, started: float) -> None:
        asyncio.get_running_loop().add_reader(self._printed, self._read_output)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._child.sock)
        limit_s = _INIT_S + self.function.timeout_s
        try:
            head, body = await asyncio.wait_for(frames.read(self._reader), limit_s)
        except (asyncio.IncompleteReadError, ConnectionError):
            self._unborn = failure(
                "Runtime.ExitError", f"Error: Runtime exited with error: {await self._status()}"
            )
        except TimeoutError:
            self.kill()
            self._unborn = failure("Sandbox.Timedout", f"Error: Task timed out after {limit_s:.2f} seconds")
        else:
            self._init_ms = (time.perf_counter() - started) * 1000
            if head["is"] == "failed":
                self._unborn = body

    @property
    def unborn(self) -> bytes | None:
        """Why the handler could not be loaded, as the answer of the invocation that waits for it."""
        return self._unborn

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and its handler is loaded."""
        return self._unborn is None and not self._is_ended and self._popen.poll() is None

    def takes(self, held: Credentials) -> bool:
        """Whether the process can go on with a key: SDKs read another one only in place of one that ends."""
        return held == self.held or bool(held.token and self.held.token)

    async def invoke(
        self,
        arn: str,
        request_id: str,
        payload: bytes,
        held: Credentials,
        client_context: str | None,
        trace: Trace,
    ) -> Outcome:
        """Run the handler; ``arn`` is what was invoked. The process is to be closed afterwards unless ``is_alive``."""
        function = self.function
        self.output.begin(f"START RequestId: {request_id} Version: {function.version}")
        if self._unborn is not None:
            self._read_output()
            return self._finish(request_id, self._unborn, "Unhandled", 0.0)
        now = time.time()
        head: dict[str, Any] = {
            "request_id": request_id,
            "arn": arn,
            "deadline_ms": int((now + function.timeout_s) * 1000),
            "client_context": client_context,
            "environ": {"_X_AMZN_TRACE_ID": trace.header},
        }
        if held != self.held:
            head["environ"] |= environment.credentials(held)
            self.held = held
        started = time.perf_counter()
        self._peak_mb = 0
        error: str | None = "Unhandled"
        try:
            self._writer.write(frames.pack(head, payload))
            answer, body = await asyncio.wait_for(frames.read(self._reader), function.timeout_s)
        except TimeoutError:
            self.kill()
            text = f"Task timed out after {function.timeout_s:.2f} seconds"
            body = failure("Sandbox.Timedout", f"RequestId: {request_id} Error: {text}")
            self.output.flush()
            self.output.say(f"{_now()} {request_id} {text}")
        except (asyncio.IncompleteReadError, ConnectionError):
            status = await self._status()
            text = (
                f"Runtime exited with error: {status}"
                if status
                else "Runtime exited without providing a reason"
            )
            body = failure("Runtime.ExitError", f"RequestId: {request_id} Error: {text}")
            self._read_output()
            self.output.flush()
            self.output.say(f"RequestId: {request_id} Error: {text}", "Runtime.ExitError")
        except BaseException:
            self.kill()
            raise
        else:
            error = None if answer["is"] == "result" else "Unhandled"
            if answer["is"] == "fatal":  # it ends by itself, and is not to be taken for alive meanwhile
                self._is_ended = True
            if len(body) > LARGEST_ANSWER:
                error = "Unhandled"
                limit = (
                    f"Response payload size exceeded maximum allowed payload size ({LARGEST_ANSWER} bytes)."
                )
                body = failure("Function.ResponseSizeTooLarge", limit)
            self._read_output()
        return self._finish(request_id, body, error, (time.perf_counter() - started) * 1000)

    def _finish(self, request_id: str, body: bytes, error: str | None, ms: float) -> Outcome:
        self.look_at_memory()
        billed = max(1, -int(-ms // 1)) if self._unborn is None else 0
        init_ms, self._init_ms = self._init_ms, None
        init = f"\tInit Duration: {init_ms:.2f} ms" if init_ms is not None else ""
        self.output.flush()
        self.output.say(
            f"END RequestId: {request_id}",
            f"REPORT RequestId: {request_id}\tDuration: {ms:.2f} ms\tBilled Duration: {billed} ms\t"
            f"Memory Size: {self.function.memory_mb} MB\tMax Memory Used: {self._peak_mb} MB{init}\t",
        )
        self.idle_since = time.monotonic()
        return Outcome(body, error, self.output.tail(), billed, ms, init_ms)

    def look_at_memory(self) -> None:
        """Note how much memory the process has, and kill it where that is more than its function may have.

        Where the system does not tell (no /proc), nothing happens.
        """
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                resident = int(file.read().split()[1]) * _PAGE // _MB
        except (OSError, IndexError):
            return
        self._peak_mb = max(self._peak_mb, resident)
        if resident > self.function.memory_mb and not self._is_over:
            self._is_over = True
            self.output.flush()
            self.output.say(
                f"Memory used: {resident} MB, more than the {self.function.memory_mb} MB it may; it is killed."
            )
            self.kill()

    def _read_output(self) -> None:
        """Take what was printed: what a process wrote before its answer is in the pipe when the answer is here."""
        if self._printed < 0:
            return
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while taken < 2 * _PIPE_BYTES:
                data = os.read(self._printed, _PIPE_BYTES)
                if not data:
                    self._close_output()
                    return
                self.output.feed(data)
                taken += len(data)

    def _close_output(self) -> None:
        if self._printed >= 0:
            asyncio.get_running_loop().remove_reader(self._printed)
            os.close(self._printed)
            self._printed = -1

    async def _status(self) -> str:
        """Return how the process ended, once it has; "" for a quiet end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._popen.wait, _ENDING_S)
        self.kill()
        code = await asyncio.to_thread(self._popen.wait)
        if code >= 0:
            return f"exit status {code}" if code else ""
        name = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGTERM: "terminated"}
        return f"signal: {name.get(signal.Signals(-code), signal.Signals(-code).name)}"

    def kill(self) -> None:
        """End the process and all it has started."""
        self._is_ended = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill the process, wait for it, and give back what it held."""
        self.kill()
        await asyncio.to_thread(self._popen.wait)
        self._read_output()
        self.output.flush()
        self._close_output()
        os.close(self._child.guard)
        self._writer.close()


class _Child(NamedTuple):
    """A process as it was started, and our ends: of its socket, of what it prints, of the pipe that it lives by."""

    popen: subprocess.Popen
    sock: socket.socket
    printed: int
    guard: int

    def end(self) -> None:
        """Kill it, for nobody will have it."""
        self.popen.kill()
        self.popen.wait()
        self.sock.close()
        os.close(self.printed)
        os.close(self.guard)


def _spawn(function: Function, code: Path, environ: dict[str, str]) -> _Child:
    ours, theirs = socket.socketpair()
    guarded, guard = os.pipe()
    printed, printing = os.pipe()
    fds = (theirs.fileno(), guarded)
    try:
        popen = subprocess.Popen(
            environment.command(function, *fds),
            cwd=code,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=printing,
            stderr=printing,
            pass_fds=fds,
            start_new_session=True,
        )
        _kill_with_us(guarded, popen.pid)
    except BaseException:
        ours.close()
        os.close(guard)
        os.close(printed)
        raise
    finally:
        theirs.close()
        os.close(printing)
        os.close(guarded)
    os.set_blocking(printed, False)
    return _Child(popen, ours, printed, guard)


def _kill_with_us(guarded: int, group: int) -> None:
    """Have the kernel kill a process group when this process ends, whatever that group is doing.

    Linux sends a signal of our choice to the owner of a pipe when its other end closes. Elsewhere the bootstraps, which
    watch the same pipe, end by themselves.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(guarded, fcntl.F_SETOWN, -group)
        fcntl.fcntl(guarded, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(guarded, fcntl.F_SETFL, fcntl.fcntl(guarded, fcntl.F_GETFL) | os.O_ASYNC)


def _now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"

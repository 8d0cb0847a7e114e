"""The function host: takes invocations on a socket in the home and runs them in warm processes."""

import asyncio
import contextlib
import logging
import os
import secrets
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nextpick.clock import Clock
from nextpick.functions import client, frames
from nextpick.functions.client import FunctionBusy
from nextpick.functions.logs import Log, Output, log_dir
from nextpick.functions.pool import Pool
from nextpick.functions.process import Outcome, Process, failure
from nextpick.functions.registry import Function, Registry, parse_name
from nextpick.functions.roles import Credentials, RoleRefused, Roles
from nextpick.functions.tracing import Open, Tracer
from nextpick.settings import Settings

_WATCH_S = 0.05  # between two looks at the memory of busy processes
_REST_S = 1.0
_SWEEP_S = 30.0

log = logging.getLogger(__name__)


class Host:
    """Runs the functions of one home, on one event loop."""

    def __init__(self, settings: Settings, clock: Clock, roles: Roles, url: Callable[[], str]) -> None:
        self.settings, self.clock, self.registry = settings, clock, Registry(settings.home)
        self.wake: Callable[[], None] = lambda: None
        self._roles, self._url = roles, url
        self._pools: dict[tuple[str, str], Pool] = {}  # by Function.key
        self._logs: dict[str, Log] = {}
        self._tracer = Tracer(settings.home, settings.trace_segments)
        self._at_work = asyncio.Event()
        self._starting = asyncio.Semaphore(max(2, os.cpu_count() or 1))

    async def listen(self) -> asyncio.Server:
        """Take invocations from now on."""
        with client.address(self.settings.home) as path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            server = await asyncio.start_unix_server(self._serve, path, backlog=512)
            os.chmod(path, 0o600)
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head, body = await frames.read(reader)
                if head["do"] == "wake":
                    self.wake()
                else:
                    writer.write(await self._answer(head, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked has gone
        except Exception:
            log.exception("an invocation failed")  # and the connection's end says so
        finally:
            writer.close()

    async def _answer(self, head: dict[str, Any], payload: bytes) -> bytes:
        function = self.find(head["arn"])
        if function is None:
            return frames.pack({"is": "missing"})
        request_id = str(uuid.uuid4())
        try:
            outcome = await self.invoke(
                function, head["arn"], request_id, payload, head.get("client_context"), head.get("trace")
            )
        except FunctionBusy as busy:
            return frames.pack({"is": "busy", "reason": str(busy)})
        told = {"is": "done", "error": outcome.error, "log": outcome.log, "billed_ms": outcome.billed_ms}
        return frames.pack({**told, "request_id": request_id, "version": function.version}, outcome.payload)

    def find(self, arn: str) -> Function | None:
        """Return what an invocation of an ARN runs now (``Registry.resolve``)."""
        reference = parse_name(arn)
        if reference is None:
            return None
        function = self.registry.get(reference.account, reference.region, reference.name)
        return self.registry.resolve(function, reference.qualifier) if function else None

    def has_room(self, function: Function) -> bool:
        """Whether an invocation of a function that began now would not be refused."""
        return self._load() < self.settings.function_concurrency and self._is_within_its_limit(function)

    def _load(self) -> int:
        return sum(pool.load for pool in self._pools.values())

    def _is_within_its_limit(self, function: Function) -> bool:
        """Whether one more invocation is within the limit that all versions of a function have together."""
        if function.concurrency is None:
            return True
        load = sum(pool.load for (arn, _), pool in self._pools.items() if arn == function.arn)
        return load < function.concurrency

    async def invoke(
        self,
        function: Function,
        arn: str,
        request_id: str,
        payload: bytes,
        client_context: str | None = None,
        trace: str | None = None,
    ) -> Outcome:
        """Run a function once; ``arn`` is what was invoked, an alias perhaps, ``trace`` the header of the request that
        this is a part of. Raises FunctionBusy."""
        opened = self._tracer.begin(function, trace, self.clock.now())
        outcome = None
        try:
            outcome = await self._run(function, arn, request_id, payload, client_context, opened)
            return outcome
        finally:
            self._tracer.end(opened, function, outcome)

    async def _run(
        self,
        function: Function,
        arn: str,
        request_id: str,
        payload: bytes,
        client_context: str | None,
        opened: Open,
    ) -> Outcome:
        limit = self.settings.function_concurrency
        if self._load() >= limit:
            raise FunctionBusy(f"Rate Exceeded. {limit} invocations may run at once on this machine.")
        pool = self._pools.get(function.key)
        if pool is None:
            pool = self._pools[function.key] = Pool(function, self._start)
        try:
            held = await self._credentials(function)
            if not self._is_within_its_limit(function):
                text = f"{function.name} may run {function.concurrency} invocations at once."
                raise FunctionBusy(f"Rate Exceeded. {text}")
            process = await pool.take(function, held)
        except RoleRefused as refused:
            return Outcome(failure("AccessDeniedException", str(refused)), "Unhandled", "", 0)
        except OSError as error:
            text = f"RequestId: {request_id} Error: the process could not be started: {error}"
            return Outcome(failure("Runtime.ExitError", text), "Unhandled", "", 0)
        self._at_work.set()
        opened.taken = time.perf_counter()
        try:
            return await process.invoke(arn, request_id, payload, held, client_context, opened.trace)
        finally:
            pool.give_back(process)

    async def _credentials(self, function: Function) -> Credentials:
        return self._roles.current(function) or await asyncio.to_thread(self._roles.find, function)

    async def _start(self, function: Function) -> Process:
        async with self._starting:
            stream = secrets.token_hex(16)
            today = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y/%m/%d")
            output = Output(self._log(function), stream[:8])
            held = await self._credentials(function)
            url = await asyncio.to_thread(self._url)
            code = self.registry.code_dir(function)
            return await Process.start(
                function, code, url, held, output, f"{today}/[{function.version}]{stream}"
            )

    def _log(self, function: Function) -> Log:
        found = self._logs.get(function.arn)
        if found is None:
            directory = log_dir(self.settings.home, function)
            found = self._logs[function.arn] = Log(directory, self.settings.function_log_bytes)
        return found

    async def look_after(self) -> None:
        """Watch memory while something runs, let idle processes go, remove code that nothing names; for ever."""
        loop = asyncio.get_running_loop()
        rested = swept = loop.time() - _SWEEP_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REST_S):
                    await self._at_work.wait()
            busy = [process for pool in self._pools.values() for process in pool.busy]
            if busy:
                await asyncio.sleep(_WATCH_S)
            else:
                self._at_work.clear()
            for process in busy:
                process.look_at_memory()
            now = loop.time()
            if now - rested >= _REST_S:
                rested = now
                await self._rest()
            if now - swept >= _SWEEP_S:
                swept = now
                running = {code for pool in self._pools.values() for code in pool.code}
                await asyncio.to_thread(self.registry.sweep, running)

    async def _rest(self) -> None:
        for key, pool in list(self._pools.items()):
            function = self.find(":".join(key))
            if function is not None:
                pool.adopt(function)
                pool.rest(self.settings.function_idle_s)
            elif not pool.load:
                del self._pools[key]
                await pool.close()
        for arn in self._logs.keys() - {arn for arn, _ in self._pools}:
            self._logs.pop(arn).close()

    async def close(self) -> None:
        """Kill every process."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        for written in self._logs.values():
            written.close()
        self._tracer.close()
        with contextlib.suppress(OSError), client.address(self.settings.home) as path:
            os.unlink(path)

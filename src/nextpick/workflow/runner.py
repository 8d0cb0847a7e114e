"""Runs executions: all that are RUNNING on the disk, on one event loop in a thread of its own."""

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

from nextpick.clock import Clock
from nextpick.workflow import executions
from nextpick.workflow.asl.failure import RUNTIME, TIMEOUT, StateFailed
from nextpick.workflow.asl.interpreter import Surroundings, interpret
from nextpick.workflow.database import Database
from nextpick.workflow.executions import Ended, Execution
from nextpick.workflow.journal import Journal
from nextpick.workflow.tasks.integration import Integration
from nextpick.workflow.timing import Timers, time_text

_POLL_S = 0.1

log = logging.getLogger(__name__)


class Runner:
    """Takes up every execution that is written, until it is stopped; a stopped one goes on at the next start."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        find_task: Callable[[str, str], Integration],
        poll_s: float = _POLL_S,
    ) -> None:
        """``find_task`` takes a Resource and the region of the execution."""
        self._database, self._clock, self._find_task, self._poll_s = database, clock, find_task, poll_s
        self._loop = asyncio.new_event_loop()
        self._timers = Timers(clock)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stuck: set[str] = set()
        self._thread = threading.Thread(target=self._live, name="nextpick-executions", daemon=True)
        self._ending: asyncio.Event | None = None
        self._started = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Leave all executions where they are."""
        if self._ending is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join()

    def look(self) -> None:
        """Look at the clock now, which was moved by hand."""
        self._loop.call_soon_threadsafe(self._timers.look)

    @property
    def next_at(self) -> float:
        """The earliest moment an execution waits for; infinity when none does."""

        async def ask() -> float:
            return self._timers.next_at

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result()

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        self._ending = asyncio.Event()
        self._started.set()
        timers = asyncio.ensure_future(self._timers.run())
        known = b""
        while not self._ending.is_set():
            version = self._database.version()
            if version != known:
                known = version
                self._reconcile()
            try:
                await asyncio.wait_for(self._ending.wait(), self._poll_s)
            except TimeoutError:
                continue
        tasks = [timers, *self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reconcile(self) -> None:
        """Take up what is new, and let go what was stopped."""
        with self._database.read() as db:
            found = {one.arn: one for one in executions.running(db)}
        for arn, task in list(self._running.items()):
            if task.done():
                del self._running[arn]
            elif arn not in found:
                task.cancel()
        for arn, execution in found.items():
            if arn not in self._running and arn not in self._stuck:
                self._running[arn] = asyncio.ensure_future(self._run(execution))

    async def _run(self, execution: Execution) -> None:
        try:
            await self._go(execution)
        except Ended:
            log.info("execution %s was stopped", execution.arn)
        except Exception:
            log.exception("execution %s cannot go on; it is tried again at the next start", execution.arn)
            self._stuck.add(execution.arn)

    async def _go(self, execution: Execution) -> None:
        definition = json.loads(execution.definition)
        journal = Journal(self._database, execution.arn, self._clock)
        region = execution.arn.split(":")[3]
        run = Surroundings(
            journal,
            self._timers.until,
            lambda resource: self._find_task(resource, region),
            _context(execution),
            execution.role,
        )
        work = asyncio.ensure_future(interpret(run, definition, json.loads(execution.input)))
        late = None
        if "TimeoutSeconds" in definition:
            late = asyncio.ensure_future(
                self._timers.until(execution.started_at + definition["TimeoutSeconds"])
            )
        try:
            await asyncio.wait({work, late} if late else {work}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                journal.fail(
                    1, StateFailed(TIMEOUT, "The execution did not end in TimeoutSeconds."), "TIMED_OUT"
                )
                return
            output, last = work.result()
            journal.succeed(last, output)
        except StateFailed as failure:
            journal.fail(failure.last, failure)
        except (Ended, asyncio.CancelledError, OSError, sqlite3.Error):
            raise
        except Exception as error:
            log.exception("execution %s failed", execution.arn)
            journal.fail(1, StateFailed(RUNTIME, f"{type(error).__name__}: {error}"))
        finally:
            begun: list[asyncio.Future[Any]] = [work, late] if late else [work]
            for one in begun:
                one.cancel()
            await asyncio.gather(*begun, return_exceptions=True)


def _context(execution: Execution) -> dict[str, Any]:
    """Return the context object, ``$$``, as far as it is the same all the time."""
    started = {
        "Id": execution.arn,
        "Name": execution.name,
        "RoleArn": execution.role,
        "StartTime": time_text(execution.started_at),
        "Input": json.loads(execution.input),
    }
    machine = {"Id": execution.machine, "Name": execution.machine.rpartition(":")[2]}
    return {"Execution": started, "StateMachine": machine}

"""The warm processes of one version of a function: which one an invocation gets, and how many there are."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from nextpick.functions.process import Process
from nextpick.functions.registry import Function
from nextpick.functions.roles import Credentials

Start = Callable[[Function], Awaitable[Process]]


class Pool:
    """Gives invocations a process that is free, or the first that becomes free or is started for them."""

    def __init__(self, function: Function, start: Start) -> None:
        self.function = function
        self.busy: set[Process] = set()
        self._start = start
        self._idle: list[Process] = []
        self._waiting: deque[asyncio.Future[Process]] = deque()
        self._starting = 0
        self._starts: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def load(self) -> int:
        """How many invocations run or wait."""
        return len(self.busy) + len(self._waiting)

    @property
    def code(self) -> set[str]:
        """The deployments that processes run."""
        return {process.function.code for process in (*self.busy, *self._idle)} | {self.function.code}

    async def take(self, function: Function, held: Credentials) -> Process:
        """Return a process of a function's newest revision that works with a key, to be given back.

        Raises OSError.
        """
        self.adopt(function)
        while self._idle:
            process = self._idle.pop()
            if process.is_alive and process.takes(held):
                self.busy.add(process)
                return process
            self._close(process)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._start_more()
        return await waiting

    def give_back(self, process: Process) -> None:
        """Take a process back after an invocation."""
        self.busy.discard(process)
        self._deliver(process)

    def adopt(self, function: Function) -> None:
        """Go on with another revision: processes of the old one finish what they do."""
        if function.revision == self.function.revision:
            return
        self.function = function
        for process in self._idle:
            self._close(process)
        self._idle.clear()

    def rest(self, idle_s: float) -> None:
        """Close processes that have had nothing to do for ``idle_s``, and forget those that have ended."""
        now = time.monotonic()
        kept = []
        for process in self._idle:
            if process.is_alive and now - process.idle_since < idle_s:
                kept.append(process)
            else:
                self._close(process)
        self._idle = kept

    async def close(self) -> None:
        """Kill all processes."""
        for process in (*self._idle, *self.busy):
            self._close(process)
        self._idle.clear()
        for waiting in self._waiting:
            waiting.cancel()
        for task in self._starts:
            task.cancel()
        while self._starts or self._ends:
            await asyncio.gather(*self._starts, *self._ends, return_exceptions=True)

    def _start_more(self) -> None:
        while self._starting < len(self._waiting):
            self._starting += 1
            _run(self._starts, self._start_one(self.function))

    async def _start_one(self, function: Function) -> None:
        try:
            process = await self._start(function)
        except Exception as error:
            self._starting -= 1
            waiting = self._next_waiting()
            if waiting is not None:
                waiting.set_exception(error)
        else:
            self._starting -= 1
            self._deliver(process)

    def _deliver(self, process: Process) -> None:
        """Give a process to whoever waits longest; what could not be loaded is for them to hear of."""
        fresh = process.function.revision == self.function.revision
        usable = fresh and (process.is_alive or process.unborn is not None)
        waiting = self._next_waiting() if usable else None
        if waiting is not None:
            self.busy.add(process)
            waiting.set_result(process)
        elif fresh and process.is_alive:
            self._idle.append(process)
        else:
            self._close(process)
        self._start_more()

    def _next_waiting(self) -> "asyncio.Future[Process] | None":
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                return waiting
        return None

    def _close(self, process: Process) -> None:
        _run(self._ends, process.close())


def _run(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)

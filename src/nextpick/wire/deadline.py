"""A time limit for many short waits, kept by one timer."""

import asyncio
from collections.abc import Awaitable
from typing import Any


class Deadline:
    """Limits each of the waits of one event loop to the same number of seconds.

    ``asyncio.timeout`` sets and cancels a timer for each wait, which is a tenth of the cost of a request;
    here one timer looks at all waits that are under way.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, awaitable: Awaitable[Any]) -> Any:
        """Return what ``awaitable`` returns. Raises TimeoutError when that takes too long."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._since[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look, loop)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            del self._since[task]
            self._late.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        left = []
        for task, since in self._since.items():
            if task in self._late:
                continue
            if now - since >= self._seconds:
                self._late.add(task)
                task.cancel()
            else:
                left.append(since)
        self._timer = loop.call_later(min(left) + self._seconds - now, self._look, loop) if left else None

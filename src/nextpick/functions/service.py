"""Functions as a service that goes on by itself: the host's event loop, in a thread."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import uvloop

from nextpick.access.audit import Audit
from nextpick.access.guard import Guard
from nextpick.functions.asynchronous import Asynchronous
from nextpick.functions.host import Host
from nextpick.functions.roles import Roles

if TYPE_CHECKING:
    from nextpick.automation import Context

_PAUSE_S = 1.0

log = logging.getLogger(__name__)


def start(context: "Context") -> "FunctionService":
    """Start the function host of a home, and return when it takes invocations.

    Where functions are off (``NEXTPICK_FUNCTIONS``) it takes none.
    """
    return FunctionService(context)


class FunctionService:
    """The host and its queue of asynchronous invocations."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._stopping: asyncio.Event
        self._thread: threading.Thread | None = None
        if context.settings.functions == "never":
            log.warning("functions are off on this server: none is run")
            return
        self._thread = threading.Thread(target=self._run_loop, name="functions", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            self._thread.join()
            raise self._failed

    def _run_loop(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        context = self._context
        audit = Audit(context.settings.home / "audit", "functions")
        guard = Guard(context.records, audit, context.clock, strict=context.settings.strict_access)
        roles = Roles(context.settings.home, context.records, guard, context.clock)
        try:
            host = Host(context.settings, context.clock, roles, context.url)
            events = Asynchronous(host, context.client)
            server = await host.listen()
        except BaseException as error:
            self._failed = error
            return
        finally:
            self._ready.set()
        tasks = [asyncio.create_task(_keep_up(work)) for work in (host.look_after, events.run)]
        try:
            await self._stopping.wait()
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await events.close()
            await host.close()
            audit.close()

    def stop(self) -> None:
        """Kill every process of a function; asynchronous invocations that ran are run again at the next start."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()


async def _keep_up(work: Callable[[], Awaitable[None]]) -> None:
    """Do what has no end, again where it fails: a full disk, a locked database."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("the function host failed and goes on")
            await asyncio.sleep(_PAUSE_S)

"""Time: how it is written, and waiting for a time of the clock that was passed in."""

import asyncio
import heapq
import itertools
import math
from datetime import UTC, datetime

from nextpick.clock import Clock

_LONGEST_NAP_S = 1.0  # a clock that was set, or a machine that slept, is noticed within this


def time_text(at: float) -> str:
    """Return seconds since 1970 as AWS writes a time: ``2024-03-14T01:59:00.000Z``."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Timers:
    """Wakes what waits on one event loop, by a clock that need not be the loop's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._looked = asyncio.Event()

    async def until(self, moment: float) -> None:
        """Return when the clock has reached ``moment`` (seconds since 1970)."""
        if moment <= self._clock.now():
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (moment, next(self._order), future))
        self._looked.set()
        await future

    def look(self) -> None:
        """Look at the clock now; to be called on the loop when a clock was moved by hand."""
        self._looked.set()

    @property
    def next_at(self) -> float:
        """The earliest moment anything waits for; infinity when nothing does."""
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else math.inf

    async def run(self) -> None:
        """Wake what is due, until cancelled."""
        while True:
            self._looked.clear()
            now = self._clock.now()
            while self.next_at <= now:
                future = heapq.heappop(self._waiting)[2]
                future.set_result(None)
            nap = min(self.next_at - now, _LONGEST_NAP_S) if self._waiting else None
            try:
                async with asyncio.timeout(nap):  # wait_for may lose a cancellation (CPython issue 86296)
                    await self._looked.wait()
            except TimeoutError:
                continue

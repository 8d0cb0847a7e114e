"""Timers end when they are told to, whatever else happens at that moment."""

import asyncio

import pytest

from nextpick.clock import SystemClock
from nextpick.workflow.timing import Timers


@pytest.mark.parametrize("turns", range(6))
def test_timers_that_are_cancelled_as_they_are_woken_end(turns: int) -> None:
    async def ends() -> bool:
        clock = SystemClock()
        timers = Timers(clock)
        waiting = asyncio.ensure_future(timers.until(clock.now() + 1000))
        running = asyncio.ensure_future(timers.run())
        for _ in range(5):
            await asyncio.sleep(0)
        timers.look()
        for _ in range(turns):  # of the loop between waking and cancelling
            await asyncio.sleep(0)
        waiting.cancel()
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=5)
        running.cancel()
        return running in done

    assert asyncio.run(ends())

import asyncio

import pytest

from nextpick.wire.deadline import Deadline


async def after(event, answer):
    await event.wait()
    return answer


def test_a_wait_within_the_limit_returns_and_a_longer_one_is_ended():
    async def main():
        deadline = Deadline(0.05)
        set_, never = asyncio.Event(), asyncio.Event()
        set_.set()
        for _ in range(3):
            assert await deadline.wait(after(set_, 7)) == 7
            with pytest.raises(TimeoutError):
                await deadline.wait(after(never, 7))
        late = [asyncio.create_task(deadline.wait(after(never, 7))) for _ in range(5)]
        results = await asyncio.gather(*late, return_exceptions=True)
        assert [type(result) for result in results] == [TimeoutError] * 5

    asyncio.run(main())


def test_each_wait_has_the_whole_limit():
    async def main():
        deadline = Deadline(0.2)
        loop = asyncio.get_running_loop()
        never = asyncio.Event()
        first = asyncio.create_task(deadline.wait(after(never, 1)))
        await asyncio.sleep(0.1)
        started = loop.time()
        with pytest.raises(TimeoutError):
            await deadline.wait(after(never, 2))
        assert loop.time() - started >= 0.2
        assert isinstance(first.exception(), TimeoutError)

    asyncio.run(main())


def test_a_task_that_another_cancels_is_cancelled():
    async def main():
        deadline = Deadline(30)
        task = asyncio.create_task(deadline.wait(after(asyncio.Event(), 1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_an_error_passes():
    async def fail():
        raise KeyError("x")

    async def main():
        with pytest.raises(KeyError):
            await Deadline(30).wait(fail())

    asyncio.run(main())

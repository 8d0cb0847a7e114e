"""Appends to streams for an event loop: one thread, one flush for all calls that wait for the same stream."""

import asyncio
import queue
import threading
from collections.abc import Sequence
from typing import NamedTuple

from nextpick.clock import Clock
from nextpick.store.stream import New, Stream, StreamMissing
from nextpick.stream.registry import Streams

_MOST_AT_ONCE = 512  # calls in one commit

Place = tuple[Stream, int, int]
"""Where a record went: stream, shard, number."""


class _Call(NamedTuple):
    name: tuple[str, str, str]
    records: Sequence[New]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future


class StreamWriter:
    """Appends records of one process. Its thread starts with the first."""

    def __init__(self, streams: Streams, clock: Clock) -> None:
        self._streams, self._clock = streams, clock
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    async def put(self, account: str, region: str, name: str, records: Sequence[New]) -> list[Place]:
        """Return where each record went, when all are on disk.

        Raises StreamMissing, StreamFull, sqlite3.Error or OSError when they cannot be written.
        """
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="streams", daemon=True)
                self._thread.start()
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._queue.put(_Call((account, region, name), records, loop, done))
        return await done

    def close(self) -> None:
        """Write what is queued."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get())
            by_name: dict[tuple[str, str, str], list[_Call]] = {}
            for call in batch:
                if call is not None:
                    by_name.setdefault(call.name, []).append(call)
            for name, calls in by_name.items():
                self._commit(name, calls)
            if None in batch:
                return

    def _commit(self, name: tuple[str, str, str], calls: list[_Call]) -> None:
        try:
            stream, places = self._append(name, [record for call in calls for record in call.records])
        except Exception as error:  # whatever it is, this thread must go on
            if len(calls) > 1:  # so that a call that cannot be written is refused alone
                for call in calls:
                    self._commit(name, [call])
            else:
                _resolve(calls[0], error)
            return
        given = iter(places)
        for call in calls:
            _resolve(call, [(stream, *next(given)) for _ in call.records])

    def _append(
        self, name: tuple[str, str, str], records: Sequence[New]
    ) -> tuple[Stream, list[tuple[int, int]]]:
        stream = self._streams.get(*name)
        try:
            return stream, stream.append(records, self._clock.now())
        except StreamMissing:  # deleted, and perhaps made anew
            stream = self._streams.get(*name)
            return stream, stream.append(records, self._clock.now())


def _resolve(call: _Call, outcome: Exception | list[Place]) -> None:
    if not call.loop.is_closed():
        call.loop.call_soon_threadsafe(_set, call.done, outcome)


def _set(done: asyncio.Future, outcome: Exception | list[Place]) -> None:
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)

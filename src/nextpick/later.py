"""Writing that nobody waits for, by a thread: what comes within a moment is written at once."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_EVERY_S = 0.2

T = TypeVar("T")


class Later(Generic[T]):
    """Hands what is put to ``write``, a fifth of a second's worth at a time.

    Its thread, ``name``, starts with the first. ``write`` deals with its own errors.
    """

    def __init__(self, name: str, write: Callable[[list[T]], None]) -> None:
        self._name, self._write = name, write
        self._queue: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, one: T) -> None:
        """Have one written, soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._queue.put(one)

    def close(self) -> None:
        """Write what is queued."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        ending = False
        while not ending:
            batch = [self._queue.get()]
            if batch[0] is not None:
                time.sleep(_EVERY_S)
            while not self._queue.empty():
                batch.append(self._queue.get())
            ending = None in batch
            self._write([one for one in batch if one is not None])

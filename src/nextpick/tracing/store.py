"""The segments of traces: ``HOME/traces/traces.db``, written by a thread of each process, the oldest going first.

What a killed process had not written is lost; nothing waits for a segment to be on the disk.
"""

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segment (
    number INTEGER PRIMARY KEY, trace TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, origin TEXT NOT NULL,
    name TEXT NOT NULL, told TEXT NOT NULL, started REAL NOT NULL, ended REAL NOT NULL, status INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS segment_by_trace ON segment (trace);
"""
_EVERY_S = 0.2

log = logging.getLogger(__name__)


class Segment(NamedTuple):
    """A piece of a trace. ``origin`` says what sort of thing worked ("" for a part of its parent), ``name`` which,
    ``told`` on what; times in epoch seconds; ``status`` is HTTP's, 200 for what has none and went well."""

    trace: str
    id: str
    parent: str
    origin: str
    name: str
    told: str
    started: float
    ended: float
    status: int = 200

    @property
    def fault(self) -> str:
        """What went wrong, in X-Ray's words: fault, error, throttle, or ""."""
        if self.status >= 500:
            return "fault"
        return "throttle" if self.status == 429 else "error" if self.status >= 400 else ""


class Recorder:
    """Keeps segments for one process, at most ``most`` of all processes' together. Its thread starts with the first."""

    def __init__(self, home: Path, most: int) -> None:
        self._path, self._most = path_of(home), most
        self._queue: queue.SimpleQueue[Segment | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def keep(self, segment: Segment) -> None:
        """Keep a segment, soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="traces", daemon=True)
            self._thread.start()
        self._queue.put(segment)

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
                time.sleep(_EVERY_S)  # those that come meanwhile go into the same transaction
            while not self._queue.empty():
                batch.append(self._queue.get())
            ending = None in batch
            try:
                self._write([segment for segment in batch if segment is not None])
            except sqlite3.Error as error:
                log.warning("%d segments of traces could not be written: %s", len(batch), error)

    def _write(self, segments: list[Segment]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=OFF")
            db.executescript(_SCHEMA)
            db.execute("BEGIN IMMEDIATE")
            names = ", ".join(Segment._fields)
            marks = ", ".join("?" * len(Segment._fields))
            db.executemany(f"INSERT INTO segment ({names}) VALUES ({marks})", segments)
            db.execute(
                "DELETE FROM segment WHERE number <= (SELECT max(number) FROM segment) - ?", (self._most,)
            )
            db.execute("COMMIT")
        finally:
            db.close()


def path_of(home: Path) -> Path:
    """Return where the segments of a home are."""
    return home / "traces" / "traces.db"


def read(home: Path, since: float = 0.0, trace: str | None = None) -> list[Segment]:
    """Return the segments of one trace, or all that ended at ``since`` or later, in the order in which they began."""
    path = path_of(home)
    if not path.exists():
        return []
    db = sqlite3.connect(path, timeout=10)
    try:
        where, value = ("trace = ?", trace) if trace else ("ended >= ?", since)
        names = ", ".join(Segment._fields)
        rows: Iterable[tuple] = db.execute(
            f"SELECT {names} FROM segment WHERE {where} ORDER BY started", (value,)
        )
        return [Segment(*row) for row in rows]
    finally:
        db.close()

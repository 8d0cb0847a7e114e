"""The segments of traces: ``HOME/traces/traces.db``, written by a thread of each process, the oldest going first.

What a killed process had not written is lost; nothing waits for a segment to be on the disk.
"""

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from nextpick.later import Later
from nextpick.wal import write_ahead

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segment (
    number INTEGER PRIMARY KEY, trace TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, origin TEXT NOT NULL,
    name TEXT NOT NULL, told TEXT NOT NULL, started REAL NOT NULL, ended REAL NOT NULL, status INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS segment_by_trace ON segment (trace);
"""

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
    """Keeps segments for one process, at most ``most`` of all processes' together."""

    def __init__(self, home: Path, most: int) -> None:
        self._path, self._most = path_of(home), most
        self._later = Later("traces", self._write)

    def keep(self, segment: Segment) -> None:
        """Keep a segment, soon."""
        self._later.put(segment)

    def close(self) -> None:
        """Write what is queued."""
        self._later.close()

    def _write(self, segments: list[Segment]) -> None:
        try:
            with closing(self._open()) as db:
                db.execute("BEGIN IMMEDIATE")
                names = ", ".join(Segment._fields)
                marks = ", ".join("?" * len(Segment._fields))
                db.executemany(f"INSERT INTO segment ({names}) VALUES ({marks})", segments)
                db.execute(
                    "DELETE FROM segment WHERE number <= (SELECT max(number) FROM segment) - ?", (self._most,)
                )
                db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            log.warning("%d segments of traces could not be written: %s", len(segments), error)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        write_ahead(db, "OFF")
        db.executescript(_SCHEMA)
        return db


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

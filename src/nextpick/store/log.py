"""The event log: one SQLite file per writer, durable before the caller is answered.

Each HTTP worker is the only writer of its own file (WAL, synchronous=FULL) and commits in a thread of its own:
a commit takes everything that was queued while the last one ran. After a commit the writer changes the stamp
beside its file, and after its opening the one of the directory, so that a reader learns at once of any news.
"""

import asyncio
import json
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from nextpick.durable import make_dirs, sync
from nextpick.errors import ServiceUnavailable
from nextpick.store.stamp import Stamp
from nextpick.store.whole import make_whole
from nextpick.wal import write_ahead

_SCHEMA = """CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, dataset_group TEXT NOT NULL, user TEXT, session TEXT NOT NULL, item TEXT,
    event_type TEXT NOT NULL, event_value REAL, time INTEGER NOT NULL, event_id TEXT NOT NULL, properties TEXT,
    recommendation_id TEXT, impression TEXT, source TEXT)"""
_COLUMNS = (
    "dataset_group, user, session, item, event_type, event_value, time, event_id, properties, "
    "recommendation_id, impression, source"
)
_INSERT = f"INSERT INTO event ({_COLUMNS}) VALUES ({', '.join('?' * 12)})"
_DIRECTORY_STAMP = "writers.stamp"
REMOVED_STAMP = "removed.stamp"
_MOST_AT_ONCE = 512  # calls in one commit


class EventRow(NamedTuple):
    """One event as it was sent. ``time`` in seconds since 1970; ``group`` is the dataset group's ARN.

    An interaction with an action is an event of its dataset: ``group`` is that dataset's ARN, ``item`` the action. A
    record that was put is one without a type: ``group`` is the dataset's ARN, ``item`` the record's id, ``properties``
    the record (data/records.py), ``time`` in milliseconds.
    """

    group: str
    user: str | None
    session: str
    item: str | None
    event_type: str
    event_value: float | None
    time: int
    event_id: str
    properties: str | None = None
    recommendation_id: str | None = None
    impression: tuple[str, ...] | None = None
    source: str | None = None


def record_row(dataset: str, id: str, record: str, now: float, event_id: str) -> EventRow:
    """Return a record that was put, as the log keeps it."""
    return EventRow(dataset, None, "", id, "", None, int(now * 1000), event_id, record)


class _Call(NamedTuple):
    rows: list[EventRow]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future


class LogWriter:
    """The only writer of ``directory/name.db``."""

    def __init__(self, directory: Path, name: str) -> None:
        make_dirs(directory)
        self._path = directory / f"{name}.db"
        make_whole(self._path, _open_for_writing)
        self._connection = _open_for_writing(self._path)
        sync(directory)  # the file's name; SQLite flushes only its content
        self._stamp = Stamp(directory / f"{name}.stamp")
        self._stamp.change()
        change_directory(directory)
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"log {name}", daemon=True)
        self._thread.start()

    async def append(self, rows: list[EventRow]) -> None:
        """Return when the rows are on disk; raises ServiceUnavailable when they cannot be written."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._queue.put(_Call(rows, loop, done))
        await done

    def close(self) -> None:
        """Write what is queued, then close."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()
        self._stamp.close()

    def _work(self) -> None:
        while True:
            batch = [self._queue.get()]
            while len(batch) < _MOST_AT_ONCE and not self._queue.empty():
                batch.append(self._queue.get())
            calls = [call for call in batch if call is not None]
            if calls:
                error = self._commit(calls)
                if error is None or len(calls) == 1:
                    _resolve(calls, error)
                else:  # so that a call that cannot be written is refused alone
                    for call in calls:
                        _resolve([call], self._commit([call]))
            if len(calls) < len(batch):
                return

    def _commit(self, calls: list[_Call]) -> Exception | None:
        """Write all calls in one transaction, or none; return why not."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, [_record(row) for call in calls for row in call.rows])
            self._connection.execute("COMMIT")
        except Exception as error:  # whatever it is, this thread must go on
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return ServiceUnavailable(f"The event could not be written to disk: {error}.")
        self._stamp.change()
        return None


class LogReader:
    """Reads what is new in every writer's file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory_stamp = Stamp(directory / _DIRECTORY_STAMP)
        self._stamps: dict[str, Stamp] = {}
        self._seen: dict[str, bytes] = {}
        self._connections: dict[str, sqlite3.Connection] = {}
        self._listed = b""
        self._removed_stamp = Stamp(directory / REMOVED_STAMP)
        self._removed = self._removed_stamp.value()

    def removed(self) -> bool:
        """Tell whether rows that ``poll`` has returned were removed since this was last asked."""
        value = self._removed_stamp.value()
        changed, self._removed = value != self._removed, value
        return changed

    def changed(self) -> bool:
        """Tell whether any file may have rows that ``poll`` has not returned (a microsecond)."""
        if self._directory_stamp.value() != self._listed:
            return True
        for name, stamp in self._stamps.items():  # noqa: SIM110  any() costs as much as all the rest
            if stamp.value() != self._seen[name]:
                return True
        return False

    def poll(self, since: dict[str, int]) -> list[tuple[str, int, EventRow]]:
        """Return (file, seq, row) of all rows after ``since`` (seq by file), each file's in order."""
        listed = self._directory_stamp.value()
        if listed != self._listed:
            for path in sorted(self._directory.glob("*.db")):
                if path.stem not in self._stamps:
                    self._stamps[path.stem] = Stamp(path.with_suffix(".stamp"))
                    self._seen[path.stem] = b""
            self._listed = listed
        found = []
        for name, stamp in self._stamps.items():
            value = stamp.value()
            if value == self._seen[name]:
                continue
            connection = self._connections.get(name)
            if connection is None:
                connection = self._connections[name] = _open_for_reading(self._directory / f"{name}.db")
            query = f"SELECT seq, {_COLUMNS} FROM event WHERE seq > ? ORDER BY seq"
            found += [
                (name, record[0], _row(record[1:]))
                for record in connection.execute(query, (since.get(name, 0),))
            ]
            self._seen[name] = value
        return found

    def rewind(self) -> None:
        """Let the next ``poll`` look into every file again."""
        self._seen = dict.fromkeys(self._seen, b"")

    def close(self) -> None:
        """Close files and pages."""
        for connection in self._connections.values():
            connection.close()
        for stamp in (self._directory_stamp, self._removed_stamp, *self._stamps.values()):
            stamp.close()


def positions(directory: Path) -> dict[str, int]:
    """Return the newest seq of each file: what a snapshot made now has folded in."""
    found = {}
    for name, connection in _logs(directory):
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
        found[name] = last[0] if last else 0  # what was removed since counts as well
    return found


def read_group(directory: Path, group: str, upto: dict[str, int]) -> Iterator[EventRow]:
    """Yield the events of a dataset group up to a position, file by file in the order they were written."""
    for name, last in sorted(upto.items()):
        with closing(_open_for_reading(directory / f"{name}.db")) as connection:
            query = f"SELECT {_COLUMNS} FROM event WHERE dataset_group = ? AND seq <= ? ORDER BY seq"
            for record in connection.execute(query, (group, last)):
                yield _row(record)


def read_between(
    directory: Path, group: str, after: dict[str, int], upto: dict[str, int]
) -> Iterator[EventRow]:
    """Yield the events of a dataset group behind one position up to another, as ``read_group`` does."""
    for name, last in sorted(upto.items()):
        first = after.get(name, 0)
        if first >= last:
            continue
        with closing(_open_for_reading(directory / f"{name}.db")) as connection:
            query = (
                f"SELECT {_COLUMNS} FROM event WHERE seq > ? AND seq <= ? AND dataset_group = ? ORDER BY seq"
            )
            for record in connection.execute(query, (first, last, group)):
                yield _row(record)


def read_records(
    directory: Path, dataset: str, after: dict[str, int], upto: dict[str, int]
) -> list[tuple[str, str]]:
    """Return (id, record) of the records put into a dataset behind one position up to another, the oldest first."""
    rows = sorted(read_between(directory, dataset, after, upto), key=lambda row: row.time)
    return [(row.item or "", row.properties or "{}") for row in rows]


def has_events(directory: Path, group: str, after: dict[str, int]) -> bool:
    """Tell whether a dataset group has events after a position."""
    for name, connection in _logs(directory):
        query = "SELECT 1 FROM event WHERE seq > ? AND dataset_group = ? LIMIT 1"
        if connection.execute(query, (after.get(name, 0), group)).fetchone():
            return True
    return False


def remove(directory: Path, group: str, upto: dict[str, int]) -> int:
    """Remove the rows of a group or dataset up to a position; return how many.

    Raises sqlite3.OperationalError when a file stays locked for 30 s, as the other removals do.
    """
    removed = 0
    for name, last in sorted(upto.items()):
        with closing(_open_for_writing(directory / f"{name}.db")) as connection:
            query = "DELETE FROM event WHERE dataset_group = ? AND seq <= ?"
            removed += connection.execute(query, (group, last)).rowcount
    return removed


def _open_for_writing(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    write_ahead(connection)
    connection.execute(_SCHEMA)
    return connection


def _open_for_reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False, timeout=30)


def _logs(directory: Path) -> Iterator[tuple[str, sqlite3.Connection]]:
    """Yield each file's name and content; not of one whose worker is just making it."""
    for path in sorted(directory.glob("*.db")):
        with closing(_open_for_reading(path)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone():
                yield path.stem, connection


def change_directory(directory: Path) -> None:
    """Let every reader look which files there are, and whether rows were removed."""
    stamp = Stamp(directory / _DIRECTORY_STAMP)
    stamp.change()
    stamp.close()


def _record(row: EventRow) -> tuple:
    return (*row[:10], json.dumps(row.impression) if row.impression else None, row.source)


def _row(record: tuple) -> EventRow:
    impression = tuple(json.loads(record[10])) if record[10] else None
    return EventRow._make((*record[:10], impression, record[11]))


def _resolve(calls: list[_Call], error: Exception | None) -> None:
    """Let the callers go on, each on its own event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future]] = {}
    for call in calls:
        by_loop.setdefault(call.loop, []).append(call.done)
    for loop, waiting in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set, waiting, error)


def _set(waiting: list[asyncio.Future], error: Exception | None) -> None:
    for done in waiting:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

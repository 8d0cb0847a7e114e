"""Asynchronous invocations that are still to be done, and messages that are still to be delivered: ``events.db``.

What ``put`` has returned for is on the disk. The end of an event and the message about it are one transaction, so a
kill at any point leaves the event, and it is run again, or its message, and it is delivered again: nothing is lost.
"""

import json
import sqlite3
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from nextpick.wal import write_ahead

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id TEXT PRIMARY KEY, function TEXT NOT NULL, payload BLOB NOT NULL, context TEXT,
    put_at REAL NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    id TEXT PRIMARY KEY, function TEXT NOT NULL, destination TEXT NOT NULL, body BLOB NOT NULL,
    put_at REAL NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL);
CREATE INDEX IF NOT EXISTS event_by_due ON event (due);
CREATE INDEX IF NOT EXISTS message_by_due ON message (due);
"""


class Event(NamedTuple):
    """An invocation to be done. ``attempts`` have failed; the next is ``due``. Times in seconds since 1970."""

    id: str
    function: str
    payload: bytes
    context: str | None
    put_at: float
    attempts: int
    due: float


class Message(NamedTuple):
    """What a destination is to be told about an invocation; ``id`` is the event's."""

    id: str
    function: str
    destination: str
    body: bytes
    put_at: float
    attempts: int
    due: float


class Queue:
    """The events of a home, for one thread. Any number of processes may have one at once."""

    def __init__(self, home: Path) -> None:
        self._db = sqlite3.connect(
            home / "functions" / "events.db", timeout=30, isolation_level=None, check_same_thread=False
        )
        write_ahead(self._db)
        self._db.executescript(_SCHEMA)

    def put(self, function: str, payload: bytes, now: float, context: str | None = None) -> str:
        """Add an event for the function of an ARN, and return its id."""
        made = str(uuid.uuid4())
        row = (made, function, payload, context, now, 0, now)
        self._db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return made

    def due(self, now: float, limit: int, without: Sequence[str] = ()) -> list[Event]:
        """Return events that are due, the longest due first, but for those of some functions and their versions."""
        query = (
            "SELECT * FROM event WHERE due <= ? AND NOT EXISTS (SELECT 1 FROM json_each(?) "
            "WHERE function = value OR substr(function, 1, length(value) + 1) = value || ':')"
        )
        rows = self._db.execute(f"{query} ORDER BY due, put_at LIMIT ?", (now, json.dumps(without), limit))
        return [Event(*row) for row in rows]

    def postpone(self, event: Event, due: float, attempts: int) -> None:
        """Have an event tried again."""
        self._db.execute("UPDATE event SET due = ?, attempts = ? WHERE id = ?", (due, attempts, event.id))

    def settle(self, event: Event, destination: str, body: bytes, now: float) -> None:
        """End an event; where there is a destination, it is to be told ``body``.

        A function that is a destination is told by an event of its own, in the same transaction.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("DELETE FROM event WHERE id = ?", (event.id,))
            if ":lambda:" in destination:
                row = (str(uuid.uuid4()), destination, body, None, now, 0, now)
                self._db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            elif destination:
                message = (event.id, event.function, destination, body, now, 0, now)
                self._db.execute("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", message)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def messages(self, now: float, limit: int) -> list[Message]:
        """Return messages that are due, the longest due first."""
        rows = self._db.execute("SELECT * FROM message WHERE due <= ? ORDER BY due LIMIT ?", (now, limit))
        return [Message(*row) for row in rows]

    def redeliver(self, message: Message, due: float) -> None:
        """Have a message delivered again."""
        self._db.execute(
            "UPDATE message SET due = ?, attempts = attempts + 1 WHERE id = ?", (due, message.id)
        )

    def delivered(self, message: Message) -> None:
        """Forget a message."""
        self._db.execute("DELETE FROM message WHERE id = ?", (message.id,))

    def next_due(self) -> float | None:
        """Return when something is due next, None when there is nothing."""
        query = "SELECT min(due) FROM (SELECT due FROM event UNION ALL SELECT due FROM message)"
        return self._db.execute(query).fetchone()[0]

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def __enter__(self) -> "Queue":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

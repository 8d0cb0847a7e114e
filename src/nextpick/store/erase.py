"""Rows of users, or of a dataset group, taken out of the event log: overwritten, in what SQLite writes ahead too.

Readers are told, so that what they hold in memory goes too.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from nextpick.errors import ServiceUnavailable
from nextpick.store.log import REMOVED_STAMP, change_directory
from nextpick.store.stamp import Stamp

_TRIES = 100
_OF_USERS = "(user IN (SELECT id FROM gone) OR session IN (SELECT id FROM gone))"
_OF_SESSIONS = "(user IS NULL AND session IN (SELECT id FROM gone_session))"


def remove_users(directory: Path, group: str, users: Sequence[str]) -> int:
    """Remove the events of users from a group's or dataset's, those of their sessions without a user included.

    Returns how many. Raises ServiceUnavailable when a reader keeps the pages written ahead for 20 s.
    """
    sessions = {
        row[0]
        for connection in _each(directory, users)
        for row in connection.execute(
            f"SELECT session FROM event WHERE dataset_group = ? AND {_OF_USERS}", (group,)
        )
    }
    where = f"dataset_group = ? AND event_type != '' AND ({_OF_USERS} OR {_OF_SESSIONS})"
    return _remove(directory, users, sessions, where, group)


def remove_ids(directory: Path, dataset: str, ids: Sequence[str]) -> int:
    """Remove the records put into a dataset under some ids; returns how many, raises as ``remove_users``."""
    where = "dataset_group = ? AND event_type = '' AND item IN (SELECT id FROM gone)"
    return _remove(directory, ids, set(), where, dataset)


def remove_group(directory: Path, group: str) -> int:
    """Remove all events of a dataset group; returns how many, raises as ``remove_users``."""
    return _remove(directory, (), set(), "dataset_group = ? AND event_type != ''", group)


def count_users(directory: Path, group: str, users: Sequence[str]) -> int:
    """Return how many rows of a group or dataset are of users, or are records of theirs."""
    whose = f"({_OF_USERS} OR (event_type = '' AND item IN (SELECT id FROM gone)))"
    query = f"SELECT COUNT(*) FROM event WHERE dataset_group = ? AND {whose}"
    return sum(connection.execute(query, (group,)).fetchone()[0] for connection in _each(directory, users))


def _remove(directory: Path, ids: Sequence[str], sessions: set[str], where: str, group: str) -> int:
    removed = 0
    for connection in _each(directory, ids):
        connection.execute("CREATE TEMP TABLE gone_session (id TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO gone_session VALUES (?)", [(session,) for session in sessions])
        removed += connection.execute(f"DELETE FROM event WHERE {where}", (group,)).rowcount
        truncate(connection)
    if removed:
        with closing(Stamp(directory / REMOVED_STAMP)) as stamp:
            stamp.change()
        change_directory(directory)
    return removed


def _each(directory: Path, ids: Sequence[str]) -> Iterator[sqlite3.Connection]:
    for path in sorted(directory.glob("*.db")):
        with _opened(path) as connection:
            connection.execute("CREATE TEMP TABLE gone (id TEXT PRIMARY KEY)")
            connection.executemany("INSERT OR IGNORE INTO gone VALUES (?)", [(id,) for id in ids])
            yield connection


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        yield connection


def truncate(connection: sqlite3.Connection) -> None:
    """Empty the file of pages written ahead, which still has what was deleted.

    Raises ServiceUnavailable when a reader keeps them for 20 s.
    """
    for _ in range(_TRIES):
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        time.sleep(0.2)
    raise ServiceUnavailable(
        "Events are being read without a pause; the deleted ones are not yet overwritten. Try again."
    )

"""What workflows must not forget: one SQLite file, ``HOME/workflow/workflow.db``, written by several processes.

HTTP workers write to it (state machines, executions that are to start, objects that were created), the automation
process does what it says, the command line reads and writes it. A commit is on disk when it returns, and changes
the stamp beside the file, by which the others notice.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from nextpick.durable import make_dirs
from nextpick.store.stamp import Stamp
from nextpick.wal import write_ahead

FOLDER = "workflow"
_FILE = "workflow.db"
_VERSION = 1
_BUSY_S = 30.0

_SCHEMA = """
CREATE TABLE machine (
    arn TEXT PRIMARY KEY, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
    role TEXT NOT NULL, definition TEXT NOT NULL, configuration TEXT NOT NULL, created_at REAL NOT NULL,
    updated_at REAL NOT NULL, revision TEXT NOT NULL
);
CREATE TABLE execution (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, machine TEXT NOT NULL, name TEXT NOT NULL,
    status TEXT NOT NULL, role TEXT NOT NULL, definition TEXT NOT NULL, input TEXT NOT NULL, output TEXT, error TEXT,
    cause TEXT, started_at REAL NOT NULL, stopped_at REAL
);
CREATE INDEX execution_by_machine ON execution (machine, seq);
CREATE INDEX execution_by_status ON execution (status, seq);
CREATE TABLE event (
    execution TEXT NOT NULL, id INTEGER NOT NULL, path TEXT NOT NULL, type TEXT NOT NULL, at REAL NOT NULL,
    previous INTEGER NOT NULL, details TEXT NOT NULL,
    PRIMARY KEY (execution, id), UNIQUE (execution, path, type)
) WITHOUT ROWID;
CREATE TABLE preparation_job (name TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE preparation (
    id TEXT PRIMARY KEY, job TEXT NOT NULL, arguments TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
    error TEXT, started_at REAL NOT NULL, stopped_at REAL
);
CREATE TABLE schedule (
    name TEXT PRIMARY KEY, expression TEXT NOT NULL, action TEXT NOT NULL, owner TEXT NOT NULL,
    enabled INTEGER NOT NULL, next_at REAL, last_at REAL
);
CREATE TABLE watch (
    name TEXT PRIMARY KEY, bucket TEXT NOT NULL, prefix TEXT NOT NULL, suffix TEXT NOT NULL, events TEXT NOT NULL,
    action TEXT NOT NULL, owner TEXT NOT NULL, created_at REAL NOT NULL
);
CREATE INDEX watch_by_bucket ON watch (bucket);
CREATE TABLE seen (
    watch TEXT NOT NULL, key TEXT NOT NULL, identity TEXT NOT NULL, PRIMARY KEY (watch, key)
) WITHOUT ROWID;
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE firing (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL, action TEXT NOT NULL,
    payload TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, next_at REAL NOT NULL,
    error TEXT, finished_at REAL
);
CREATE INDEX firing_by_state ON firing (state, next_at);
CREATE INDEX firing_by_source ON firing (source, seq);
"""


class NewerDatabase(Exception):
    """The file was written by a newer nextpick."""


class Database:
    """The file of one home, for any number of threads of this process."""

    def __init__(self, home: Path) -> None:
        """Make it where it is missing. Raises NewerDatabase."""
        folder = home / FOLDER
        make_dirs(folder)
        self.home, self._path = home, folder / _FILE
        self._local = threading.local()
        self._stamp = Stamp(folder / "workflow.stamp")
        self._create()

    def _create(self) -> None:
        with self.write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise NewerDatabase(f"{self._path} has version {version}; this nextpick knows {_VERSION}.")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_VERSION}")

    def _connection(self) -> sqlite3.Connection:
        found = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(
                self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            found.row_factory = sqlite3.Row
            write_ahead(found)
            self._local.connection = found
        return found

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the file."""
        connection = self._connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give the only connection that writes; committed at the end, rolled back on an exception."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        self._stamp.change()

    def version(self) -> bytes:
        """Return what differs from an earlier answer when any process has committed since (no system call)."""
        return self._stamp.value()

    def close(self) -> None:
        """Close this thread's connection. Those of other threads, which may be at work, close when the threads end."""
        found = getattr(self._local, "connection", None)
        if found is not None:
            found.close()
            del self._local.connection


def exists(home: Path) -> bool:
    """Tell whether anything was ever written for workflows in a home."""
    return (home / FOLDER / _FILE).exists()

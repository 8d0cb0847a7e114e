"""Counts of requests, kept for later: one SQLite file per process, by resource and window of 5 minutes.

Counting is one step in memory; a thread writes every two seconds, so a process that is killed loses the counts of
those at most, and of the machine's last moments when its power is cut.
"""

import logging
import sqlite3
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from nextpick.clock import Clock
from nextpick.durable import make_dirs
from nextpick.store.whole import make_whole
from nextpick.wal import write_ahead

WINDOW_S = 300
KEPT_S = 455 * 86400

_FLUSH_S = 2.0
_SCHEMA = """CREATE TABLE IF NOT EXISTS request (
    window INTEGER NOT NULL, arn TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (window, arn)) WITHOUT ROWID"""
_ADD = """INSERT INTO request (window, arn, count) VALUES (?, ?, ?)
    ON CONFLICT (window, arn) DO UPDATE SET count = count + excluded.count"""

log = logging.getLogger(__name__)


class UsageCounter:
    """The only writer of ``directory/name.db``."""

    def __init__(self, directory: Path, name: str, clock: Clock) -> None:
        make_dirs(directory)
        self._path, self._clock = directory / f"{name}.db", clock
        self._totals: dict[
            str, int
        ] = {}  # since the start; changed by one thread alone, copied by the writing one
        self._written: dict[str, int] = {}
        self._ending = threading.Event()
        make_whole(self._path, _open)
        self._connection = _open(self._path)
        self._connection.execute("DELETE FROM request WHERE window < ?", (self._window() - KEPT_S,))
        self._thread = threading.Thread(target=self._work, name=f"usage {name}", daemon=True)
        self._thread.start()

    def count(self, arn: str) -> None:
        """Count a request to a campaign or recommender that was answered."""
        self._totals[arn] = self._totals.get(arn, 0) + 1

    def close(self) -> None:
        """Write what was counted, then close."""
        self._ending.set()
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        window = self._window()
        while not self._ending.wait(_FLUSH_S):
            window = self._flush(window)
        self._flush(window)

    def _window(self) -> int:
        return int(self._clock.now()) // WINDOW_S * WINDOW_S

    def _flush(self, window: int) -> int:
        """Add what is new to the window in which the last flush was; return the one of this flush."""
        totals = self._totals.copy()
        new = [(window, arn, n - self._written.get(arn, 0)) for arn, n in totals.items()]
        changed = [row for row in new if row[2]]
        if changed:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(_ADD, changed)
                self._connection.execute("COMMIT")
                self._written = totals
            except sqlite3.OperationalError as error:  # a full disk: tried again with the next
                log.warning("counts of requests cannot be written to %s: %s", self._path, error)
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        return self._window()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    write_ahead(connection, "NORMAL")
    connection.execute(_SCHEMA)
    return connection


def requests(directory: Path, start: int, end: int) -> dict[str, dict[int, int]]:
    """Return the requests by ARN and by the start of windows that begin from ``start`` to before ``end``."""
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for path in sorted(directory.glob("*.db")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            query = "SELECT window, arn, count FROM request WHERE window >= ? AND window < ?"
            for window, arn, count in connection.execute(query, (start, end)):
                found[arn][window] += count
    return found

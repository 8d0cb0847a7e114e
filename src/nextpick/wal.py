"""SQLite files that are written ahead: readers and one writer at a time, of any number of processes."""

import sqlite3
import time

BUSY_S = 30.0  # how long one waits for another's transaction
_PAUSE_S = 0.01


def write_ahead(connection: sqlite3.Connection, synchronous: str = "FULL") -> None:
    """Make a connection write ahead; ``synchronous`` is SQLite's: FULL means that what is committed is on disk.

    Raises sqlite3.OperationalError where the file cannot be opened, or stays locked. The first connections to a new
    file may turn it at the same time, which SQLite refuses all but one of without waiting as it does elsewhere.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)
    connection.execute(f"PRAGMA synchronous={synchronous}")

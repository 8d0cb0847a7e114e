"""A new file is opened by several at once, and none of them is turned away."""

import sqlite3
import threading
import time
from pathlib import Path

from nextpick.wal import write_ahead


def test_a_file_that_is_locked_as_it_is_opened_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    threading.Timer(0.2, lambda: other.execute("COMMIT")).start()
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    write_ahead(connection, "NORMAL")
    assert time.monotonic() - began >= 0.2
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (1,)

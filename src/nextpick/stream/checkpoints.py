"""How far each consumer of a stream has come: written after its effects, on disk before it goes on."""

import sqlite3
import threading
from pathlib import Path

from nextpick.wal import write_ahead

_SCHEMA = """CREATE TABLE IF NOT EXISTS checkpoint (
    consumer TEXT NOT NULL, shard INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (consumer, shard))"""


class Checkpoints:
    """The checkpoints of one stream's consumers; one process writes them."""

    def __init__(self, directory: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            directory / "consumers.db", isolation_level=None, check_same_thread=False, timeout=30
        )
        write_ahead(self._connection)
        self._connection.execute(_SCHEMA)

    def get(self, consumer: str, shard: int) -> int | None:
        """Return the number of the last record that a consumer is done with, None before its first."""
        query = "SELECT number FROM checkpoint WHERE consumer = ? AND shard = ?"
        with self._lock:
            found = self._connection.execute(query, (consumer, shard)).fetchone()
        return found[0] if found else None

    def set(self, consumer: str, shard: int, number: int) -> None:
        """Note that a consumer is done with a shard's records up to a number."""
        with self._lock:
            self._connection.execute(
                "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", (consumer, shard, number)
            )

    def forget(self, consumer: str) -> None:
        """Remove a consumer's checkpoints."""
        with self._lock:
            self._connection.execute("DELETE FROM checkpoint WHERE consumer = ?", (consumer,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def position(checkpoints: Checkpoints, consumer: dict, shard: int) -> int:
    """Return the number behind which a consumer goes on: its checkpoint, or where it was told to start."""
    number = checkpoints.get(consumer["name"], shard)
    return int(consumer.get("after", {}).get(str(shard), 0)) if number is None else number

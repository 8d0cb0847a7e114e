"""One stream on disk: records in order, by shard, durable before the call that appends them returns.

A stream is a directory with one SQLite file (WAL, synchronous=FULL). Several processes append to it, one after the
other under the lock of a file: the kernel wakes who waits, where SQLite's own lock makes writers sleep and starve. So
numbers are given out in the order of commits, and a reader who has seen a number has seen all before it.
"""

import fcntl
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from nextpick.durable import sync
from nextpick.store.erase import truncate
from nextpick.store.stamp import Stamp
from nextpick.wal import write_ahead

HASH_SPACE = 1 << 128
LARGEST_RECORD = (
    1 << 20
)  # bytes of data and partition key. Source: Kinesis developer guide, "Quotas and limits"
_LARGEST_NUMBER = 10**32
_PAGES_AT_MOST = 1 << 21  # of 4 KiB: a stream whose consumers stand still must not fill the disk

_SCHEMA = """
CREATE TABLE IF NOT EXISTS shard (id INTEGER PRIMARY KEY, next INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS record (
    shard INTEGER NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, data BLOB NOT NULL, arrived REAL NOT NULL,
    PRIMARY KEY (shard, number)) WITHOUT ROWID;
"""


class StreamMissing(Exception):
    """There is no such stream (any more)."""


class StreamFull(Exception):
    """Consumers are so far behind that nothing more is taken."""


class New(NamedTuple):
    """A record to append. ``hash`` is its place in the hash key space, 0 … 2^128-1."""

    key: str
    data: bytes
    hash: int


class Record(NamedTuple):
    """A record as it is kept. ``number`` rises by one in its shard, from 1; ``arrived`` in seconds since 1970."""

    shard: int
    number: int
    key: str
    data: bytes
    arrived: float


class Config(NamedTuple):
    """What a stream was told to be. ``created`` in seconds since 1970; ``consumers`` as consumers.py reads them."""

    name: str
    account: str
    region: str
    shards: int
    created: float
    retention_hours: int = 24
    encryption: str = "NONE"
    consumers: tuple[dict, ...] = ()


def hash_of(key: str) -> int:
    """Return a partition key's place in the hash key space: its MD5, as Kinesis has it."""
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())


def hash_range(shard: int, shards: int) -> tuple[int, int]:
    """Return the first and the last hash key of a shard; the shards divide the space evenly."""
    return shard * HASH_SPACE // shards, (shard + 1) * HASH_SPACE // shards - 1


def shard_of(hash_key: int, shards: int) -> int:
    """Return the shard whose range holds a hash key."""
    shard = hash_key * shards // HASH_SPACE
    return shard + (hash_key > hash_range(shard, shards)[1])


def shard_name(shard: int) -> str:
    """Return ``shardId-000000000000``."""
    return f"shardId-{shard:012d}"


class Stream:
    """An open stream. It may be used by several threads."""

    def __init__(self, directory: Path) -> None:
        """Raises StreamMissing."""
        self.directory = directory
        try:
            self._lock_fd = os.open(directory / "lock", os.O_RDWR)
        except FileNotFoundError:
            raise StreamMissing(directory.stem) from None
        self._identity = os.fstat(self._lock_fd).st_ino
        self.config = read_config(directory)
        self.stamp = Stamp(directory / "records.stamp")
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._writer = _open(directory / "records.db")
        self._reader = _open(directory / "records.db")

    @property
    def arn(self) -> str:
        """The stream's ARN."""
        return f"arn:aws:kinesis:{self.config.region}:{self.config.account}:stream/{self.config.name}"

    def sequence(self, record_shard: int, number: int) -> str:
        """Return the sequence number of a record: 56 digits that rise with ``number`` in every shard."""
        return f"49{int(self.config.created * 1000):014d}{record_shard:08d}{number:032d}"

    def number(self, sequence: str) -> int | None:
        """Return the number in a sequence number of this stream, None in another."""
        if not self.sequence(0, 0).startswith(sequence[:16]) or len(sequence) != 56:
            return None
        return int(sequence[24:])

    def append(self, records: Sequence[New], now: float) -> list[tuple[int, int]]:
        """Return (shard, number) of each record, all on disk. Raises StreamMissing, StreamFull, sqlite3.Error."""
        with self._writing, self.locked():
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                if pages > _PAGES_AT_MOST:
                    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
                    if pages - free > _PAGES_AT_MOST:
                        raise StreamFull(self.config.name)
                following = dict(connection.execute("SELECT id, next FROM shard"))
                rows, places = [], []
                for record in records:
                    shard = shard_of(record.hash, self.config.shards)
                    rows.append((shard, following[shard], record.key, record.data, now))
                    places.append((shard, following[shard]))
                    following[shard] += 1
                connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
                connection.executemany(
                    "UPDATE shard SET next = ? WHERE id = ?", [(n, shard) for shard, n in following.items()]
                )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self.stamp.change()
        return places

    def read(self, shard: int, after: int, limit: int, most_bytes: int = 10 << 20) -> list[Record]:
        """Return the records of a shard behind a number, in order; the first one whatever its size.

        Raises StreamMissing when the stream was closed because it is gone.
        """
        found: list[Record] = []
        size = 0
        query = (
            "SELECT shard, number, key, data, arrived FROM record WHERE shard = ? AND number > ? "
            "ORDER BY number LIMIT ?"
        )
        with self._reading:
            try:
                rows = self._reader.execute(query, (shard, after, limit))
            except sqlite3.ProgrammingError:
                raise StreamMissing(self.config.name) from None
            for row in rows:
                size += len(row[3])
                if found and size > most_bytes:
                    break
                found.append(Record(*row))
            rows.close()
        return found

    def last(self, shard: int) -> int:
        """Return the number of the newest record a shard ever had, 0 when it had none."""
        with self._reading:
            return self._reader.execute("SELECT next - 1 FROM shard WHERE id = ?", (shard,)).fetchone()[0]

    def before(self, shard: int, moment: float) -> int:
        """Return the number of the last record that arrived before a moment."""
        query = "SELECT min(number) - 1 FROM record WHERE shard = ? AND arrived >= ?"
        with self._reading:
            found = self._reader.execute(query, (shard, moment)).fetchone()[0]
        return self.last(shard) if found is None else found

    def first(self, shard: int) -> int:
        """Return the number of the oldest record that a shard still has; the next one's when it has none."""
        query = "SELECT min(number) FROM record WHERE shard = ?"
        with self._reading:
            found = self._reader.execute(query, (shard,)).fetchone()[0]
        return self.last(shard) + 1 if found is None else found

    def trim(self, moment: float, taken: dict[int, int]) -> int:
        """Remove what arrived before a moment and is not behind ``taken`` (number by shard); return how many."""
        removed = 0
        with self._writing, self.locked():
            for shard in range(self.config.shards):
                query = "DELETE FROM record WHERE shard = ? AND arrived < ? AND number <= ?"
                upto = taken.get(shard, _LARGEST_NUMBER >> 64)
                removed += self._writer.execute(query, (shard, moment, upto)).rowcount
        return removed

    def all_data(self) -> Iterator[bytes]:
        """Yield the data of every record."""
        with closing(_open(self.directory / "records.db")) as connection:
            yield from (data for (data,) in connection.execute("SELECT data FROM record"))

    def remove(self, is_unwanted: Callable[[bytes], bool]) -> int:
        """Remove the records with such data, overwritten, in what SQLite writes ahead too; return how many.

        Raises StreamMissing; ServiceUnavailable when a reader keeps the pages written ahead.
        """
        with closing(_open(self.directory / "records.db")) as connection:
            connection.execute("PRAGMA secure_delete=ON")
            every = connection.execute("SELECT shard, number, data FROM record")
            unwanted = [(shard, number) for shard, number, data in every if is_unwanted(data)]
            with self.locked():
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("DELETE FROM record WHERE shard = ? AND number = ?", unwanted)
                connection.execute("COMMIT")
            if unwanted:
                truncate(connection)
        return len(unwanted)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from changing the stream. Raises StreamMissing when it was deleted."""
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            if not self.is_there():
                raise StreamMissing(self.config.name)
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def is_there(self) -> bool:
        """Tell whether the stream was not deleted since it was opened."""
        try:
            return os.stat(self.directory / "lock").st_ino == self._identity
        except FileNotFoundError:
            return False

    def reconfigure(self, **changes: object) -> None:
        """Change the stream's configuration. Raises StreamMissing."""
        with self._writing, self.locked():
            self.config = read_config(self.directory)._replace(**changes)  # type: ignore[arg-type]
            write_config(self.directory, self.config)
        self.stamp.change()

    def close(self) -> None:
        """Close files and pages."""
        self._writer.close()
        self._reader.close()
        self.stamp.close()
        os.close(self._lock_fd)


def prepare(directory: Path, config: Config) -> None:
    """Write the files of a new stream into a directory."""
    connection = _open(directory / "records.db")
    connection.executescript(_SCHEMA)
    connection.executemany("INSERT INTO shard VALUES (?, 1)", [(shard,) for shard in range(config.shards)])
    connection.close()
    (directory / "lock").touch(mode=0o600)
    write_config(directory, config)


def read_config(directory: Path) -> Config:
    """Read a stream's configuration. Raises StreamMissing."""
    try:
        held = json.loads((directory / "stream.json").read_text())
    except FileNotFoundError:
        raise StreamMissing(directory.stem) from None
    return Config(**{**held, "consumers": tuple(held["consumers"])})


def write_config(directory: Path, config: Config) -> None:
    """Write a stream's configuration in place of the one before, on disk when it returns."""
    partial = directory / "stream.json.partial"
    partial.write_text(json.dumps(config._asdict(), indent=2) + "\n")
    sync(partial)
    partial.rename(directory / "stream.json")
    sync(directory)


def letters_path(directory: Path) -> Path:
    """Return where a stream's dead letters are: records, in base64, that a consumer could not use."""
    return directory / "dead-letters.jsonl"


def old_letters_path(directory: Path) -> Path:
    """Return where the letters are that the file became too large with."""
    return directory / "dead-letters.1.jsonl"


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    write_ahead(connection)
    return connection

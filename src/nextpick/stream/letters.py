"""Records that a consumer could not use, kept with the reason in ``dead-letters.jsonl`` of their stream."""

import base64
import json
import os
import threading
from collections.abc import Sequence
from typing import BinaryIO

from nextpick.durable import sync
from nextpick.store.stream import Record, Stream, letters_path, old_letters_path, shard_name

_LARGEST_FILE = 64 << 20
_LONGEST_LINE = 16 << 20  # of a record of the largest size, in base64
_LONGEST_REASON = 2000


class DeadLetters:
    """The file of one stream. When it grows too large it becomes ``dead-letters.1.jsonl``, in place of an older one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.path = letters_path(stream.directory)
        self._lock = threading.Lock()

    def write(self, consumer: str, records: Sequence[Record], reason: str, now: float) -> None:
        """Keep records; they are on disk when this returns."""
        lines = "".join(self._line(consumer, record, reason, now) for record in records)
        with self._lock, self._stream.locked():  # a data deletion writes the file anew
            is_new = not self.path.exists()
            if not is_new and self.path.stat().st_size > _LARGEST_FILE:
                self.path.rename(old_letters_path(self._stream.directory))
                is_new = True
            with self.path.open("a+b") as file:
                _cut_off(file)
                file.write(lines.encode())
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                sync(self.path.parent)

    def _line(self, consumer: str, record: Record, reason: str, now: float) -> str:
        told = {
            "time": now,
            "consumer": consumer,
            "reason": reason[:_LONGEST_REASON],
            "shardId": shard_name(record.shard),
            "sequenceNumber": self._stream.sequence(record.shard, record.number),
            "partitionKey": record.key,
            "arrived": record.arrived,
            "data": base64.b64encode(record.data).decode(),
        }
        return json.dumps(told) + "\n"


def _cut_off(file: BinaryIO) -> None:
    """Remove what a kill left of a last line: its records come again, for they were not done with."""
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return
    start = max(0, end - _LONGEST_LINE)
    file.seek(start)
    file.truncate(start + file.read().rfind(b"\n") + 1)

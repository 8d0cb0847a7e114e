"""How often something happened in the running second, counted by all processes of a home together.

A file of slots that every process maps, under a lock; a slot of an earlier second is free.
"""

import fcntl
import mmap
import os
import struct
import threading
from hashlib import blake2b
from pathlib import Path

_SLOT = struct.Struct("<QII")  # which key, which second, how often
_SLOTS = 4096
_PROBES = 16


class Rates:
    """The counts in a file, which is made when it is missing."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        size = _SLOT.size * _SLOTS
        if os.fstat(self._fd).st_size < size:
            os.pwrite(self._fd, bytes(size), 0)
        self._page = mmap.mmap(self._fd, size)
        self._lock = threading.Lock()  # the lock of the file is the process's, not the thread's

    def take(self, key: str, most: int, second: int) -> bool:
        """Count ``key`` in that second (since 1970) and return True, or return False when it has happened ``most``
        times. Where no slot is free it is not counted."""
        digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little")
        with self._lock:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                return self._take(digest, most, second)
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _take(self, digest: int, most: int, second: int) -> bool:
        free = None
        for probe in range(_PROBES):
            offset = (digest + probe) % _SLOTS * _SLOT.size
            held, at, count = _SLOT.unpack_from(self._page, offset)
            if at != second:
                free = offset if free is None else free
            elif held == digest:
                if count >= most:
                    return False
                _SLOT.pack_into(self._page, offset, digest, second, count + 1)
                return True
        if free is not None:
            _SLOT.pack_into(self._page, free, digest, second, 1)
        return True

    def close(self) -> None:
        """Unmap and close the file."""
        self._page.close()
        os.close(self._fd)

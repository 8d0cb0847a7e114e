"""Token buckets that all processes of a home share: a file of slots that each maps, under a lock."""

import fcntl
import mmap
import os
import struct
import threading
from hashlib import blake2b
from pathlib import Path

_SLOT = struct.Struct("<Qdd")  # which bucket, tokens in it, when that was
_SLOTS, _PROBES = 4096, 16


class TokenBuckets:
    """The buckets in a file, which is made when it is missing."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        size = _SLOT.size * _SLOTS
        if os.fstat(self._fd).st_size < size:
            os.pwrite(self._fd, bytes(size), 0)
        self._page = mmap.mmap(self._fd, size)
        self._lock = threading.Lock()  # the lock of the file is the process's, not the thread's

    def take(self, name: str, rate: float, burst: int, now: float) -> bool:
        """Take a token and return True, or False from an empty bucket. It fills by ``rate`` a second up to ``burst``.

        Where there are too many buckets the one that was longest unused makes way: it would be full by now.
        """
        digest = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") or 1
        with self._lock:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                offset, tokens, at = self._find(digest)
                tokens = float(burst) if at is None else min(burst, tokens + max(0.0, now - at) * rate)
                enough = tokens >= 1
                _SLOT.pack_into(self._page, offset, digest, tokens - enough, now)
                return enough
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _find(self, digest: int) -> tuple[int, float, float | None]:
        oldest, since = 0, float("inf")
        for probe in range(_PROBES):
            offset = (digest + probe) % _SLOTS * _SLOT.size
            held, tokens, at = _SLOT.unpack_from(self._page, offset)
            if held == digest:
                return offset, tokens, at
            if at < since:
                oldest, since = offset, at
        return oldest, 0.0, None

    def close(self) -> None:
        """Unmap and close the file."""
        self._page.close()
        os.close(self._fd)

"""Content on its way in: a file that nobody else sees, gone unless it is committed."""

import contextlib
import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self

_BLOCK = 1 << 20
_CANNOT_COPY = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


class Draft:
    """A file to be written by one thread at a time; as a context manager it is discarded unless committed.

    ``size`` is how many bytes were written, ``fd`` the open file, ``path`` where it lies.
    """

    def __init__(self, path: Path, *, bucket: str) -> None:
        """Make the file. Raises OSError."""
        self.path, self.bucket, self.size = path, bucket, 0
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        self._start, self._leftover, self._open = 0, path, True
        self._most: int | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises OSError (a full disk), after which the draft is discarded."""
        rest = memoryview(data).cast("B")
        if self._most is not None and self.size + len(rest) > self._most:
            self.discard()
            raise ValueError(f"more than the {self._most} bytes that were announced")
        try:
            while rest:
                written = os.pwrite(self.fd, rest, self._start + self.size)
                self.size += written
                rest = rest[written:]
        except OSError:
            self.discard()
            raise

    def copy(self, source: int, start: int, size: int) -> None:
        """Append a part of another open file, inside the file system where it can. Raises OSError as ``write``."""
        quick = hasattr(os, "copy_file_range")
        while size:
            try:
                if quick:
                    copied = os.copy_file_range(source, self.fd, size, start, self._start + self.size)
                    self.size += copied
                else:
                    block = os.pread(source, min(size, _BLOCK), start)
                    self.write(block)
                    copied = len(block)
            except OSError as error:
                if quick and error.errno in _CANNOT_COPY:
                    quick = False
                    continue
                self.discard()
                raise
            if not copied:
                self.discard()
                raise OSError(errno.EIO, "shorter than it was", str(self.path))
            start, size = start + copied, size - copied

    def kept(self) -> None:
        """Close it: what it left is somebody else's now."""
        if self._open:
            self._open = False
            os.close(self.fd)

    def discard(self) -> None:
        """Take it away unless it was committed; a second time it does nothing."""
        if self._open:
            self.kept()
            with contextlib.suppress(FileNotFoundError):
                self._leftover.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class PartDraft(Draft):
    """A part of an upload: in a file of its own, or in its slot of the upload's data."""

    def __init__(self, path: Path, *, bucket: str, upload_id: str, number: int) -> None:
        """Make a file of its own. Raises OSError."""
        super().__init__(path, bucket=bucket)
        self.upload_id, self.number, self.in_slot = upload_id, number, False

    @classmethod
    def in_data(
        cls, data: Path, claim: Path, slot: range, *, bucket: str, upload_id: str, number: int
    ) -> Self:
        """Return one that writes the bytes ``slot`` of ``data``; discarding it releases ``claim``."""
        self = cls.__new__(cls)
        self.path, self.bucket, self.size = data, bucket, 0
        self.fd = os.open(data, os.O_RDWR | os.O_NOFOLLOW)
        self._start, self._most, self._leftover, self._open = slot.start, len(slot), claim, True
        self.upload_id, self.number, self.in_slot = upload_id, number, True
        return self

    @property
    def start(self) -> int:
        """Where it begins in its file, in bytes."""
        return self._start

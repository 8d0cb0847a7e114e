"""What is kept of buckets besides their objects: ROOT/.nextpick/BUCKET, with the lock that serialises changes.

lock           taken for each change of names in the bucket; stays when the bucket is deleted
temp/          what is being made or taken away, each name begins with who does: OWNER.ID
meta/          sidecars of objects
uploads/       multipart uploads in progress
bucket.json    account, region, created_at
policy, notification
"""

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nextpick.durable import sync

NAME = ".nextpick"


class Backstage:
    """The directories of all buckets of one ``root``, for one ``owner``: a process that nobody else is."""

    def __init__(self, root: Path, owner: str) -> None:
        self.root, self.owner = root, owner
        clear_temp(root, f"{owner}.")

    def side(self, bucket: str) -> Path:
        """Return the directory of a bucket's other things."""
        return self.root / NAME / bucket

    def meta(self, bucket: str) -> Path:
        """Return the directory of a bucket's sidecars."""
        return self.side(bucket) / "meta"

    def uploads(self, bucket: str) -> Path:
        """Return the directory of a bucket's uploads."""
        return self.side(bucket) / "uploads"

    def temp(self, bucket: str) -> Path:
        """Return a new name for what is not finished; its directory is there. Raises OSError."""
        directory = self.side(bucket) / "temp"
        if not directory.is_dir():
            directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{self.owner}.{uuid.uuid4().hex}"

    @contextmanager
    def lock(self, bucket: str) -> Iterator[None]:
        """Keep everybody else, in this process and others, from changing a bucket meanwhile. Raises OSError."""
        path = self.side(bucket) / "lock"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        with flocked(fd):
            yield

    def make(self, bucket: str, directory: Path) -> None:
        """Make a directory of a bucket, with its name on the disk; the lock is held.

        Whoever finds it takes the lock before he says that anything in it is stored, and so after the flush.
        Raises OSError.
        """
        if directory.is_dir():
            return
        if directory.parent == self.side(bucket):  # which the lock may have made, and that flushes nothing
            sync(self.root / NAME)
            sync(self.root)
        directory.mkdir(exist_ok=True)
        sync(directory.parent)

    def write(self, bucket: str, path: Path, content: bytes) -> None:
        """Write a whole file at once; its directory is not flushed. Raises OSError, and then nothing is left."""
        temp = self.temp(bucket)
        try:
            with temp.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temp.rename(path)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise

    def discard(self, bucket: str, path: Path) -> None:
        """Take a file or directory of a bucket away for good: at once for everybody, bit by bit for the disk."""
        temp = self.temp(bucket)
        with contextlib.suppress(FileNotFoundError):
            path.rename(temp)
            sync(path.parent)
            remove(temp)


@contextmanager
def flocked(fd: int) -> Iterator[None]:
    """Hold the lock of a file opened for it, and close it in the end.

    A lock belongs to an opening of the file, not to a process: opened anew each time, it holds between threads too.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def clear_temp(root: Path, beginning: str = "", bucket: str = "*") -> None:
    """Remove what was left unfinished in one bucket or all, where its name begins so."""
    for temp in root.glob(f"{NAME}/{bucket}/temp"):
        for name in os.listdir(temp):
            if name.startswith(beginning):
                remove(temp / name)


def remove(path: Path) -> None:
    """Remove a file or a whole directory; what cannot be removed stays."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a directory: Linux says EISDIR, macOS EPERM
        shutil.rmtree(path, ignore_errors=True)

"""Where an object lies in the directory of its bucket, and how to get there without leaving it.

Each segment of a key (between slashes) is a file name in which control characters and ``%`` are escaped, a byte
as ``%XX``; the segments ``.`` and ``..`` are ``%2E`` and ``%2E%2E``, an empty segment is ``%``. A file whose name
is no such escape (``100%.csv``) stands for its name as it is. No file system holds a file and a directory of one
name, S3 does (``a`` and ``a/b``): whichever comes second is called ``a%2F``, the alternate name. Where a segment
has several names in one directory, the first of ``names_of`` counts.

Each step of a path is opened from the one before it, and a symbolic link is refused wherever it is met.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from nextpick.store.faults import Blocked, KeyTooLong

BUCKET_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
LONGEST_KEY = 1024  # bytes of UTF-8, as in S3
_LONGEST_NAME = 255  # bytes, on every file system that matters
_ALTERNATE = "%2F"  # no escape ends so, because no segment has a slash
_SPECIAL = re.compile(r"[%\x00-\x1f\x7f]")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class SymbolicLink(Exception):
    """A symbolic link was met; ``args[0]`` is its file name."""


def escape(segment: str) -> str:
    """Return the file name of one segment of a key."""
    if segment in ("", ".", ".."):
        return {"": "%", ".": "%2E", "..": "%2E%2E"}[segment]
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", segment)


def unescape(name: str) -> str:
    """Return the segment of a key that a file name stands for."""
    if "%" not in name:
        return name
    for escaped in (name.removesuffix(_ALTERNATE), name):
        segment = "" if escaped == "%" else unquote(escaped, errors="surrogateescape")
        if "/" not in segment and escape(segment) == escaped:
            return segment
    return name


def names_of(segment: str) -> list[str]:
    """Return the file names a segment may have: its escape, the alternate, itself where it is no escape."""
    names = [escape(segment)]
    if _bytes(names[0]) + len(_ALTERNATE) <= _LONGEST_NAME:
        names.append(names[0] + _ALTERNATE)
    if segment not in ("", ".", "..", names[0]) and "\0" not in segment and unescape(segment) == segment:
        names.append(segment)
    return names


def check_key(key: str) -> None:
    """Raise KeyTooLong for a key that no object may have, ValueError for one that is empty or no UTF-8."""
    if not key or len(key.encode()) > LONGEST_KEY:
        raise KeyTooLong(key) if key else ValueError("a key is not empty")
    if any(_bytes(escape(segment)) + len(_ALTERNATE) > _LONGEST_NAME for segment in key.split("/")):
        raise KeyTooLong(key)


def _bytes(name: str) -> int:
    return len(name.encode(errors="surrogatepass"))


@contextmanager
def held(fd: int) -> Iterator[int]:
    """Close a descriptor in the end."""
    try:
        yield fd
    finally:
        os.close(fd)


def open_bucket(root: Path, bucket: str) -> int | None:
    """Return a descriptor of a bucket's directory, None when there is none. Raises SymbolicLink, OSError."""
    try:
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)  # where it lies is the operator's business
    except (FileNotFoundError, NotADirectoryError):
        return None
    with held(top):
        found = _open_first(top, [bucket])
    return found[0] if found else None


def descend(top: int, folders: Sequence[str]) -> tuple[int, list[str]] | None:
    """Return a descriptor of a directory below ``top`` and the file names on the way; None when there is none.

    Raises SymbolicLink, and OSError for what may not be opened.
    """
    fd, names = os.dup(top), []
    for folder in folders:
        with held(fd):
            found = _open_first(fd, names_of(folder))
        if found is None:
            return None
        fd = found[0]
        names.append(found[1])
    return fd, names


def open_exact(top: int, names: Sequence[str]) -> int | None:
    """Return a descriptor of the directory of exactly these file names below ``top``, None when there is none."""
    fd = os.dup(top)
    for name in names:
        with held(fd):
            found = _open_first(fd, [name])
        if found is None:
            return None
        fd = found[0]
    return fd


def _open_first(parent: int, names: Sequence[str]) -> tuple[int, str] | None:
    for name in names:
        try:
            return os.open(name, _DIRECTORY, dir_fd=parent), name
        except FileNotFoundError:
            continue
        except OSError as error:  # macOS says ELOOP of a link, Linux ENOTDIR
            mode = _mode(parent, name)
            if stat.S_ISLNK(mode):
                raise SymbolicLink(name) from None
            if stat.S_ISDIR(mode):
                raise
            if not mode and not isinstance(error, NotADirectoryError):
                raise
    return None


def _mode(parent: int, name: str) -> int:
    """Return a file's mode, 0 when there is none."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except OSError:
        return 0


def find_file(parent: int, segment: str) -> tuple[str, os.stat_result] | None:
    """Return name and stat of the file of a segment, None when there is none. Raises SymbolicLink, OSError."""
    names = names_of(segment)
    for name in (*names, names[0]):  # it may have moved from a later name to the first in the meantime
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise SymbolicLink(name)
        if stat.S_ISREG(found.st_mode):
            return name, found
    return None


def open_file(parent: int, name: str) -> int:
    """Return a descriptor to read a file by. Raises OSError, also for a link put in place in the meantime."""
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)


def files_of(parent: int, segment: str) -> list[tuple[str, os.stat_result]]:
    """Return name and stat of all files of a segment, the one that counts first."""
    found = []
    for name in names_of(segment):
        try:
            result = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(result.st_mode):
            found.append((name, result))
    return found


def name_for_file(parent: int, segment: str) -> str:
    """Return the name that a new file of a segment takes. Raises Blocked."""
    for name in names_of(segment)[:2]:
        kind = stat.S_IFMT(_mode(parent, name))
        if kind in (0, stat.S_IFREG):
            return name
        if kind != stat.S_IFDIR:
            break
    raise Blocked(segment)


def _make_folder(parent: int, segment: str) -> str:
    """Make a directory, beside the file of its name where there is one, and return how it is called."""
    plain, *others = names_of(segment)
    kinds = [stat.S_IFMT(_mode(parent, name)) for name in (plain, *others[:1])]
    if any(kind not in (0, stat.S_IFREG) for kind in kinds):
        raise Blocked(segment)
    name = others[0] if kinds[0] else plain
    if all(kinds):
        os.unlink(name, dir_fd=parent)  # an older file behind the one that counts
    os.mkdir(name, dir_fd=parent)
    os.fsync(parent)
    return name


def make_folders(top: int, folders: Sequence[str]) -> tuple[int, list[str]]:
    """Open a directory below ``top`` as ``descend`` does, made with its name on the disk where it is missing.

    Raises Blocked, and OSError after which what was made is gone again.
    """
    fd, names = os.dup(top), []
    try:
        for folder in folders:
            found = _open_first(fd, names_of(folder))
            if found is None:
                name = _make_folder(fd, folder)
                names.append(name)  # to be taken away again, should it not open
                found = os.open(name, _DIRECTORY, dir_fd=fd), name
                names.pop()
            os.close(fd)
            fd = found[0]
            names.append(found[1])
        return fd, names
    except BaseException as error:
        os.close(fd)
        os.close(prune(top, names))
        if isinstance(error, SymbolicLink):
            raise Blocked(*error.args) from None
        raise


def prune(top: int, names: Sequence[str]) -> int:
    """Remove a directory below ``top`` and those above it as far as they are empty.

    Returns a descriptor of the lowest one left: the one to be flushed.
    """
    for depth in range(len(names), 0, -1):
        parent = open_exact(top, names[: depth - 1])
        if parent is None:
            continue
        with held(parent):
            try:
                os.rmdir(names[depth - 1], dir_fd=parent)
            except OSError:
                left = open_exact(top, names[:depth])
                if left is not None:
                    return left
    return os.dup(top)


def clear_folders(top: int) -> bool:
    """Remove all directories below ``top``, and return True, when they hold nothing else. Raises OSError."""
    found: list[list[str]] = [[]]
    for names in found:  # which grows on the way
        fd = open_exact(top, names)
        if fd is None:
            continue
        with held(fd), os.scandir(fd) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    return False
                found.append([*names, entry.name])
    for names in reversed(found[1:]):
        parent = open_exact(top, names[:-1])
        if parent is not None:
            with held(parent):
                os.rmdir(names[-1], dir_fd=parent)
    return True

"""The keys of a bucket in the order of their UTF-8 bytes, read from the directories as they are needed."""

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import NamedTuple

from nextpick.store import keypaths
from nextpick.store.objectmeta import Stored

_FILE, _FOLDER, _LINK, _OTHER = range(4)
_HELD_OPEN = 32  # directories above the one being read; a key may have a thousand


class Listing(NamedTuple):
    """A page of a bucket: objects and common prefixes, each in order.

    ``last`` is the last of both, to go on after; empty for an empty page. ``more``: whether anything follows.
    """

    objects: list[Stored]
    prefixes: list[str]
    last: str
    more: bool


class Entry(NamedTuple):
    """What a walk meets: an object by key, or a whole folder (its key ends with a slash).

    ``folder`` is a descriptor of the directory it is in, open until the walk goes on; ``segment`` its last one.
    """

    key: str
    is_folder: bool
    folder: int
    segment: str


class _Frame:
    """A directory being read: its names below the bucket, the prefix they stand for, what is left of it."""

    def __init__(self, fd: int, names: list[str], prefix: str, after: str, beginning: str) -> None:
        self.fd: int | None = fd
        self.names, self.prefix = names, prefix
        self.rest = iter(_items(fd, prefix, after, beginning))

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def walk(top: int, *, prefix: str = "", after: str = "", shallow: bool = False) -> Generator[Entry]:
    """Meet the objects whose key begins with ``prefix`` and comes after ``after``, in order.

    ``shallow``: folders below the last slash of ``prefix`` are met, if they hold an object, and not entered.
    Raises OSError for a directory that cannot be read.
    """
    *folders, beginning = prefix.split("/")
    base = prefix.removesuffix(beginning)
    try:
        start = keypaths.descend(top, folders)
    except keypaths.SymbolicLink:
        start = None
    if start is None:
        return
    yield from _walk(top, _Frame(start[0], start[1], base, after, beginning), after, shallow)


def _walk(top: int, start: _Frame, after: str, shallow: bool) -> Generator[Entry]:
    frames = [start]
    try:
        while frames:
            frame = frames[-1]
            item = next(frame.rest, None)
            if frame.fd is None and item is not None:
                frame.fd = keypaths.open_exact(top, frame.names)
            if item is None or frame.fd is None:
                frames.pop().close()
                continue
            key, segment, folder_name = item
            if folder_name is None:
                yield Entry(key, False, frame.fd, segment)
            elif shallow:
                if not after.startswith(key) and _holds_object(frame.fd, folder_name):
                    yield Entry(key, True, frame.fd, segment)
            elif (fd := keypaths.open_exact(frame.fd, [folder_name])) is not None:
                if len(frames) >= _HELD_OPEN:
                    frame.close()
                frames.append(_Frame(fd, [*frame.names, folder_name], key, after, ""))
    finally:
        for frame in frames:
            frame.close()


def _items(fd: int, prefix: str, after: str, beginning: str) -> list[tuple[str, str, str | None]]:
    """Return keys in a directory in order, each with its segment and, for a folder, the directory's name.

    A folder's key has its slash: so it stands where all that it holds stands among the rest. Texts compare as
    their UTF-8 does.
    """
    found = []
    for segment, (has_file, folder_name) in _segments(fd).items():
        key = prefix + segment
        if has_file and key > after and segment.startswith(beginning):
            found.append((key, segment, None))
        key += "/"
        ahead = key > after or after.startswith(key)
        if folder_name is not None and ahead and segment.startswith(beginning):
            found.append((key, segment, folder_name))
    found.sort()
    return found


def _segments(fd: int) -> dict[str, tuple[bool, str | None]]:
    """Return what is in a directory: of each segment, whether there is an object, and the folder's name."""
    kinds: dict[str, int] = {}
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_symlink():
                kind = _LINK
            elif entry.is_file(follow_symlinks=False):
                kind = _FILE
            else:
                kind = _FOLDER if entry.is_dir(follow_symlinks=False) else _OTHER
            kinds[entry.name] = kind
    found: dict[str, tuple[bool, str | None]] = {}
    for name, kind in kinds.items():
        if "%" not in name and kind in (_FILE, _FOLDER) and f"{name}%2F" not in kinds and name.isprintable():
            found[name] = (kind == _FILE, name if kind == _FOLDER else None)
            continue
        segment = keypaths.unescape(name)
        if segment not in found and _is_text(segment):
            names = [other for other in keypaths.names_of(segment) if other in kinds]
            file, folder = _first(names, kinds, _FILE), _first(names, kinds, _FOLDER)
            found[segment] = (file is not None, folder)
    return found


def _first(names: Sequence[str], kinds: dict[str, int], wanted: int) -> str | None:
    """Return the first name of a kind, unless a link is in front of it: what is refused there is not listed."""
    for name in names:
        if kinds[name] in (wanted, _LINK):
            return name if kinds[name] == wanted else None
    return None


def _is_text(segment: str) -> bool:
    """Return whether a segment can be in a key: not, if its file's name is no UTF-8."""
    try:
        segment.encode()
    except UnicodeEncodeError:
        return False
    return True


def _holds_object(parent: int, name: str) -> bool:
    fd = keypaths.open_exact(parent, [name])
    if fd is None:
        return False
    frame = _Frame(fd, [name], "/", "", "")  # any prefix: the key of an object in it is never empty
    with closing(_walk(parent, frame, "", False)) as walked:
        return next(walked, None) is not None


def entries(top: int, *, prefix: str, delimiter: str, after: str) -> Generator[Entry]:
    """Meet objects and common prefixes in order, each once, after ``after`` (a key or a common prefix).

    Raises OSError as ``walk``.
    """
    if delimiter in ("", "/"):
        yield from walk(top, prefix=prefix, after=after, shallow=delimiter == "/")
        return
    common = ""
    for entry in walk(top, prefix=prefix, after=after):
        place = entry.key.find(delimiter, len(prefix))
        if place < 0:
            yield entry
        elif not (common and entry.key.startswith(common)):
            common = entry.key[: place + len(delimiter)]
            if not after.startswith(common):
                yield entry._replace(key=common, is_folder=True)

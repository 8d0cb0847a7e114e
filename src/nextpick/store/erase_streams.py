"""Records of users taken out of event streams and of their dead letters: those for some event trackers.

A record is an event of a user when it is JSON with a ``userId``, and one for a tracker by its ``trackingId``, or by
that of a consumer of its stream. What is no event is left alone, and so are the objects that an archive has written.
"""

import base64
import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from nextpick.durable import sync
from nextpick.store.stream import Stream, StreamMissing, letters_path, old_letters_path


class _Events:
    """Which records of a stream are of users, or of a session of theirs that names none."""

    def __init__(self, stream: Stream, trackers: Collection[str], users: Collection[str]) -> None:
        self._trackers, self._users, self._sessions = trackers, users, set[str]()
        self._default = next((c["trackingId"] for c in stream.config.consumers if "trackingId" in c), None)

    def are_of_users(self, data: bytes) -> bool:
        event = _read(data)
        if (event.get("trackingId") or self._default) not in self._trackers:
            return False
        user, session = event.get("userId"), event.get("sessionId")
        if user in (None, ""):
            return session is not None and str(session) in self._sessions
        if str(user) not in self._users:
            return False
        if session is not None:
            self._sessions.add(str(session))
        return True


def remove_users(root: Path, trackers: Collection[str], users: Collection[str]) -> int:
    """Remove from the streams below ``root`` the users' events for the trackers; return how many records and letters.

    Raises ServiceUnavailable when a reader keeps the pages written ahead.
    """
    removed = 0
    for stream in _each(root):
        events = _Events(stream, trackers, users)
        with suppress(StreamMissing):  # deleted in between
            _count(stream, events)  # which sessions are theirs
            removed += stream.remove(events.are_of_users)
            removed += sum(_remove_letters(stream, path, events) for path in _letters(stream))
    return removed


def count_users(root: Path, trackers: Collection[str], users: Collection[str]) -> int:
    """Return how many records and letters there are that ``remove_users`` would remove."""
    return sum(_count(stream, _Events(stream, trackers, users)) for stream in _each(root))


def _each(root: Path) -> Iterator[Stream]:
    for directory in sorted(root.glob("*/*/*.stream")):
        try:
            stream = Stream(directory)
        except StreamMissing:
            continue
        try:
            yield stream
        finally:
            stream.close()


def _letters(stream: Stream) -> list[Path]:
    paths = letters_path(stream.directory), old_letters_path(stream.directory)
    return [path for path in paths if path.exists()]


def _count(stream: Stream, events: _Events) -> int:
    found = sum(events.are_of_users(data) for data in stream.all_data())
    for path in _letters(stream):
        with path.open() as file:
            found += sum(events.are_of_users(_sent(line)) for line in file)
    return found


def _remove_letters(stream: Stream, path: Path, events: _Events) -> int:
    partial = path.with_suffix(".partial")
    removed = 0
    with stream.locked(), path.open() as file, partial.open("w") as kept:
        for line in file:
            if events.are_of_users(_sent(line)):
                removed += 1
            else:
                kept.write(line)
        kept.flush()
        os.fsync(kept.fileno())
        if removed:
            partial.rename(path)
            sync(path.parent)
        else:
            partial.unlink()
    return removed


def _sent(line: str) -> bytes:
    return base64.b64decode(json.loads(line)["data"])


def _read(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}

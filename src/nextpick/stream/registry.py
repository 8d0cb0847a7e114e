"""The streams of a home: made, found, listed, deleted.

``HOME/streams/ACCOUNT/REGION/NAME.stream`` is a stream. It appears and disappears by one rename.
"""

import shutil
import tempfile
import threading
from pathlib import Path

from nextpick.durable import make_dirs, sync, sync_tree
from nextpick.store.stamp import Stamp
from nextpick.store.stream import Config, Stream, StreamMissing, prepare

MOST_SHARDS = 64
_SUFFIX = ".stream"


class StreamExists(Exception):
    """There is a stream of that name."""


class Streams:
    """Opens each stream of a home once. Nothing is touched before the first call."""

    def __init__(self, home: Path) -> None:
        self.root = home / "streams"
        self._open: dict[Path, Stream] = {}
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None

    def create(self, config: Config) -> Stream:
        """Make a stream. Raises StreamExists, OSError; ValueError for a number of shards that cannot be."""
        if not 1 <= config.shards <= MOST_SHARDS:
            raise ValueError(f"A stream has 1 to {MOST_SHARDS} shards, not {config.shards}.")
        path = self._path(config.account, config.region, config.name)
        make_dirs(path.parent)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
        try:
            prepare(draft, config)
            sync_tree(draft)
            draft.rename(path)  # which fails where there is a directory with something in it
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            if path.exists():
                raise StreamExists(config.name) from None
            raise
        sync(path.parent)
        self._changed()
        return self.get(config.account, config.region, config.name)

    def get(self, account: str, region: str, name: str) -> Stream:
        """Return an open stream. Raises StreamMissing."""
        path = self._path(account, region, name)
        with self._lock:
            stream = self._open.get(path)
            if stream is not None and not stream.is_there():
                self._open.pop(path).close()
                stream = None
            if stream is None:
                stream = self._open[path] = Stream(path)
            return stream

    def delete(self, account: str, region: str, name: str) -> None:
        """Remove a stream with all its records. Raises StreamMissing, OSError."""
        path = self._path(account, region, name)
        stream = Stream(path)
        try:
            with stream.locked():
                gone = Path(tempfile.mkdtemp(prefix=".old-", dir=path.parent))
                path.rename(gone / path.name)
                sync(path.parent)
        finally:
            stream.close()
        shutil.rmtree(gone, ignore_errors=True)
        self._changed()

    def names(self, account: str, region: str) -> list[str]:
        """Return the names of an account's streams in a region, sorted."""
        found = (self.root / account / region).glob(f"*{_SUFFIX}")
        return sorted(path.name.removesuffix(_SUFFIX) for path in found if not path.name.startswith("."))

    def all(self) -> list[Stream]:
        """Return every stream, open."""
        found = []
        for path in sorted(self.root.glob(f"*/*/*{_SUFFIX}")):
            try:
                found.append(self.get(path.parts[-3], path.parts[-2], path.name.removesuffix(_SUFFIX)))
            except StreamMissing:
                continue
        return found

    def close(self) -> None:
        """Close every stream."""
        with self._lock:
            for stream in self._open.values():
                stream.close()
            self._open.clear()

    def _path(self, account: str, region: str, name: str) -> Path:
        if "/" in name or "\0" in name or not region or "/" in region or region.startswith("."):
            raise StreamMissing(name)
        return self.root / account / region / f"{name}{_SUFFIX}"

    def _changed(self) -> None:
        stamp = Stamp(self.root / "streams.stamp")
        stamp.change()
        stamp.close()

"""The objects of buckets: found, put in place, taken away, each change at once and on the disk when it is told."""

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from nextpick.durable import sync
from nextpick.store import keypaths
from nextpick.store.backstage import Backstage
from nextpick.store.faults import NoSuchBucket, NoSuchKey
from nextpick.store.keypaths import SymbolicLink, held
from nextpick.store.listing import Listing, entries
from nextpick.store.objectmeta import (
    Meta,
    Stored,
    claim_sidecar,
    identity,
    read_sidecar,
    sidecar,
    stored_as,
    write_sidecar,
)

Check = Callable[[Stored | None], None]
"""Looks at the object that is to be replaced or removed, None when there is none; what it raises stops that."""


class Objects:
    """The objects of all buckets."""

    def __init__(self, stage: Backstage) -> None:
        self._stage = stage

    @contextmanager
    def bucket(self, bucket: str) -> Iterator[int]:
        """Give a descriptor of a bucket's directory. Raises NoSuchBucket, OSError."""
        try:
            fd = keypaths.open_bucket(self._stage.root, bucket) if is_bucket_name(bucket) else None
        except SymbolicLink:
            fd = None
        if fd is None:
            raise NoSuchBucket(bucket)
        with held(fd):
            yield fd

    @contextmanager
    def locked(self, bucket: str) -> Iterator[int]:
        """Give that while nobody else changes the bucket. Raises NoSuchBucket, OSError."""
        with self.bucket(bucket):
            pass  # what is no bucket gets no lock
        with self._stage.lock(bucket), self.bucket(bucket) as top:
            yield top

    def stat(self, bucket: str, key: str) -> Stored | None:
        """Return an object, None when there is none. Raises NoSuchBucket, OSError."""
        with self.bucket(bucket) as top, _folder_of(top, key) as folder:
            return None if folder is None else self._load(bucket, folder, key)

    def open(self, bucket: str, key: str) -> tuple[Stored, BinaryIO]:
        """Return an object and its content, which belong together. Raises NoSuchBucket, NoSuchKey, OSError."""
        with self.bucket(bucket) as top, _folder_of(top, key) as folder:
            while folder is not None and (found := _find(folder, key)) is not None:
                try:
                    file = os.fdopen(keypaths.open_file(folder, found[0]), "rb")
                except OSError as error:
                    if error.errno in (errno.ENOENT, errno.ELOOP):  # something else in the meantime
                        continue
                    raise
                try:
                    opened = os.fstat(file.fileno())
                    stored = self._stored(bucket, folder, key, opened)
                except BaseException:
                    file.close()
                    raise
                if stored is not None:
                    return stored, file
                file.close()
        raise NoSuchKey(key)

    def objects(self, bucket: str, *, prefix: str, delimiter: str, after: str, limit: int) -> Listing:
        """Return a page of a bucket. Raises NoSuchBucket, OSError."""
        page = Listing([], [], "", False)
        with self.bucket(bucket) as top:
            met = entries(top, prefix=prefix, delimiter=delimiter, after=after)
            with closing(met):
                for entry in met if limit > 0 else ():
                    stored = None if entry.is_folder else self._load(bucket, entry.folder, entry.key)
                    if stored is None and not entry.is_folder:
                        continue  # removed since its directory was read
                    if len(page.objects) + len(page.prefixes) == limit:
                        return page._replace(more=True)
                    if stored is None:
                        page.prefixes.append(entry.key)
                    else:
                        page.objects.append(stored)
                    page = page._replace(last=entry.key)
        return page

    def _load(self, bucket: str, folder: int, key: str) -> Stored | None:
        while (found := _find(folder, key)) is not None:
            stored = self._stored(bucket, folder, key, found[1])
            if stored is not None:
                return stored
        return None

    def _stored(self, bucket: str, folder: int, key: str, found: os.stat_result) -> Stored | None:
        """Return an object whose data file was found so; None when it has been replaced since."""
        meta = read_sidecar(sidecar(self._stage.meta(bucket), key, found))
        if meta is None:
            # A replaced object's sidecar is gone soon after: only what still lies there never had one.
            again = _find(folder, key)
            if again is None or identity(again[1]) != identity(found):
                return None
        return stored_as(key, found, meta)

    def put(self, source: Path, fd: int, bucket: str, key: str, meta: Meta, check: Check | None) -> Stored:
        """Move a file into place as an object; ``fd`` is it, open for writing.

        Raises KeyTooLong, Blocked, NoSuchBucket, OSError, what ``check`` does; then the object is as it was.
        """
        keypaths.check_key(key)
        new: Path | None = None
        try:
            try:
                # The real clock, as of every file: a time of the caller's could come twice.
                now, directory = time.time_ns(), self._stage.meta(bucket)
                new = claim_sidecar(directory, key, fd, now, partial(self._make, bucket))
                os.fsync(fd)
                write_sidecar(new, meta)
                sync(new.parent)
            except FileNotFoundError:  # it went with the bucket
                raise NoSuchBucket(bucket) from None
            with self.locked(bucket) as top:
                old = self._current(bucket, top, key, check)
                folder, names = keypaths.make_folders(top, key.split("/")[:-1])
                try:
                    self._switch(source, folder, key, bucket)
                except BaseException:
                    os.close(folder)
                    os.close(keypaths.prune(top, names))
                    raise
        except BaseException:
            if new is not None:
                new.unlink(missing_ok=True)
            raise
        with held(folder):
            os.fsync(folder)
            self._forget(bucket, key, old)
            return stored_as(key, os.fstat(fd), meta)

    def remove(self, bucket: str, key: str, check: Check | None) -> bool:
        """Remove an object and the folders that are empty then; return whether there was one.

        Raises NoSuchBucket, OSError, and what ``check`` does.
        """
        with self.locked(bucket) as top:
            old = self._current(bucket, top, key, check)
            found = keypaths.descend(top, key.split("/")[:-1]) if old else None
            if found is None:
                return False
            with held(found[0]):
                for name, _ in reversed(old):  # what counts goes last: no older one shows up in between
                    os.unlink(name, dir_fd=found[0])
            folder = keypaths.prune(top, found[1])
        with held(folder):
            os.fsync(folder)
        self._forget(bucket, key, old)
        return True

    def _current(
        self, bucket: str, top: int, key: str, check: Check | None
    ) -> list[tuple[str, os.stat_result]]:
        """Return the files that an object has, the one that counts first, after a look at it."""
        with _folder_of(top, key) as folder:
            found = None if folder is None else _find(folder, key)
            if check is not None:
                check(None if folder is None or found is None else self._load(bucket, folder, key))
            return keypaths.files_of(folder, _last(key)) if folder is not None and found is not None else []

    def _switch(self, source: Path, folder: int, key: str, bucket: str) -> None:
        name = keypaths.name_for_file(folder, _last(key))
        try:
            os.rename(source, name, dst_dir_fd=folder)
        except FileNotFoundError:  # it went with the bucket, and this is another
            raise NoSuchBucket(bucket) from None
        for other, _ in keypaths.files_of(folder, _last(key)):
            if other != name:
                os.unlink(other, dir_fd=folder)

    def _forget(self, bucket: str, key: str, files: list[tuple[str, os.stat_result]]) -> None:
        """Remove sidecars of contents that are gone from the disk for good; no harm is done by one that stays."""
        for _, found in files:
            with suppress(OSError):
                sidecar(self._stage.meta(bucket), key, found).unlink()

    def _make(self, bucket: str, directory: Path) -> None:
        with self.locked(bucket):
            self._stage.make(bucket, directory.parent)
            self._stage.make(bucket, directory)


def is_bucket_name(name: str) -> bool:
    """Return whether a directory of that name is a bucket."""
    return re.fullmatch(keypaths.BUCKET_NAME, name) is not None


def _last(key: str) -> str:
    return key.rpartition("/")[2]


@contextmanager
def _folder_of(top: int, key: str) -> Iterator[int | None]:
    """Give a descriptor of the directory that an object would be in; None where there can be none."""
    try:
        key.encode()
        found = keypaths.descend(top, key.split("/")[:-1]) if key else None
    except (SymbolicLink, UnicodeEncodeError):
        found = None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        found = None
    if found is None:
        yield None
    else:
        with held(found[0]):
            yield found[0]


def _find(folder: int, key: str) -> tuple[str, os.stat_result] | None:
    """Find an object's file; a link is nothing."""
    try:
        return keypaths.find_file(folder, _last(key))
    except SymbolicLink:
        return None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return None

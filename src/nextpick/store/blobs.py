"""Objects under ``s3://bucket/key`` for jobs to read: in a directory per bucket, or in an S3 service.

Without ``s3_endpoint`` a bucket is the directory HOME/buckets/<bucket> and a key a path below it, as ``keypaths``
says. No key reaches outside its bucket, and symbolic links are refused.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO

from nextpick.settings import Settings
from nextpick.store import keypaths
from nextpick.store.keypaths import BUCKET_NAME, SymbolicLink, escape, held, unescape
from nextpick.store.readable import DENIED, BlobError, Object
from nextpick.store.s3service import list_service

__all__ = ["BlobError", "Object", "escape", "list_objects", "parse_location", "unescape"]

_LOCATION = re.compile(rf"s3://(?P<bucket>{BUCKET_NAME})(?:/(?P<key>.*))?", re.DOTALL)


def list_objects(location: str, settings: Settings) -> list[Object]:
    """Return the object at ``location``, or else the objects at the first level under it as a prefix.

    Sorted by key; a prefix is meant with or without its last slash, objects without content (folder markers)
    in it are left out. Source: developer guide, "Importing bulk records". Raises BlobError naming the
    location when nothing is there, the bucket when it is missing, and what is a link or may not be read.
    """
    bucket, key = parse_location(location)
    listed = (
        list_service(bucket, key, settings)
        if settings.s3_endpoint
        else _list_directory(bucket, key, settings)
    )
    if not listed:
        raise BlobError(f"Invalid Data location. There is no object at {location}.")
    return sorted(listed, key=lambda found: found.key)


def parse_location(location: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``. Raises BlobError when it is not of that form."""
    match = _LOCATION.fullmatch(location)
    if match is None:
        raise BlobError(f"Invalid Data location. {location} is not of the form s3://bucket/key.")
    return match["bucket"], match["key"] or ""


def _list_directory(bucket: str, key: str, settings: Settings) -> list[Object]:
    try:
        _, size = _stat(settings, bucket, key)
        return [Object(key, size, partial(_open, settings, bucket, key))]
    except FileNotFoundError:
        pass
    prefix = f"{key.removesuffix('/')}/" if key else ""
    found = []
    with _directory(settings, bucket, prefix.split("/")[:-1], f"s3://{bucket}/{prefix}") as fd:
        if fd is None:
            return []
        segments = dict.fromkeys(unescape(name) for name in _file_names(fd, f"s3://{bucket}/{prefix}"))
        for segment in segments:
            file = keypaths.find_file(fd, segment)
            if file is not None and file[1].st_size:
                key = prefix + segment
                found.append(Object(key, file[1].st_size, partial(_open, settings, bucket, key)))
    return found


def _file_names(fd: int, location: str) -> list[str]:
    """Return the names of the files in a directory; a link among them is refused."""
    found = []
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_symlink():
                raise BlobError(f"{location}{entry.name} is a symbolic link, which is not followed.")
            if entry.is_file(follow_symlinks=False):
                found.append(entry.name)
    return found


def _stat(settings: Settings, bucket: str, key: str) -> tuple[str, int]:
    """Return file name and size of an object. Raises FileNotFoundError when there is none."""
    *folders, last = key.split("/")
    location = f"s3://{bucket}/{key}"
    with _directory(settings, bucket, folders, location) as fd, _refusals(location):
        try:
            found = None if fd is None else keypaths.find_file(fd, last)
        except SymbolicLink:
            raise BlobError(f"{location} is a symbolic link, which is not followed.") from None
    if found is None:
        raise FileNotFoundError(key)
    return found[0], found[1].st_size


def _open(settings: Settings, bucket: str, key: str) -> BinaryIO:
    location = f"s3://{bucket}/{key}"
    try:
        name, _ = _stat(settings, bucket, key)
        with _directory(settings, bucket, key.split("/")[:-1], location) as fd, _refusals(location):
            if fd is None:
                raise FileNotFoundError(key)
            return os.fdopen(keypaths.open_file(fd, name), "rb")
    except FileNotFoundError:
        raise BlobError(f"Invalid Data location. There is no object at {location}.") from None


@contextmanager
def _directory(settings: Settings, bucket: str, folders: list[str], location: str) -> Iterator[int | None]:
    """Give a descriptor of a directory of a bucket; None when there is none."""
    buckets = settings.home / "buckets"
    try:
        with _refusals(location):
            top = keypaths.open_bucket(buckets, bucket)
            if top is None:
                raise BlobError(f"Invalid Data location. There is no bucket {bucket} ({buckets / bucket}).")
            with held(top):
                found = keypaths.descend(top, folders)
    except SymbolicLink as link:
        raise BlobError(f"{location} is behind a symbolic link, {link}, which is not followed.") from None
    if found is None:
        yield None
    else:
        with held(found[0]):
            yield found[0]


@contextmanager
def _refusals(location: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise BlobError(f"{DENIED} {location}: {error.strerror}.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:  # a link where a file was (ELOOP), a name too long, a disk that fails
        raise BlobError(f"{location} cannot be read: {error.strerror}.") from None

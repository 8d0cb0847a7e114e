"""Objects under ``s3://bucket/key``: in a directory per bucket, or in an S3 service.

Without ``s3_endpoint`` a bucket is the directory HOME/buckets/<bucket> and a key a path below it. Each
segment of a key (between slashes) is a file name in which control characters and ``%`` are escaped, a byte
as ``%XX``; the segments ``.`` and ``..`` are ``%2E`` and ``%2E%2E``, an empty segment is ``%``. So a file
dropped into the directory under an ordinary name is the object of that name; a file whose name is no such
escape (``100%.csv``) is the object of its name as it stands. No key reaches outside its bucket, and symbolic
links are refused: each step of a path is opened from the one before it.
"""

import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast
from urllib.parse import unquote

from nextpick.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Store

_LOCATION = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{0,254})(?:/(?P<key>.*))?", re.DOTALL)
_SPECIAL = re.compile(r"[%\x00-\x1f\x7f]")
_DENIED = "Insufficient privileges for accessing data in Amazon S3."


class BlobError(Exception):
    """An object cannot be had; the text says which and why."""


class Object(NamedTuple):
    """An object: its key, its size in bytes, and how to open it for reading (raises BlobError)."""

    key: str
    size: int
    open: Callable[[], BinaryIO]

    @property
    def name(self) -> str:
        """The last segment of the key: what messages call it."""
        return self.key.rpartition("/")[2]


def list_objects(location: str, settings: Settings) -> list[Object]:
    """Return the object at ``location``, or else the objects at the first level under it as a prefix.

    Sorted by key; a prefix is meant with or without its last slash, objects without content (folder markers)
    in it are left out. Source: developer guide, "Importing bulk records". Raises BlobError naming the
    location when nothing is there, the bucket when it is missing, and what is a link or may not be read.
    """
    bucket, key = parse_location(location)
    listed = (
        _list_service(bucket, key, settings)
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


def escape(segment: str) -> str:
    """Return the file name of one segment of a key."""
    if segment in ("", ".", ".."):
        return {"": "%", ".": "%2E", "..": "%2E%2E"}[segment]
    return _SPECIAL.sub(lambda match: f"%{ord(match[0]):02X}", segment)


def unescape(name: str) -> str:
    """Return the segment of a key that a file name stands for."""
    segment = "" if name == "%" else unquote(name, errors="surrogateescape")
    return segment if "/" not in segment and escape(segment) == name else name


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
        with os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise BlobError(
                        f"s3://{bucket}/{prefix}{entry.name} is a symbolic link, which is not followed."
                    )
                size = entry.stat(follow_symlinks=False).st_size
                if entry.is_file(follow_symlinks=False) and size:
                    name = prefix + unescape(entry.name)
                    found.append(Object(name, size, partial(_open, settings, bucket, name)))
    return found


def _stat(settings: Settings, bucket: str, key: str) -> tuple[str, int]:
    """Return file name and size of an object. Raises FileNotFoundError when there is none."""
    *folders, last = key.split("/")
    with _directory(settings, bucket, folders, f"s3://{bucket}/{key}") as fd:
        for name in _names(last) if fd is not None else ():
            with _refusals(f"s3://{bucket}/{key}"):
                try:
                    found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
            if stat.S_ISLNK(found.st_mode):
                raise BlobError(f"s3://{bucket}/{key} is a symbolic link, which is not followed.")
            if stat.S_ISREG(found.st_mode):
                return name, found.st_size
    raise FileNotFoundError(key)


def _open(settings: Settings, bucket: str, key: str) -> BinaryIO:
    location = f"s3://{bucket}/{key}"
    try:
        name, _ = _stat(settings, bucket, key)
        with _directory(settings, bucket, key.split("/")[:-1], location) as fd, _refusals(location):
            # A link put in place since the stat is refused by O_NOFOLLOW.
            return os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=fd), "rb")
    except FileNotFoundError:
        raise BlobError(f"Invalid Data location. There is no object at {location}.") from None


def _names(segment: str) -> list[str]:
    """Return the file names a segment may have: its escape, then itself where it is no escape of another."""
    plain = segment not in ("", ".", "..") and "\0" not in segment and unescape(segment) == segment
    return [escape(segment), segment] if plain and escape(segment) != segment else [escape(segment)]


@contextmanager
def _directory(settings: Settings, bucket: str, folders: list[str], location: str) -> Iterator[int | None]:
    """Give a descriptor of a directory of a bucket, opened step by step; None when there is none."""
    buckets = settings.home / "buckets"
    fd = None
    try:
        for depth, names in enumerate([[os.fspath(buckets)], [bucket], *map(_names, folders)]):
            steps = (_step(name, fd, location) for name in names)
            deeper = next((step for step in steps if step is not None), None)
            if fd is not None:
                os.close(fd)
            fd = deeper
            if fd is None and depth < 2:
                raise BlobError(f"Invalid Data location. There is no bucket {bucket} ({buckets / bucket}).")
            if fd is None:
                break
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _step(name: str, fd: int | None, location: str) -> int | None:
    """Open a directory inside ``fd``; None when there is none."""
    follow = 0 if fd is None else os.O_NOFOLLOW  # where HOME itself lies is the operator's business
    try:
        with _refusals(location):
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | follow, dir_fd=fd)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        if fd is not None and stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            raise BlobError(f"{location} is behind a symbolic link, {name}, which is not followed.") from None
        return None


@contextmanager
def _refusals(location: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise BlobError(f"{_DENIED} {location}: {error.strerror}.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:  # a link where a file was (ELOOP), a name too long, a disk that fails
        raise BlobError(f"{location} cannot be read: {error.strerror}.") from None


def _list_service(bucket: str, key: str, settings: Settings) -> list[Object]:
    import obstore
    from obstore.exceptions import NotFoundError

    store = _service(bucket, settings)
    with _service_refusals(bucket, key):
        if key and not key.endswith("/"):
            try:
                head = obstore.head(store, key)
                return [Object(key, head["size"], partial(_open_service, store, bucket, key))]
            except (FileNotFoundError, NotFoundError):
                pass
        prefix = key.removesuffix("/")
        listed = obstore.list_with_delimiter(store, prefix or None)["objects"]
    return [
        Object(found["path"], found["size"], partial(_open_service, store, bucket, found["path"]))
        for found in cast(list[Any], listed)
        if found["size"]
    ]


def _service(bucket: str, settings: Settings) -> "S3Store":
    from obstore.store import S3Store

    # Keys from the settings or none at all: never the AWS_* variables or the machine's own role.
    # A provider, because plain options are completed from the environment (AWS_SESSION_TOKEN).
    keys: Any = {"skip_signature": True}
    if settings.s3_access_key_id:
        credential = {
            "access_key_id": settings.s3_access_key_id,
            "secret_access_key": settings.s3_secret_access_key,
            "expires_at": None,
        }
        keys = {"skip_signature": False, "credential_provider": lambda: credential}
    return S3Store(
        bucket,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        virtual_hosted_style_request=False,
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        client_options={"allow_http": settings.s3_endpoint.startswith("http://")},
        **keys,
    )


def _open_service(store: "S3Store", bucket: str, key: str) -> BinaryIO:
    import obstore

    with _service_refusals(bucket, key):
        reader = obstore.open_reader(store, key)
    return io.BufferedReader(_ServiceFile(reader, bucket, key), 1 << 20)


class _ServiceFile(io.RawIOBase):
    """An obstore reader as a file of Python's."""

    def __init__(self, reader: Any, bucket: str, key: str) -> None:
        self._reader, self._bucket, self._key = reader, bucket, key

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _service_refusals(self._bucket, self._key):
            found = memoryview(self._reader.read(len(buffer)))
        buffer[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


@contextmanager
def _service_refusals(bucket: str, key: str) -> Iterator[None]:
    from obstore import exceptions as wrong

    location = f"s3://{bucket}/{key}"
    try:
        yield
    except (wrong.PermissionDeniedError, wrong.UnauthenticatedError):
        raise BlobError(f"{_DENIED} {location} was refused by the S3 service.") from None
    except (wrong.BaseError, OSError) as error:
        text = str(error)
        if "NoSuchBucket" in text:
            raise BlobError(f"Invalid Data location. There is no bucket {bucket}.") from None
        if isinstance(error, wrong.NotFoundError | FileNotFoundError):
            raise BlobError(f"Invalid Data location. There is no object at {location}.") from None
        raise BlobError(f"{location} cannot be read: {text.splitlines()[0]}") from None

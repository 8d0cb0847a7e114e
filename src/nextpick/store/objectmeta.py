"""What is known of an object besides its content: a sidecar file that belongs to one content only.

A sidecar is named after the key and after time and size of the data file, which renaming keeps. So a put writes
the new sidecar beside the old one, and moving the data into place switches both at once; a file replaced by hand
has none. One that cannot be read, as a power cut may leave it, counts as none.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

DEFAULT_TYPE = "binary/octet-stream"


class Meta(msgspec.Struct, omit_defaults=True):
    """The metadata of an object. An empty text is a header that was not given.

    ``checksums`` are by algorithm ("CRC32": base64); ``parts`` are sizes in bytes, None when it was put in one.
    """

    etag: str = ""
    content_type: str = DEFAULT_TYPE
    content_encoding: str = ""
    content_disposition: str = ""
    content_language: str = ""
    cache_control: str = ""
    expires: str = ""
    user: dict[str, str] = {}
    checksums: dict[str, str] = {}
    parts: list[int] | None = None


class Stored(NamedTuple):
    """An object as it lies there. ``size`` in bytes, ``modified_at`` in seconds since 1970."""

    key: str
    size: int
    modified_at: float
    meta: Meta


_ENCODE = msgspec.json.encode
_DECODE = msgspec.json.Decoder(Meta).decode


def stored_as(key: str, found: os.stat_result, meta: Meta | None) -> Stored:
    """Return what a data file is; without ``meta`` it was put there by hand."""
    if meta is None:
        meta = Meta(etag=f"{found.st_mtime_ns:x}-{found.st_size:x}")
    return Stored(key, found.st_size, found.st_mtime_ns / 1e9, meta)


def identity(found: os.stat_result) -> tuple[int, int, int]:
    """Return what tells one content of a key from another."""
    return found.st_mtime_ns, found.st_size, found.st_ino


def sidecar(directory: Path, key: str, found: os.stat_result) -> Path:
    """Return where the metadata of a content of a key lies."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
    return directory / digest[:2] / f"{digest}.{found.st_mtime_ns:x}.{found.st_size:x}"


def read_sidecar(path: Path) -> Meta | None:
    """Return the metadata in a sidecar; None when there is none that can be read."""
    try:
        return _DECODE(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def claim_sidecar(directory: Path, key: str, fd: int, now_ns: int, make: Callable[[Path], None]) -> Path:
    """Give a data file a time that no content of its key and size had, and make its empty sidecar.

    ``make`` makes a missing directory. Raises OSError.
    """
    step = 1
    while True:
        os.utime(fd, ns=(now_ns, now_ns))
        path = sidecar(directory, key, os.fstat(fd))
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
            return path
        except FileExistsError:  # ten times further each time: some file systems keep whole seconds
            now_ns, step = now_ns + step, step * 10
        except FileNotFoundError:
            make(path.parent)


def write_sidecar(path: Path, meta: Meta) -> None:
    """Fill a claimed sidecar, content and name on the disk. Raises OSError."""
    with path.open("r+b") as file:
        file.write(_ENCODE(meta))
        file.flush()
        os.fsync(file.fileno())

"""Digests of what is uploaded: the MD5 that entity tags are made of, and the checksums clients choose.

Source: Amazon S3 User Guide, "Checking object integrity".
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from nextpick.neighbours.s3.errors import InvalidRequest

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
_CRC_BYTES = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8}


class Digest(Protocol):
    """What hashlib's objects are."""

    def update(self, data: Any, /) -> None:
        """Add bytes."""
        ...

    def digest(self) -> bytes:
        """Return the digest of the bytes so far."""
        ...


class _Crc:
    def __init__(self, name: str) -> None:
        self._size, self._function, self._value = _CRC_BYTES[name], _crc_function(name), 0

    def update(self, data: Any, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def _crc_function(name: str) -> Callable[[Any, int], int]:
    if name == "CRC32":
        return zlib.crc32
    from awscrt import checksums  # a library of 8 MB that few uploads need

    return {"CRC32C": checksums.crc32c, "CRC64NVME": checksums.crc64nvme}[name]


def new(name: str) -> Digest:
    """Return a digest of an algorithm in ``ALGORITHMS``, or of MD5. Raises InvalidRequest for another."""
    if name in _CRC_BYTES:
        return _Crc(name)
    if name in ("MD5", "SHA1", "SHA256"):
        return hashlib.new(name.lower(), usedforsecurity=False)
    raise InvalidRequest(f"The checksum algorithm {name} is not one of {', '.join(ALGORITHMS)}.")


def base64_of(digest: bytes) -> str:
    """Return a digest as headers write it."""
    return base64.b64encode(digest).decode()


def of_parts(name: str, parts: Iterable[tuple[str, int]], *, full: bool) -> str:
    """Return the checksum of an object from those of its parts, (base64, size in bytes) each.

    A full one is that of the object's bytes, which CRCs allow; a composite one is the digest of the parts'
    digests, with their number. Raises InvalidRequest for a full one of an algorithm that has none.
    """
    found = [(base64.b64decode(text), size) for text, size in parts]
    if not full:
        whole = new(name)
        for digest, _ in found:
            whole.update(digest)
        return f"{base64_of(whole.digest())}-{len(found)}"
    if name not in _CRC_BYTES:
        raise InvalidRequest(f"The FULL_OBJECT checksum type cannot be used with the {name} algorithm.")
    from awscrt import checksums

    combine = {
        "CRC32": checksums.combine_crc32,
        "CRC32C": checksums.combine_crc32c,
        "CRC64NVME": checksums.combine_crc64nvme,
    }[name]
    value = 0
    for digest, size in found:
        value = combine(value, int.from_bytes(digest, "big"), size)
    return base64_of(value.to_bytes(_CRC_BYTES[name], "big"))

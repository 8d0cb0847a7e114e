"""An object that a job reads, wherever it lies."""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

DENIED = "Insufficient privileges for accessing data in Amazon S3."


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

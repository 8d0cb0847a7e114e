"""Streams with known records, and consumers that are watched."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nextpick.store.stream import Config, New, Stream, hash_of
from nextpick.stream.registry import Streams

ACCOUNT, REGION = "000000000000", "us-east-1"


def make(
    home: Path, name: str = "s", shards: int = 1, consumers: tuple[dict[str, Any], ...] = (), **more: Any
) -> Stream:
    """Make a stream."""
    more.setdefault("created", 1_700_000_000.0)
    return Streams(home).create(Config(name, ACCOUNT, REGION, shards, consumers=consumers, **more))


def new(key: str, data: bytes) -> New:
    """Return a record to append."""
    return New(key, data, hash_of(key))


def until(is_so: Callable[[], Any], timeout_s: float = 30) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found

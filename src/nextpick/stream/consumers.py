"""What takes records from a stream, and what all of it shares.

A consumer is an entry in the stream's configuration: ``name``, ``type`` (``events``, ``function``, ``archive``) and
what its type reads; ``after`` says behind which number of each shard it starts, from the oldest record without it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import ClientError

from nextpick.clock import Clock
from nextpick.store.stream import Record, Stream
from nextpick.stream.letters import DeadLetters

TYPES = ("events", "function", "archive")
SHORTEST_BUFFER_S = 1.0


class TryAgain(Exception):
    """What the records are for cannot take them now; nothing is wrong with them."""


def told(error: ClientError) -> tuple[str, str]:
    """Return the code and the message of what a service answered."""
    held: dict[str, Any] = dict(error.response.get("Error", {}))
    return str(held.get("Code", "")), str(held.get("Message", ""))


class Surroundings(NamedTuple):
    """What a consumer works with. ``client`` makes boto3 clients that act as the administrator."""

    home: Path
    stream: Stream
    letters: DeadLetters
    clock: Clock
    client: Callable[..., Any]


class Consumer(Protocol):
    """Takes records of one shard. ``batch`` and ``batch_bytes``: how much it is given at most; ``pause_s``: how long it
    waits before it looks again when it has taken nothing, None to be woken by the next record."""

    @property
    def batch(self) -> int: ...

    @property
    def batch_bytes(self) -> int: ...

    @property
    def pause_s(self) -> float | None: ...

    def take(self, records: Sequence[Record]) -> int:
        """Take records from the first on; return with how many it is done, their effects on disk.

        A record that cannot be used becomes a dead letter, and that is done with. Raises TryAgain.
        """
        ...

    def close(self) -> None:
        """Let go what it holds."""
        ...


def make(config: dict[str, Any], around: Surroundings) -> Consumer:
    """Return a consumer for one shard. Raises ValueError as ``check`` does."""
    check(config)
    if config["type"] == "events":
        from nextpick.stream.put_events import EventsConsumer

        return EventsConsumer(config, around)
    if config["type"] == "function":
        from nextpick.stream.call_function import FunctionConsumer

        return FunctionConsumer(config, around)
    from nextpick.stream.archive import ArchiveConsumer

    return ArchiveConsumer(config, around)


_MEMBERS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "events": {"trackingId": str},
    "function": {"function": str, "batchSize": int, "attempts": int, "bisect": bool},
    "archive": {"bucket": str, "prefix": str, "bufferSeconds": (int, float), "bufferBytes": int},
}
_REQUIRED = {"events": (), "function": ("function",), "archive": ("bucket",)}


def check(config: dict[str, Any]) -> None:
    """Raise ValueError naming what is wrong with a consumer's configuration."""
    kind = config.get("type")
    if kind not in TYPES:
        raise ValueError(f"A consumer's type is one of {', '.join(TYPES)}, not {kind!r}.")
    if not config.get("name") or not isinstance(config["name"], str):
        raise ValueError("A consumer needs a name.")
    members = _MEMBERS[kind]
    for name, value in config.items():
        if name in ("name", "type", "after"):
            continue
        if name not in members:
            raise ValueError(f"A consumer of type {kind} has no {name}; it has {', '.join(members)}.")
        if not isinstance(value, members[name]) or (isinstance(value, bool) and members[name] is not bool):
            raise ValueError(f"{name} of consumer {config['name']} is {value!r}.")
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
            raise ValueError(f"{name} of consumer {config['name']} is {value}; it must be above 0.")
    for name in _REQUIRED[kind]:
        if not config.get(name):
            raise ValueError(f"A consumer of type {kind} needs {name}.")

"""The header that carries a trace: ``X-Amzn-Trace-Id: Root=1-…;Parent=…;Sampled=1``.

Source: X-Ray developer guide, "Tracing header", "Trace ID format". SDKs in functions send it on by themselves.
"""

import re
import secrets
from contextvars import ContextVar
from typing import NamedTuple

NAME = "x-amzn-trace-id"

_ROOT = re.compile(r"1-[0-9a-f]{8}-[0-9a-f]{24}")
_PARENT = re.compile(r"[0-9a-f]{16}")


class Trace(NamedTuple):
    """Where a call belongs: its trace, the segment that makes it ("" for none), and whether it is recorded, None
    where nobody has decided."""

    root: str
    parent: str = ""
    sampled: bool | None = None

    @property
    def header(self) -> str:
        """The value of the header."""
        parent = f";Parent={self.parent}" if self.parent else ""
        sampled = "" if self.sampled is None else f";Sampled={int(self.sampled)}"
        return f"Root={self.root}{parent}{sampled}"


current: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of the request that is being served, with the segment that is open as the parent."""


def begin(now: float) -> str:
    """Return the id of a new trace that begins at a time (epoch seconds)."""
    return f"1-{int(now):08x}-{secrets.token_hex(12)}"


def segment_id() -> str:
    """Return the id of a new segment."""
    return secrets.token_hex(8)


def parse(text: str | None) -> Trace | None:
    """Return what a header says, None where it names no trace."""
    if not text:
        return None
    split = (part.strip().partition("=") for part in text.split(";"))
    parts = {name: value for name, _, value in split}
    root, parent = parts.get("Root", ""), parts.get("Parent", "")
    if not _ROOT.fullmatch(root):
        return None
    sampled = {"0": False, "1": True}.get(parts.get("Sampled", ""))
    return Trace(root, parent if _PARENT.fullmatch(parent) else "", sampled)

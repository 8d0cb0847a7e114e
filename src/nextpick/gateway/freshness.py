"""How long clients may keep an answer: Cache-Control, ETag, 304.

An answer's entity tag says what it holds and until when it is fresh: ``"HASH-MILLISECONDS-SECONDS"``. A client that
shows it meanwhile is told 304 without the engine being asked.
"""

import re
import zlib
from typing import Any

from nextpick.clock import Clock
from nextpick.gateway.messages import Header, Reply, Request

_TAG = re.compile(r'(?:W/)?"[0-9a-f]{8}-([0-9]{13})-([0-9]{1,8})"')
_LONGEST_S = 86_400 * 365


class Freshness:
    """``maxAge`` in seconds, ``directives`` beside it (``private`` by default)."""

    def __init__(self, declared: dict[str, Any], clock: Clock) -> None:
        """Raises ValueError."""
        self._clock = clock
        max_age = declared.get("maxAge")
        if not isinstance(max_age, int) or not 0 <= max_age <= _LONGEST_S:
            raise ValueError(f"cache.maxAge is {max_age!r}; it must be a number of seconds")
        self._max_age = max_age
        directives = str(declared.get("directives", "private"))
        self._control = (
            "cache-control",
            f"{directives}, max-age={self._max_age}" if directives else f"max-age={self._max_age}",
        )

    def headers(self, body: bytes, items: Any) -> tuple[Header, ...]:
        """Return the headers of an answer; ``items`` are what makes two answers the same."""
        tag = f'"{zlib.adler32(bytes(items)):08x}-{int(self._clock.now() * 1000)}-{self._max_age}"'
        return self._control, ("etag", tag)

    def unchanged(self, request: Request) -> Reply | None:
        """Return the 304 to a client that shows an entity tag which is still fresh."""
        shown = request.headers.get("if-none-match")
        if not shown:
            return None
        now = self._clock.now()
        for match in _TAG.finditer(shown):
            age = now - int(match[1]) / 1000
            if 0 <= age < min(int(match[2]), self._max_age):
                return Reply(304, b"", (self._control, ("etag", match[0])))
        return None

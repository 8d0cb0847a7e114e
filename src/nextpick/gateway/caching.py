"""The cache of a stage: answers to GET, kept in a worker's memory for a time, by method, path and key parameters.

Source: API Gateway developer guide, "Cache settings for REST APIs". Answers that are asked for often are made anew
before their time is over (``prefetch``), so that nobody waits for the users who come most.
"""

from collections import OrderedDict
from typing import Any

from nextpick.gateway.mapping import Source, source
from nextpick.gateway.messages import Reply, Request

_MOST_BYTES = 64 << 20
_LONGEST_S = 3600
_EARLY = 0.2  # the share of an answer's time before whose end it is made anew


class _Kept:
    __slots__ = ("hits", "made", "refreshing", "reply")

    def __init__(self, reply: Reply, made: float) -> None:
        self.reply, self.made, self.hits, self.refreshing = reply, made, 0, False


class StageCache:
    """Answers of one stage. ``prefetch``: how often an answer must be asked for in its time to be made anew early."""

    def __init__(self, ttl_s: float, prefetch: int | None) -> None:
        """Raises ValueError."""
        if not 0 < ttl_s <= _LONGEST_S:
            raise ValueError(f"cacheTtlInSeconds is {ttl_s}; it must be above 0 and at most {_LONGEST_S}")
        self._ttl_s, self._prefetch = ttl_s, prefetch
        self._kept: OrderedDict[Any, _Kept] = OrderedDict()
        self._size = 0

    def get(self, key: Any, now: float) -> tuple[Reply | None, bool]:
        """Return the answer that is kept, and whether the caller should make it anew beside."""
        kept = self._kept.get(key)
        if kept is None:
            return None, False
        age = now - kept.made
        if not 0 <= age < self._ttl_s:
            self._drop(key)
            return None, False
        self._kept.move_to_end(key)
        kept.hits += 1
        is_due = (
            self._prefetch is not None
            and kept.hits >= self._prefetch
            and age >= self._ttl_s * (1 - _EARLY)
            and not kept.refreshing
        )
        kept.refreshing = kept.refreshing or is_due
        return kept.reply, is_due

    def put(self, key: Any, reply: Reply, now: float) -> None:
        """Keep an answer."""
        if reply.status != 200 or len(reply.body) > _MOST_BYTES // 8:
            return
        self._drop(key)
        self._kept[key] = _Kept(reply, now)
        self._size += len(reply.body)
        while self._size > _MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Any) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._size -= len(kept.reply.body)


def cache_key(integration: dict[str, Any], is_direct: bool) -> Source:
    """Return what tells answers apart: the parameters in ``cacheKeyParameters``; of a direct integration the whole
    query string. Raises ValueError."""
    named = integration.get("cacheKeyParameters")
    if named is None and is_direct:
        return lambda request: (request.verb, request.path, request.raw_query)
    reads = [source(name.replace("integration.", "method.", 1)) for name in named or ()]

    def key(request: Request) -> Any:
        return (request.verb, request.path, *(_hashable(read(request)) for read in reads))

    return key


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

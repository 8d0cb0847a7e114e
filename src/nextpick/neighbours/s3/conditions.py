"""Conditions and ranges of requests. Source: RFC 9110, "Conditional Requests" and "Range Requests"; S3's own order."""

import re
from typing import Any, NamedTuple

from nextpick.neighbours.s3.errors import InvalidRange, NotModified, PreconditionFailed

_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})")


class Span(NamedTuple):
    """Bytes ``start`` to before ``end`` of an object."""

    start: int
    end: int


def matches(listed: str, etag: str) -> bool:
    """Tell whether an entity tag is one of those in a header."""
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in listed.split(",")]
    return "*" in tags or etag in tags


def check_read(request: dict[str, Any], etag: str, modified_at: float, prefix: str = "") -> None:
    """Raise PreconditionFailed or NotModified unless an object may be read.

    ``prefix`` is that of the members' names: ``CopySource`` for the source of a copy.
    """
    modified = int(modified_at)
    if_match, if_none_match = request.get(f"{prefix}IfMatch"), request.get(f"{prefix}IfNoneMatch")
    since, unmodified = request.get(f"{prefix}IfModifiedSince"), request.get(f"{prefix}IfUnmodifiedSince")
    unchanged: type[NotModified | PreconditionFailed] = PreconditionFailed if prefix else NotModified
    if if_match is not None:
        if not matches(if_match, etag):
            raise PreconditionFailed(Condition="If-Match")
    elif unmodified is not None and modified > unmodified:
        raise PreconditionFailed(Condition="If-Unmodified-Since")
    if if_none_match is not None:
        if matches(if_none_match, etag):
            raise unchanged(Condition="If-None-Match")
    elif since is not None and modified <= since:
        raise unchanged(Condition="If-Modified-Since")


def find_span(text: str | None, size: int) -> Span | None:
    """Return the bytes a Range header asks for; None for the whole object, also where the header is not understood.

    Raises InvalidRange when the object has none of them.
    """
    match = _RANGE.fullmatch(text.strip()) if text else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or start >= end:
        raise InvalidRange(RangeRequested=text or "", ActualObjectSize=str(size))
    return Span(start, end)

"""What segments add up to: traces, the tree of one, a map of services with their times and errors.

Source: X-Ray developer guide, "Using the X-Ray trace map".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nextpick.tracing.store import Segment


class Summary(NamedTuple):
    """One trace: its id, its first segment, and its worst fault."""

    trace: str
    first: Segment
    seconds: float
    fault: str


class Node(NamedTuple):
    """One service of a map: who it is, how often it was called, the shares that went wrong, milliseconds at the
    median and the 95th percentile, and the services that it calls."""

    origin: str
    name: str
    requests: int
    errors: float
    faults: float
    throttled: float
    median_ms: float
    slow_ms: float
    calls: tuple[str, ...]


def summaries(segments: Iterable[Segment]) -> list[Summary]:
    """Return the traces of segments, the newest first."""
    by_trace: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        by_trace[segment.trace].append(segment)
    found = []
    for trace, parts in by_trace.items():
        first = min(parts, key=lambda part: part.started)
        faults = {part.fault for part in parts}
        worst = next((kind for kind in ("fault", "throttle", "error") if kind in faults), "")
        ended = max(part.ended for part in parts)
        found.append(Summary(trace, first, ended - first.started, worst))
    return sorted(found, key=lambda summary: summary.first.started, reverse=True)


def tree(segments: list[Segment]) -> Iterator[tuple[int, Segment]]:
    """Yield the segments of one trace, each with its depth, callers before what they call."""
    ids = {segment.id for segment in segments}
    below: dict[str, list[Segment]] = defaultdict(list)
    for segment in sorted(segments, key=lambda segment: segment.started):
        below[segment.parent if segment.parent in ids else ""].append(segment)
    left = [(0, segment) for segment in reversed(below[""])]
    while left:
        depth, segment = left.pop()
        yield depth, segment
        left += [(depth + 1, inner) for inner in reversed(below[segment.id])]


def service_map(segments: list[Segment]) -> list[Node]:
    """Return the services that segments are of, those that are called first in a trace at the top."""
    by_id = {segment.id: segment for segment in segments}

    def service(segment: Segment | None) -> Segment | None:
        """Return the segment of a service that a part of one belongs to."""
        while segment is not None and not segment.origin:
            segment = by_id.get(segment.parent)
        return segment

    members: dict[tuple[str, str], list[Segment]] = defaultdict(list)
    calls: dict[tuple[str, str], set[str]] = defaultdict(set)
    for segment in segments:
        if segment.origin:
            members[segment.origin, segment.name].append(segment)
            caller = service(by_id.get(segment.parent))
            if caller is not None:
                calls[caller.origin, caller.name].add(f"{segment.origin} {segment.name}")
    return [
        _node(key, parts, tuple(sorted(calls[key])))
        for key, parts in sorted(members.items(), key=lambda entry: entry[1][0].started)
    ]


def _node(key: tuple[str, str], parts: list[Segment], calls: tuple[str, ...]) -> Node:
    took = np.array([(part.ended - part.started) * 1000 for part in parts])
    faults = [part.fault for part in parts]
    error, fault, throttle = (faults.count(kind) / len(parts) for kind in ("error", "fault", "throttle"))
    median, slow = float(np.median(took)), float(np.percentile(took, 95))
    return Node(*key, len(parts), error, fault, throttle, median, slow, calls)

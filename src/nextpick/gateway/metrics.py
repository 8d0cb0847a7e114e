"""What a stage's access log adds up to, by the names that API Gateway gives its metrics.

Source: API Gateway developer guide, "Amazon API Gateway dimensions and metrics".
"""

import calendar
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

_TIME = "%d/%b/%Y:%H:%M:%S +0000"


class _Line(msgspec.Struct):
    """The members of ``accesslog.JSON_FORMAT`` that count; all are texts."""

    request_time: str = msgspec.field(name="requestTime")
    status: str
    latency: str = msgspec.field(name="responseLatency")
    cache: str = "-"


class Metrics(NamedTuple):
    """Requests of a stage, of them refused and failed, from the cache or not; milliseconds at the median and
    the 99th percentile; ``unread`` lines are in another format."""

    requests: int
    client_errors: int
    server_errors: int
    median_ms: float
    slow_ms: float
    cache_hits: int
    cache_misses: int
    unread: int


def measure(directory: Path, since: float) -> Metrics:
    """Return the metrics of a stage's log directory for requests that came at ``since`` (epoch seconds) or later."""
    found: list[_Line] = []
    unread = 0
    for line in _lines(directory, since):
        if line is None:
            unread += 1
        elif calendar.timegm(time.strptime(line.request_time, _TIME)) >= since:
            found.append(line)
    took = np.array([int(line.latency) for line in found] or [0])
    classes = [line.status[:1] for line in found]
    caches = [line.cache for line in found]
    return Metrics(
        len(found),
        classes.count("4"),
        classes.count("5"),
        float(np.median(took)),
        float(np.percentile(took, 99)),
        caches.count("hit"),
        caches.count("miss"),
        unread,
    )


def _lines(directory: Path, since: float) -> Iterator[_Line | None]:
    first = time.strftime("%Y-%m-%d.log", time.gmtime(since))
    decoder = msgspec.json.Decoder(_Line)
    for path in sorted(directory.glob("*.log")):
        if path.name < first:
            continue
        with path.open("rb") as file:
            for raw in file:
                try:
                    yield decoder.decode(raw)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    yield None

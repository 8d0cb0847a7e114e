"""What a process does with files and sockets, seen with strace."""

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")

FLUSHES = ("fsync", "fdatasync")
READS = ("read", "recvfrom", "recvmsg")
WRITES = ("write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg")
TRACED = "trace=" + ",".join(FLUSHES + READS + WRITES)
LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)")


class Event(NamedTuple):
    """One system call on a file or socket: a flush or a read where it ended, a write where it began."""

    pid: int
    call: str
    path: str
    text: str


class Trace:
    """What a process and those it starts did, in order. ``events`` is there once it has ended."""

    events: list[Event]


@contextmanager
def traced(log: Path, *pids: int) -> Iterator[Trace]:
    """Trace processes, and what they start, meanwhile; skip the test where that is not allowed."""
    trace = Trace()
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "64", "-e", TRACED, "-o", str(log), "-p", ",".join(map(str, pids))],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    for _ in pids:
        told = tracer.stderr.readline()
        if "attached" not in told:
            tracer.communicate(timeout=30)
            pytest.skip(f"strace may not trace here: {told.strip()}")
    try:
        yield trace
    finally:
        tracer.send_signal(signal.SIGINT)
        try:
            tracer.communicate(timeout=5)
        except subprocess.TimeoutExpired:  # it can wait for ever for a thread that was about to fork
            tracer.kill()  # what it saw is in the file line by line, and the traced go on
            tracer.communicate()
    trace.events = list(read(log.read_text(errors="replace")))


def read(log: str) -> Iterator[Event]:
    """Read strace's lines; a call that another thread's interrupts has two."""
    begun: dict[str, str] = {}
    for line in log.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        pid, call, text = match["pid"], match["call"] or match["resumed"], match["rest"]
        unfinished = text.endswith("<unfinished ...>")
        if match["resumed"]:
            text = begun.pop(pid) + text
        if unfinished:
            begun[pid] = text = text.removesuffix("<unfinished ...>")
        counts_now = match["call"] if call in WRITES else not unfinished
        if counts_now and not (call in FLUSHES and not text.endswith("= 0")):
            path = re.match(r"\d+<([^>]*)>", text)
            yield Event(int(pid), call, path[1] if path else "", text)


def first(events: list[Event], what: str, test: Callable[[Event], bool]) -> int:
    """Return the place of the first event that passes a test."""
    for place, event in enumerate(events):
        if test(event):
            return place
    raise AssertionError(f"{what} was not seen in {len(events)} calls")


def is_flush(event: Event, name: str) -> bool:
    return event.call in FLUSHES and event.path.endswith(f"/{name}")

"""What was answered 200, and what a finished job has made, was flushed to the disk before: seen with strace.

kill -9 leaves the page cache, so no crash test can tell. A power cut can.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from served import Server, children_of, command_of
from worlds import INTERACTIONS_SCHEMA, Shop, checkerboard

TRACED = "trace=fsync,fdatasync,write,writev,sendto,sendmsg"
FLUSHES = ("fsync", "fdatasync")
LINE = re.compile(r"^(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\((?P<arguments>.*))")


def can_trace() -> bool:
    """Tell whether strace is here and allowed."""
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode
        == 0
    )


pytestmark = pytest.mark.skipif(not can_trace(), reason="strace is not here, or may not trace")


class Event(NamedTuple):
    """One system call's end: a flush of a path, or the beginning of a write."""

    pid: int
    call: str
    path: str
    text: str


class Trace:
    """What a process and those it starts did, in order. ``events`` is there once it has ended."""

    events: list[Event]


@contextmanager
def traced(pid: int, log: Path) -> Iterator[Trace]:
    """Trace a process meanwhile."""
    trace = Trace()
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-s", "64", "-e", TRACED, "-o", str(log), "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    yield trace
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=30)
    trace.events = list(read(log))


def read(log: Path) -> Iterator[Event]:
    """Read strace's lines: a flush counts where it ended, a write where it began."""
    begun: dict[tuple[str, str], str] = {}
    for line in log.read_text(errors="replace").splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        pid, call = match["pid"], match["call"] or match["resumed"]
        if match["call"]:
            arguments = match["arguments"]
            if call not in FLUSHES or "<unfinished" in line:
                begun[pid, call] = arguments
        else:
            arguments = begun[pid, call]
        path = re.match(r"\d+<([^>]*)>", arguments)
        ended = match["resumed"] or "<unfinished" not in line
        if (call in FLUSHES and ended and line.endswith("= 0")) or (call not in FLUSHES and match["call"]):
            yield Event(int(pid), call, path[1] if path else "", arguments)


def first(events: list[Event], what: str, test: Any) -> int:
    """Return the place of the first event that passes a test."""
    for place, event in enumerate(events):
        if test(event):
            return place
    raise AssertionError(f"{what} was not seen in {len(events)} calls")


def is_flush(event: Event, name: str) -> bool:
    return event.call in FLUSHES and event.path.endswith(name)


def is_ok(event: Event) -> bool:
    return event.call not in FLUSHES and "HTTP/1.1 200" in event.text


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "home", workers=2).start()
    yield served
    served.stop()


def flushed_before_answer(server: Server, tmp_path: Path, wal: str, call: Any) -> None:
    """Trace both workers during one call and see its flush come before its 200."""
    for worker in [pid for pid in children_of(server.pid) if "nextpick.worker" in command_of(pid)]:
        others = [p for p in children_of(server.pid) if "nextpick.worker" in command_of(p) and p != worker]
        for pid in others:  # so that the traced one answers
            subprocess.run(["kill", "-STOP", str(pid)], check=True)
        try:
            with traced(worker, tmp_path / "strace") as trace:
                call(worker)
        finally:
            for pid in others:
                subprocess.run(["kill", "-CONT", str(pid)], check=True)
        flush = first(trace.events, f"a flush of {wal}", lambda event: is_flush(event, wal))
        answer = first(trace.events, "an answer", is_ok)
        assert flush < answer


def test_an_event_is_on_disk_before_its_200(server: Server, tmp_path: Path) -> None:
    shop = Shop(server)
    tracking_id = server.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]
    event = {"eventType": "click", "sentAt": 1_700_000_000, "itemId": "i1"}

    def put(worker: int) -> None:
        client = server.client("personalize-events")
        client.put_events(trackingId=tracking_id, sessionId="s", userId="u", eventList=[event])

    flushed_before_answer(server, tmp_path, ".db-wal", put)


def test_a_resource_is_on_disk_before_its_200(server: Server, tmp_path: Path) -> None:
    def create(worker: int) -> None:
        server.client("personalize").create_schema(name=f"s{worker}", schema=INTERACTIONS_SCHEMA)

    flushed_before_answer(server, tmp_path, "nextpick.db-wal", create)


def flushed_before_done(trace: Trace, made: Path) -> None:
    """See that the job that made a directory flushed all of it, names included, before it ended in the records."""
    home = made.parents[[path.name for path in made.parents].index("blobs") + 1]
    parents = [path for path in made.parents if path.is_relative_to(home)]
    wanted = {str(path) for path in (made, *parents, *made.rglob("*"))}
    assert len(wanted) > 5
    pid = next(event.pid for event in trace.events if is_flush(event, made.name))
    own = [event for event in trace.events if event.pid == pid]
    commits = [place for place, event in enumerate(own) if is_flush(event, "nextpick.db-wal")]
    before = {event.path for event in own[: commits[-1]] if event.call in FLUSHES}
    assert wanted - before == set()


def test_an_import_is_on_disk_with_its_names_before_it_is_active(server: Server, tmp_path: Path) -> None:
    shop = Shop(server)
    with traced(server.pid, tmp_path / "strace") as trace:
        assert shop.imported(shop.start_import("j", checkerboard()))["status"] == "ACTIVE"
    (part,) = (server.home / "blobs" / "datasets").glob("*/*")
    flushed_before_done(trace, part)


def test_a_version_is_on_disk_with_its_names_before_it_is_active(server: Server, tmp_path: Path) -> None:
    shop = Shop(server)
    shop.imported(shop.start_import("j", checkerboard()))
    solution = shop.solution()
    with traced(server.pid, tmp_path / "strace") as trace:
        assert shop.trained(shop.train(solution))["status"] == "ACTIVE"
    (version,) = (server.home / "blobs" / "versions").iterdir()
    flushed_before_done(trace, version)

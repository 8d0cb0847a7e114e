"""What was answered 200, and what a finished job has made, was flushed to the disk before: seen with strace.

kill -9 leaves the page cache, so no crash test can tell. A power cut can.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from served import Server, children_of, command_of, workers_of
from tracing import FLUSHES, READS, WRITES, Trace, first, is_flush, needs_strace, read, traced
from worlds import INTERACTIONS_SCHEMA, Shop, checkerboard

pytestmark = needs_strace


def test_interrupted_calls_count_where_they_are_meant_to() -> None:
    log = """\
7  recvfrom(9<socket:[1]>,  <unfinished ...>
8  fdatasync(5</a/b.db-wal> <unfinished ...>
7  <... recvfrom resumed>"POST / HTTP/1.1", 64, 0, NULL, NULL) = 15
7  sendto(9<socket:[1]>, "HTTP/1.1 200 OK", 15, 0, NULL, 0 <unfinished ...>
8  <... fdatasync resumed>)          = 0
7  <... sendto resumed>)             = 15
8  fsync(6</a/c>) = -1 EIO (Input/output error)
8  +++ exited with 0 +++
"""
    assert [(event.call, event.path) for event in read(log)] == [
        ("recvfrom", "socket:[1]"),
        ("sendto", "socket:[1]"),
        ("fdatasync", "/a/b.db-wal"),
    ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "home", workers=2).start()
    yield served
    served.stop()


def flushed_before_answer(server: Server, tmp_path: Path, wal: str, call: Callable[[int], Any]) -> None:
    """Trace each worker during one call and see, from its request to its 200, a write and then a flush.

    The other is held still meanwhile. ``{}`` in ``wal`` stands for the worker's number.
    """
    workers = {int(command_of(pid).split()[4]): pid for pid in workers_of(server.pid)}
    assert sorted(workers) == [0, 1]
    for number, worker in workers.items():
        other = workers[1 - number]
        os.kill(other, signal.SIGSTOP)
        try:
            with traced(tmp_path / f"strace-{number}", worker) as trace:
                call(number)
        finally:
            os.kill(other, signal.SIGCONT)
        name = "/" + wal.format(number)
        asked = first(trace.events, "a request", lambda e: e.call in READS and '"POST ' in e.text)
        answered = first(trace.events, "a 200", lambda e: e.call in WRITES and '"HTTP/1.1 200 ' in e.text)
        between = trace.events[asked:answered]
        steps = [e.call in FLUSHES for e in between if e.path.endswith(name) and e.call in FLUSHES + WRITES]
        assert False in steps, f"no write to {name}"
        assert steps[-1], f"a write to {name} after its last flush"


def test_an_event_is_on_disk_before_its_200(server: Server, tmp_path: Path) -> None:
    shop = Shop(server)
    tracking_id = server.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]
    event = {"eventType": "click", "sentAt": 1_700_000_000, "itemId": "i1"}

    def put(worker: int) -> None:
        events = server.client("personalize-events")  # on a connection of its own
        events.put_events(trackingId=tracking_id, sessionId="s", userId="u", eventList=[event])

    flushed_before_answer(server, tmp_path, "log/worker-{}.db-wal", put)


def test_a_resource_is_on_disk_before_its_200(server: Server, tmp_path: Path) -> None:
    def create(worker: int) -> None:
        server.client("personalize").create_schema(name=f"s{worker}", schema=INTERACTIONS_SCHEMA)

    flushed_before_answer(server, tmp_path, "home/nextpick.db-wal", create)


def flushed_before_done(trace: Trace, made: Path) -> None:
    """See that the job that made a directory flushed all of it, names included, before it ended in the records,
    and wrote to none of it later."""
    blobs = next(parent for parent in made.parents if parent.name == "blobs")
    above = [path for path in made.parents if path == blobs or path.is_relative_to(blobs)]
    wanted = {str(path) for path in (made, *above, *made.rglob("*"))}
    assert any(path.endswith((".parquet", ".npy")) for path in wanted)
    job = next(event.pid for event in trace.events if is_flush(event, made.name))
    commits = [
        n for n, event in enumerate(trace.events) if event.pid == job and is_flush(event, "nextpick.db-wal")
    ]
    flushed = {}
    for place, event in enumerate(trace.events):
        if event.call in FLUSHES and place < commits[-1]:
            flushed[event.path] = place
    assert wanted - flushed.keys() == set()
    late = {
        event.path
        for place, event in enumerate(trace.events)
        if event.call in WRITES and event.path in wanted and place > flushed[event.path]
    }
    assert late == set()


def test_an_import_is_on_disk_with_its_names_before_it_is_active(server: Server, tmp_path: Path) -> None:
    shop = Shop(server)
    with traced(tmp_path / "strace", server.pid, *children_of(server.pid)) as trace:
        assert shop.imported(shop.start_import("j", checkerboard()))["status"] == "ACTIVE"
    (part,) = (server.home / "blobs" / "datasets").glob("*/*")
    flushed_before_done(trace, part)


def test_a_version_is_on_disk_with_its_names_before_it_is_active(server: Server, tmp_path: Path) -> None:
    shop = Shop(server)
    shop.imported(shop.start_import("j", checkerboard()))
    solution = shop.solution()
    with traced(tmp_path / "strace", server.pid, *children_of(server.pid)) as trace:
        assert shop.trained(shop.train(solution))["status"] == "ACTIVE"
    (version,) = (server.home / "blobs" / "versions").iterdir()
    flushed_before_done(trace, version)

"""What S3 answered 200 is on the disk; what was cut off is nowhere."""

import http.client
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from served import Server, workers_of
from tracing import FLUSHES, READS, WRITES, first, needs_strace, traced


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "home", workers=1).start()
    yield served
    if served.is_running:
        served.stop()


@needs_strace
def test_an_object_its_metadata_and_its_name_are_on_disk_before_the_200(
    server: Server, tmp_path: Path
) -> None:
    s3 = server.client("s3")
    s3.create_bucket(Bucket="shop")
    (worker,) = workers_of(server.pid)
    with traced(tmp_path / "strace", worker) as trace:
        server.client("s3").put_object(Bucket="shop", Key="a/b.csv", Body=b"x" * 100_000)
    asked = first(trace.events, "a request", lambda e: e.call in READS and '"PUT /shop/a/b.csv' in e.text)
    answered = first(trace.events, "a 200", lambda e: e.call in WRITES and '"HTTP/1.1 200 ' in e.text)
    between = trace.events[asked:answered]
    calls = [("flush" if e.call in FLUSHES else "write", e.path) for e in between if "/buckets/" in e.path]

    def place(kind: str, part: str) -> int:
        return max(n for n, (call, path) in enumerate(calls) if call == kind and part in path)

    assert place("write", "/.nextpick/shop/temp/") < place("flush", "/.nextpick/shop/temp/")
    assert place("write", "/.nextpick/shop/meta/") < place("flush", "/.nextpick/shop/meta/")
    assert calls[-1][0] == "flush"
    assert calls[-1][1].endswith("/buckets/shop/a")  # the directory, after the object got its name in it
    assert ("flush", str(server.home / "buckets" / "shop")) in calls  # where the folder was made


def slow_put(server: Server, key: str, sent: threading.Event, go_on: threading.Event) -> None:
    """Send half of an object, and wait."""
    url = server.client("s3").generate_presigned_url("put_object", Params={"Bucket": "shop", "Key": key})
    host, _, path = url.partition("//")[2].partition("/")
    connection = http.client.HTTPConnection(host)
    connection.putrequest("PUT", f"/{path}", skip_accept_encoding=True)
    connection.putheader("Content-Length", str(8 << 20))
    connection.endheaders()
    connection.send(b"x" * (4 << 20))
    sent.set()
    go_on.wait(30)
    connection.close()


@pytest.mark.parametrize("victim", ["worker", "supervisor", "client"])
def test_an_upload_that_is_cut_off_leaves_the_object_that_was_there(server: Server, victim: str) -> None:
    s3 = server.client("s3", retries={"total_max_attempts": 5})
    s3.create_bucket(Bucket="shop")
    s3.put_object(Bucket="shop", Key="old", Body=b"before")
    temp = server.home / "buckets" / ".nextpick" / "shop" / "temp"
    threads = []
    go_on = threading.Event()
    for key in ("old", "new"):
        sent = threading.Event()
        threads.append(threading.Thread(target=slow_put, args=(server, key, sent, go_on)))
        threads[-1].start()
        assert sent.wait(20)
    wait_until(lambda: sum(path.stat().st_size for path in temp.iterdir()) > 4 << 20)
    if victim == "worker":
        (worker,) = workers_of(server.pid)
        os.kill(worker, signal.SIGKILL)
    elif victim == "supervisor":
        server.kill()
        server.start()
        s3 = server.client("s3")
    go_on.set()
    for thread in threads:
        thread.join(30)
    wait_until(lambda: not list(temp.iterdir()))
    assert s3.get_object(Bucket="shop", Key="old")["Body"].read() == b"before"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="shop")["Contents"]] == ["old"]
    assert [path.name for path in (server.home / "buckets" / "shop").iterdir()] == ["old"]


def wait_until(holds: Any, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)

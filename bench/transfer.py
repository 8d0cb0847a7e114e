"""A large object up and down, beside a plain file copy and a bare server: ``make bench-transfer``.

Each round does all of it, in turn, so that what the machine does meanwhile is shared. A copy is what a program
does to keep a file: read it, write it, fsync. The bare server takes the same request and drops the body.
"""

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from nextpick.testing.server import ServerProcess

_BLOCK = 1 << 20


def main() -> None:
    """Print seconds and rates of each way, medians of the rounds, and the peak of the server's memory."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=1024)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    size = chosen.megabytes * _BLOCK
    with tempfile.TemporaryDirectory(prefix="nextpick-bench-") as folder:
        source = Path(folder) / "source"
        block = os.urandom(_BLOCK)
        with source.open("wb") as file:
            for _ in range(chosen.megabytes):
                file.write(block)
        server = ServerProcess(Path(folder) / "home")
        server.start()
        try:
            measured, memory = measure(server, source, size, chosen.rounds)
        finally:
            server.stop()
    copy = statistics.median(measured["copy + fsync"])
    print(f"{chosen.megabytes} MB, median of {chosen.rounds} rounds (seconds; rate of a copy)")
    for name, seconds in measured.items():
        middle = statistics.median(seconds)
        print(f"  {name:32} {middle:6.2f} s  {copy / middle:5.2f}  ({min(seconds):.2f}-{max(seconds):.2f})")
    print(f"memory of the server's processes: {memory[0]:.0f} MB before, {memory[1]:.0f} MB at most")


def measure(
    server: ServerProcess, source: Path, size: int, rounds: int
) -> tuple[dict[str, list[float]], tuple[float, float]]:
    """Return the seconds of each way in each round, and the server's memory before and at most, in MB."""
    s3 = server.client("s3", max_pool_connections=16)
    s3.create_bucket(Bucket="bench")
    there, back = source.with_name("copy"), source.with_name("back")
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "bench", "Key": "raw"})
    get = s3.generate_presigned_url("get_object", Params={"Bucket": "bench", "Key": "raw"})
    bare = bare_server()
    ways: dict[str, Callable[[], Any]] = {
        "copy + fsync": lambda: copy(source, there),
        "PUT to a bare server": lambda: raw_put(bare, source, size),
        "PUT, one connection": lambda: raw_put(put, source, size),
        "GET, one connection, to a file": lambda: raw_get(get, back),
        "upload_file of boto3": lambda: s3.upload_file(str(source), "bench", "managed"),
        "download_file of boto3": lambda: s3.download_file("bench", "managed", str(back)),
    }
    measured: dict[str, list[float]] = {name: [] for name in ways}
    before = memory_of(server.pid)
    with Peak(server.pid) as peak:
        for _ in range(rounds):
            for name, run in ways.items():
                back.unlink(missing_ok=True)
                started = time.perf_counter()
                run()
                measured[name].append(time.perf_counter() - started)
            there.unlink()
            for key in ("raw", "managed"):
                s3.delete_object(Bucket="bench", Key=key)
    return measured, (before, peak.most)


def copy(source: Path, target: Path) -> None:
    """Copy a file as a program does that must not lose it."""
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())


def raw_put(url: str, source: Path, size: int) -> None:
    """Send a file in one request."""
    connection, path = connect(url)
    with source.open("rb") as file:
        connection.request("PUT", path, body=file, headers={"Content-Length": str(size), "Content-Type": ""})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def raw_get(url: str, target: Path) -> None:
    """Write the answer of one request to a file, on the disk."""
    connection, path = connect(url)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    buffer = memoryview(bytearray(_BLOCK))
    with target.open("wb") as file:
        while read := answer.readinto(buffer):
            file.write(buffer[:read])
        file.flush()
        os.fsync(file.fileno())
    connection.close()


def connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    """Return a connection to a URL's host, and the rest of the URL."""
    host, _, path = url.partition("//")[2].partition("/")
    return http.client.HTTPConnection(host, blocksize=_BLOCK), f"/{path}"


def bare_server() -> str:
    """Start a server that drops what it is sent, in a process of its own; return its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    subprocess.Popen([sys.executable, __file__, "--bare", str(port), str(os.getpid())])
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return f"http://127.0.0.1:{port}/"
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


async def drop(scope: Any, receive: Any, send: Any) -> None:
    """Read a body and answer 200."""
    while scope["type"] == "http" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def end_with(parent: int) -> None:
    """End this process when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(0)


def memory_of(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for one in (pid, *children):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1])
    return total / 1024


class Peak:
    """Watches a server's memory twenty times a second."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most, self._ending = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ending.wait(0.05):
            self.most = max(self.most, memory_of(self.pid))

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        threading.Thread(target=end_with, args=(int(sys.argv[3]),), daemon=True).start()
        uvicorn.run(
            drop, port=int(sys.argv[2]), loop="uvloop", http="httptools", lifespan="off", log_level="critical"
        )
    else:
        main()

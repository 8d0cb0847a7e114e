"""Functions: what a warm function adds to a call, beside a bare echo process on a socket in the same run.

``python bench/functions.py [--calls N] [--rounds N]``. The handler returns its event. Asked, in turns: an echo
process on a Unix socket (the floor), ``functions.client`` from a thread and on an event loop, boto3's ``invoke``, and
boto3's ``list_functions``, which runs no function. CPU is that of the host, the handler's process and the caller. The
gate: in the quietest round ``client.invoke`` takes 3 ms more than the floor at most, at the median.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from nextpick.functions import client, frames
from nextpick.functions.code import pack
from nextpick.testing.server import ServerProcess

GATE_MS = 3.0
ROLE = "arn:aws:iam::000000000000:role/bench"
EVENT = json.dumps({"queryStringParameters": {"user_id": "10"}}).encode()
HANDLER = "def lambda_handler(event, context):\n    return event\n"
ECHO = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
while True:
    sock, _ = listener.accept()
    with sock:
        sock.sendall(sock.recv(65536))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        (Path(folder) / "lambda_function.py").write_text(HANDLER)
        echo = subprocess.Popen([sys.executable, "-c", ECHO, f"{folder}/echo.sock"])
        server = ServerProcess(home)
        server.start()
        try:
            wire = server.client("lambda")
            wire.create_function(
                FunctionName="echo",
                Runtime="python3.11",
                Handler="lambda_function.lambda_handler",
                Role=ROLE,
                Code={"ZipFile": pack(Path(folder) / "lambda_function.py")},
            )
            started = time.perf_counter()
            client.invoke(home, "echo", EVENT)
            cold_ms = (time.perf_counter() - started) * 1000
            client.invoke(home, "echo", EVENT)
            calls_of: dict[str, Callable[[], object]] = {
                "echo process, the floor": partial(ask_echo, f"{folder}/echo.sock"),
                "client.invoke": lambda: client.invoke(home, "echo", EVENT),
                "boto3 list_functions": wire.list_functions,
                "boto3 invoke": partial(invoke, wire),
            }
            rounds: dict[str, list[float]] = {name: [] for name in (*calls_of, "client.invoke_async")}
            pids = handlers_of(server.pid)
            cpu_ms = 0.0
            for _ in range(given.rounds):
                for name, call in calls_of.items():
                    before = cpu_of(pids)
                    rounds[name].append(median(measure(call, given.calls)))
                    if name == "client.invoke":
                        cpu_ms += (cpu_of(pids) - before) / given.calls / given.rounds
                rounds["client.invoke_async"].append(median(asyncio.run(on_a_loop(home, given.calls))))
        finally:
            server.stop()
            echo.kill()
            echo.wait()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; first call {cold_ms:.0f} ms")
    for name, medians in rounds.items():
        print(f"{name:26} median of a round {min(medians):7.3f} to {max(medians):7.3f} ms")
    print(f"CPU of one client.invoke {cpu_ms:.2f} ms")
    pairs = zip(rounds["client.invoke"], rounds["echo process, the floor"], strict=True)
    added = min(warm - floor for warm, floor in pairs)
    print(f"a warm function adds {added:.2f} ms at the median of the quietest round (gate {GATE_MS:g} ms)")
    sys.exit(added > GATE_MS)


def handlers_of(supervisor: int) -> list[int]:
    """Return the pids of the process that runs functions, and of its functions."""
    below = [int(pid) for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()]
    hosts = [pid for pid in below if b"nextpick.automation" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    inner = [
        path.read_text().split() for pid in hosts for path in Path(f"/proc/{pid}/task").glob("*/children")
    ]
    return hosts + [int(pid) for pids in inner for pid in pids]


def cpu_of(pids: list[int]) -> float:
    """Return the milliseconds of CPU that processes, and this one, have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK") + time.process_time() * 1000


def ask_echo(path: str) -> bytes:
    """Send an event to a process that sends it back."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(frames.pack({"do": "invoke"}, EVENT))
        return sock.recv(65536)


def invoke(wire: Any) -> bytes:
    """Run the function by boto3."""
    return wire.invoke(FunctionName="echo", Payload=EVENT)["Payload"].read()


def measure(call: Callable[[], object], calls: int) -> list[float]:
    """Return the milliseconds of each of some calls, one after the other."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return times


async def on_a_loop(home: Path, calls: int) -> list[float]:
    """Return the milliseconds of calls on an event loop."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        await client.invoke_async(home, "echo", EVENT)
        times.append((time.perf_counter() - started) * 1000)
    return times


if __name__ == "__main__":
    main()

"""Serving: CPU per request beside a bare server in the same run, events per second, start time, memory.

``python bench/serve.py [--recipe NAME] [--seconds S] [--rounds N]``. One worker, SigV4 on, the default recipe on
MovieLens 1M (NEXTPICK_DATA; random data of its size without it), requests signed beforehand.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from nextpick.store import keys
from nextpick.testing.server import ServerProcess

HERE = Path(__file__).parent
DATA = Path(os.environ.get("NEXTPICK_DATA", HERE.parent / ".." / "shared" / "data"))
ROLE = "arn:aws:iam::000000000000:role/bench"
SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Interactions",
        "fields": [
            {"name": "USER_ID", "type": "string"},
            {"name": "ITEM_ID", "type": "string"},
            {"name": "TIMESTAMP", "type": "long"},
        ],
        "version": "1.0",
    }
)


def sequences() -> list[list[str]]:
    """Return each user's items, oldest first."""
    path = DATA / "ml-1m" / "sequences.txt"
    if path.exists():
        return [line.split()[1:] for line in path.open()]
    rng = np.random.default_rng(1)
    items = (rng.zipf(1.2, 1_000_000) % 3416).astype(str)
    return [piece.tolist() for piece in np.array_split(items, 6040)]


class Server(ServerProcess):
    """A server with one worker, timed from its start to its first answer."""

    def start(self) -> None:
        """Start it and note ``start_s``, ``port`` and the keys."""
        started = time.perf_counter()
        super().start()
        self.port = int(self.url.rpartition(":")[2])
        wait_for(self.port, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        self.start_s = time.perf_counter() - started
        self.pair = keys.read(self.home / "credentials")[0]

    def signed(self, path: str, body: dict[str, Any]) -> bytes:
        """Return a signed request as it goes over the wire."""
        raw = json.dumps(body).encode()
        url = f"{self.url}{path}"
        request = AWSRequest("POST", url, data=raw, headers={"Content-Type": "application/json"})
        credentials = Credentials(self.pair.access_key, self.pair.secret)
        SigV4Auth(credentials, "personalize", "us-east-1").add_auth(request)
        lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Content-Length: {len(raw)}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + raw

    def worker(self) -> int:
        """Return the pid of the worker."""
        is_worker = b"nextpick.worker"
        return next(p for p in tree(self.pid) if is_worker in Path(f"/proc/{p}/cmdline").read_bytes())


def campaign(server: Server, name: str) -> tuple[str, str, list[str]]:
    """Import, train and deploy through the API; return campaign ARN, tracking id, and the users."""
    users = sequences()
    path = server.home / "buckets" / "bench" / "interactions.csv"
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        file.write("USER_ID,ITEM_ID,TIMESTAMP\n")
        joined = 1_600_000_000 + np.random.default_rng(1).integers(0, 1000 * 86_400, len(users))
        for user, items in enumerate(users):
            file.writelines(f"{user},{item},{joined[user] + 20 * t}\n" for t, item in enumerate(items))
    personalize = server.client("personalize")
    group = personalize.create_dataset_group(name="bench")["datasetGroupArn"]
    schema = personalize.create_schema(name="bench", schema=SCHEMA)["schemaArn"]
    dataset = personalize.create_dataset(
        name="bench", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    location = {"dataLocation": "s3://bench/interactions.csv"}
    job = personalize.create_dataset_import_job(
        jobName="b", datasetArn=dataset, dataSource=location, roleArn=ROLE
    )
    until(
        lambda: personalize.describe_dataset_import_job(**only(job, "datasetImportJobArn")),
        "datasetImportJob",
    )
    recipe = f"arn:aws:personalize:::recipe/{name}"
    solution = personalize.create_solution(
        name="bench", datasetGroupArn=group, recipeArn=recipe, performAutoTraining=False
    )
    version = personalize.create_solution_version(**only(solution, "solutionArn"))
    until(
        lambda: personalize.describe_solution_version(**only(version, "solutionVersionArn")),
        "solutionVersion",
    )
    report = server.client("nextpick").get_job_report(resourceArn=version["solutionVersionArn"])["report"]
    if "network" in json.loads(report):
        print(f"network: {json.loads(report)['network']}")
    made = personalize.create_campaign(name="bench", **only(version, "solutionVersionArn"))
    until(lambda: personalize.describe_campaign(**only(made, "campaignArn")), "campaign")
    tracker = personalize.create_event_tracker(name="bench", datasetGroupArn=group)["trackingId"]
    return made["campaignArn"], tracker, [str(user) for user in range(len(users))]


def only(answer: dict[str, Any], member: str) -> dict[str, str]:
    """Return one member of an answer as a request."""
    return {member: answer[member]}


def until(describe: Any, member: str) -> None:
    """Describe until ACTIVE."""
    while (found := describe()[member])["status"] != "ACTIVE":
        assert "FAILED" not in found["status"], found


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [p for child in path.read_text().split() for p in tree(int(child))]
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """Return a process's proportional share of memory, 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, request: bytes) -> None:
    """Return when a request on a port is answered."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(request)
                if connection.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.005)


def measure(pid: int, port: int, requests: list[bytes], connections: int, seconds: float) -> dict[str, float]:
    """Return the load's figures with the server's CPU per request in microseconds."""
    lines = "\n".join(json.dumps(request.decode("latin-1")) for request in requests)
    before = cpu_s(pid)
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py"), str(port), str(connections), str(seconds)],
        input=lines, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = json.loads(done.stdout)
    assert not result["errors"], result
    return {
        **result,
        "rate": result["count"] / result["seconds"],
        "cpu_us": (cpu_s(pid) - before) / result["count"] * 1e6,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="aws-user-personalization")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "home"
        server = Server(home, NEXTPICK_AUTO_REPORTS="false")  # an evaluation would train beside
        server.start()
        arn, tracker, users = campaign(server, options.recipe)
        server.stop()
        server.start()
        print(f"start to first answer: {server.start_s:.2f} s (second start, warm caches)")
        bare_port = free_port()
        bare = subprocess.Popen([sys.executable, str(HERE / "bare.py"), str(bare_port)])
        try:
            time.sleep(1)
            print_memory(server)
            plain = b"POST /recommendations HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
            wait_for(bare_port, plain)
            asked = [
                server.signed("/recommendations", {"campaignArn": arn, "userId": u}) for u in users[:2000]
            ]
            measure(server.worker(), server.port, asked, 1, 1.0)
            for connections in (1, 16):
                rounds = []
                for _ in range(options.rounds):
                    floor = measure(bare.pid, bare_port, asked, connections, options.seconds)
                    ours = measure(server.worker(), server.port, asked, connections, options.seconds)
                    rounds.append((ours["cpu_us"] / floor["cpu_us"], floor, ours))
                ratio = median(r[0] for r in rounds)
                _, floor, ours = min(rounds, key=lambda r: abs(r[0] - ratio))
                print(
                    f"{connections:2} connections: {ours['cpu_us']:.0f} us CPU a request, bare {floor['cpu_us']:.0f}, "
                    f"ratio {ratio:.2f}; {ours['rate']:.0f}/s (bare {floor['rate']:.0f}/s), "
                    f"p50 {ours['p50_ms']:.2f} ms, p99 {ours['p99_ms']:.2f} ms"
                )
            event = {"eventType": "click", "sentAt": int(time.time()), "itemId": "1"}
            put = [
                server.signed(
                    "/events", {"trackingId": tracker, "userId": u, "sessionId": "s", "eventList": [event]}
                )
                for u in users[:2000]
            ]
            rates = [
                measure(server.worker(), server.port, put, 16, options.seconds)["rate"]
                for _ in range(options.rounds)
            ]
            flushes = flushes_per_s(home / "log")
            print(
                f"PutEvents, 16 connections, durable: {median(rates):.0f} calls/s; the disk flushes {flushes:.0f}/s, "
                f"{median(rates) / flushes:.1f} calls a flush"
            )
            print_memory(server)
        finally:
            bare.kill()
            bare.wait()
            server.stop()


def flushes_per_s(directory: Path, seconds: float = 1.0) -> float:
    """Return how often a second the disk flushes a page appended to a file: the floor under a durable call."""
    path = directory / "floor"
    with path.open("wb", buffering=0) as file:
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            count += 1
    path.unlink()
    return count / seconds


def print_memory(server: Server) -> None:
    """Print the memory of the worker and of the whole tree."""
    whole = sum(pss_mb(pid) for pid in tree(server.pid))
    print(f"memory (PSS): worker {pss_mb(server.worker()):.0f} MB, tree {whole:.0f} MB")


if __name__ == "__main__":
    main()

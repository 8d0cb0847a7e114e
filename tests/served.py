"""A real server in processes of its own, for tests that kill it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from nextpick.store import keys
from nextpick.wire.shapes import models_dir


class Server(SimpleNamespace):
    """``nextpick serve`` on a home, and clients of it. Not started until ``start``."""

    def __init__(self, home: Path, workers: int = 2, **environ: str) -> None:
        super().__init__(home=home, workers=workers, environ=environ)
        self.process: subprocess.Popen | None = None

    def start(self) -> "Server":
        """Start and wait until it says where it listens."""
        self.log = (self.home.parent / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nextpick", "serve", "--home", str(self.home), "--port", "0",
             "--workers", str(self.workers)],
            env={**os.environ, **self.environ},
            stdout=self.log,
            stderr=self.log,
        )  # fmt: skip
        address, deadline = self.home / "server.json", time.monotonic() + 30
        while True:
            try:
                found = json.loads(address.read_text())
                if found["pid"] == self.process.pid:
                    break
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None:
                self.log.close()
                raise AssertionError(Path(self.log.name).read_text())
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self.url = found["url"]
        unchecked = {"parameter_validation": False}
        self.personalize = self.client("personalize", **unchecked)
        self.runtime = self.client("personalize-runtime", **unchecked)
        self.events = self.client("personalize-events", **unchecked)
        return self

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client over HTTP."""
        pair = keys.read(self.home / "credentials")[0]
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=pair.access_key,
            aws_secret_access_key=pair.secret,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=32, **config),
        )

    def client_of_own(self) -> Any:
        """Return a client of nextpick's own service over HTTP."""
        loader = botocore.session.get_session()
        loader.get_component("data_loader").search_paths.append(str(models_dir()))
        pair = keys.read(self.home / "credentials")[0]
        return loader.create_client(
            "nextpick",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=pair.access_key,
            aws_secret_access_key=pair.secret,
        )

    def family(self) -> list[int]:
        """Return the pids of the server's processes, the supervisor's first."""
        assert self.process is not None
        return [self.process.pid, *children_of(self.process.pid)]

    def kill(self) -> None:
        """kill -9 of the supervisor alone; wait until nothing is left of its children."""
        family = self.family()
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + 10
        while any(is_running(pid) for pid in family):
            assert time.monotonic() < deadline, "a process outlived the supervisor"
            time.sleep(0.02)
        self.log.close()

    def stop(self) -> int:
        """End it as an operator does; return the exit status."""
        if self.process is None:
            return -1
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.log.close()
        return status

    # what worlds.Shop needs of an api

    @property
    def library(self) -> SimpleNamespace:
        return SimpleNamespace(home=self.home)

    def put_object(self, bucket: str, key: str, text: str) -> str:
        path = self.home / "buckets" / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return f"s3://{bucket}/{key}"

    def settle(self, describe: Any, timeout_s: float = 60) -> dict[str, Any]:
        from conftest import Api

        return Api.settle(self, describe, timeout_s)  # type: ignore[arg-type]


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children, whichever of its threads started them."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in path.read_text().split()]
        except OSError:
            continue
    return found


def command_of(pid: int) -> str:
    """Return a process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_job_process(supervisor: int, timeout_s: float = 20) -> int:
    """Return the pid of a job's process as soon as there is one."""
    deadline = time.monotonic() + timeout_s
    while True:
        for pid in children_of(supervisor):
            if "nextpick.jobs.child" in command_of(pid):
                return pid
        assert time.monotonic() < deadline, "no job process was started"
        time.sleep(0.002)

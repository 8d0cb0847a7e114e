"""A real server in processes of its own, for tests that kill it."""

import contextlib
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nextpick.testing.server import ServerProcess
from worlds import settle


class Server(ServerProcess):
    """A server whose clients check nothing and try once; it has what worlds.Shop needs of an api."""

    def __init__(self, home: Path, workers: int = 1, **environ: str) -> None:
        super().__init__(home, workers, **{"NEXTPICK_AUTO_REPORTS": "false", **environ})
        self.library = SimpleNamespace(home=home)

    def start(self) -> "Server":
        """Start it and make the clients."""
        super().start()
        self.personalize = self.client("personalize")
        self.runtime = self.client("personalize-runtime")
        self.events = self.client("personalize-events")
        self.nextpick = self.client("nextpick")
        return self

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client over HTTP."""
        config.setdefault("retries", {"total_max_attempts": 1})
        return super().client(service, parameter_validation=False, max_pool_connections=32, **config)

    def stop(self) -> int:
        """Stop it; what it logged is shown beside a test that failed."""
        print(self.log_tail(40))
        return super().stop()

    def family(self) -> list[int]:
        """Return the pids of the server's processes, the supervisor's first."""
        return [self.pid, *descendants_of(self.pid)]

    def kill(self) -> None:
        """kill -9 of the supervisor alone; wait until nothing is left of its children."""
        family = self.family()
        super().kill()
        deadline = time.monotonic() + 10
        while any(is_running(pid) for pid in family):
            assert time.monotonic() < deadline, "a process outlived the supervisor"
            time.sleep(0.02)

    def put_object(self, bucket: str, key: str, text: str) -> str:
        """Write an object into the bucket directory and return its location."""
        path = self.home / "buckets" / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return f"s3://{bucket}/{key}"

    settle = staticmethod(settle)


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children, whichever of its threads started them."""
    tasks, found = Path(f"/proc/{pid}/task"), []
    with contextlib.suppress(OSError):  # a process or a thread that has ended meanwhile
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError):
                found += [int(child) for child in (tasks / task / "children").read_text().split()]
    return found


def descendants_of(pid: int) -> list[int]:
    """Return the pids of a process's children, of theirs, and so on."""
    children = children_of(pid)
    return [*children, *(one for child in children for one in descendants_of(child))]


def workers_of(supervisor: int) -> list[int]:
    """Return the pids of a server's HTTP workers."""
    return [pid for pid in children_of(supervisor) if "nextpick.worker" in command_of(pid)]


def jobs_of(pid: int) -> list[int]:
    """Return the pids of the jobs that a supervisor, or a program with an open home, runs."""
    return [one for one in descendants_of(pid) if "nextpick.jobs.child" in command_of(one)]


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


def wait_for_job_process(supervisor: int, job: str = "", timeout_s: float = 20) -> int:
    """Return the pid of a job's process (any job's, unless its id is given) as soon as there is one."""
    deadline = time.monotonic() + timeout_s
    while True:
        for pid in jobs_of(supervisor):
            if job in command_of(pid):
                return pid
        assert time.monotonic() < deadline, "no job process was started"
        time.sleep(0.002)

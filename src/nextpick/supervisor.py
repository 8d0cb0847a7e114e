"""The process behind ``nextpick serve``: the home's lock, the socket, the workers, the jobs.

Workers and jobs are processes of their own. Each holds the reading end of a pipe whose writing end only this
process has, and ends when that pipe does, so that kill -9 of the supervisor leaves nothing behind.
"""

import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from nextpick.automation import any_wanted
from nextpick.durable import sync
from nextpick.settings import Settings

if TYPE_CHECKING:
    from nextpick.jobs.runner import JobRunner

LOOPBACK = ("127.0.0.1", "::1", "localhost")

_RESTART_PAUSE_S = 1.0
_STOP_GRACE_S = 8.0

log = logging.getLogger(__name__)


class HomeInUse(Exception):
    """Another server works on this home."""


def is_open(home: Path) -> bool:
    """Tell whether a process works on a home now."""
    try:
        lock = os.open(home / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


class Home:
    """The directory that holds everything, locked for this process."""

    def __init__(self, settings: Settings) -> None:
        """Make, lock and migrate the home. Raises HomeInUse, or migrate.NewerDatabase."""
        from nextpick.store import keys, migrate
        from nextpick.store.buckets import Buckets

        self.path = settings.home
        for directory in (self.path, self.path / "log", self.path / "buckets", self.path / "blobs"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync(self.path)
        with contextlib.suppress(PermissionError):  # the parent may be someone else's
            sync(self.path.parent)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not self._take_lock():
            holder = os.read(self._lock, 32).decode().strip() or "unknown"
            os.close(self._lock)
            raise HomeInUse(f"{self.path} is in use by the nextpick with pid {holder}.")
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        migrate.migrate(self.path / "nextpick.db")
        Buckets.sweep(self.path / "buckets")
        self.administrator = keys.ensure_administrator(self.path / "credentials", settings.account)

    def _take_lock(self) -> bool:
        for _ in range(5):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(0.02)  # whoever only looks, with is_open, has gone by then
        return False

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._lock)


def start_jobs(settings: Settings) -> "JobRunner":
    """Start the job runner of a locked home, in a thread of this process."""
    from nextpick.clock import SystemClock
    from nextpick.jobs.runner import JobRunner
    from nextpick.store.records import Records

    runner = JobRunner(Records(settings.home / "nextpick.db"), settings, SystemClock())
    runner.start()
    return runner


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    workers: int,
    auth: bool = True,
    gateway_port: int | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status. On ``gateway_port`` nothing is served but the gateway.

    Raises HomeInUse, NewerDatabase, or OSError when the port is taken.
    """
    if settings.functions == "loopback" and host not in LOOPBACK:
        settings = replace(settings, functions="never")
    home = Home(settings)
    listener = _listen(host, port)
    url = _url(listener)
    gateway = _listen(host, gateway_port) if gateway_port is not None else None
    tree = _Tree(settings, listener, workers, auth, gateway)
    services = _Services(settings)
    ending: list[int] = []

    def end(signum: int, _frame: FrameType | None) -> None:
        ending.append(signum)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    tree.start()
    runner = start_jobs(settings)
    _write_address(home.path, url, _url(gateway) if gateway is not None else None)
    print(f"nextpick serves {url} from {home.path} (pid {os.getpid()})", flush=True)
    try:
        while not ending:
            tree.mend()
            services.mend()
            time.sleep(0.1)
    finally:
        services.stop()
        tree.stop()
        runner.stop()
        (home.path / "server.json").unlink(missing_ok=True)
        home.close()
    return 0


class _Tree:
    """The HTTP workers, restarted when they end."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        workers: int,
        auth: bool,
        gateway: socket.socket | None,
    ) -> None:
        self._settings, self._listener, self._auth, self._gateway = settings, listener, auth, gateway
        self._pipe = os.pipe()
        self._workers: list[subprocess.Popen | None] = [None] * workers
        self._not_before = [0.0] * workers

    def start(self) -> None:
        for index in range(len(self._workers)):
            self._spawn(index)

    def mend(self) -> None:
        for index, process in enumerate(self._workers):
            if process is not None and process.poll() is not None:
                log.error("worker %d ended with status %s and is started again", index, process.returncode)
                self._workers[index] = None
                self._not_before[index] = time.monotonic() + _RESTART_PAUSE_S
            if self._workers[index] is None and time.monotonic() >= self._not_before[index]:
                self._spawn(index)

    def stop(self) -> None:
        _end([process for process in self._workers if process is not None])

    def _spawn(self, index: int) -> None:
        fds = (self._listener.fileno(), self._pipe[0])
        arguments = [
            str(self._settings.home),
            str(index),
            *map(str, fds),
            "auth" if self._auth else "no-auth",
        ]
        if self._gateway is not None:
            fds = (*fds, self._gateway.fileno())
            arguments.append(str(self._gateway.fileno()))
        self._workers[index] = subprocess.Popen(
            [sys.executable, "-m", "nextpick.worker", *arguments],
            env={
                **os.environ,
                **self._settings.environ(),
                "OMP_WAIT_POLICY": "PASSIVE",
                "NUMBA_NUM_THREADS": "1",
            },
            stdin=subprocess.DEVNULL,
            pass_fds=fds,
            start_new_session=True,
        )


class _Services:
    """The process of the services (``automation.py``): there while one is wanted, started again when it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pipe = os.pipe()
        self._process: subprocess.Popen | None = None
        self._not_before = 0.0

    def mend(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            log.error("the services ended with status %s and are started again", self._process.returncode)
            self._process, self._not_before = None, time.monotonic() + _RESTART_PAUSE_S
        is_due = self._process is None and time.monotonic() >= self._not_before
        if is_due and any_wanted(self._settings.home):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nextpick.automation", str(self._settings.home), str(self._pipe[0])],
                env={**os.environ, **self._settings.environ()},
                stdin=subprocess.DEVNULL,
                pass_fds=(self._pipe[0],),
                start_new_session=True,
            )

    def stop(self) -> None:
        if self._process is not None:
            _end([self._process])


def _end(processes: list[subprocess.Popen]) -> None:
    """Ask processes to end, and kill those that do not in time."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_GRACE_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from None
    listener.listen(2048)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _write_address(home: Path, url: str, gateway: str | None) -> None:
    content: dict[str, Any] = {"url": url, "pid": os.getpid()}
    if gateway is not None:
        content["gateway"] = gateway
    partial = home / "server.json.partial"
    partial.write_text(json.dumps(content) + "\n")
    partial.rename(home / "server.json")

"""Job processes that begin at once: forks of a process that has imported what jobs need (``forkserver.py``).

Where forking is not to be trusted (macOS), a job's process is a fresh one.
"""

import atexit
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe, reduction
from typing import Protocol

from nextpick.models.threads import n_threads

# unless the server's environment says otherwise
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(n_threads()))

_lock = threading.Lock()
_current: "_Server | None" = None


class Process(Protocol):
    """What the runner needs of ``subprocess.Popen``."""

    pid: int

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


def start(arguments: tuple[str, ...], environ: dict[str, str], parent_fd: int) -> Process:
    """Start ``python -m nextpick.jobs.child ARGUMENTS PARENT_FD``, the reading end of a pipe of this process.

    Raises OSError where no process can be started.
    """
    environ = {**_THREADS, **os.environ, **environ, "OMP_WAIT_POLICY": "PASSIVE"}
    if sys.platform != "linux":
        return subprocess.Popen(
            [sys.executable, "-m", "nextpick.jobs.child", *arguments, str(parent_fd)],
            env=environ,
            stdin=subprocess.DEVNULL,
            pass_fds=(parent_fd,),
            start_new_session=True,  # a terminal's Ctrl-C is for the server, which then ends its jobs
        )
    return _start(arguments, environ, parent_fd)


class _Server:
    """One fork server and what it told of its forks. Not safe among threads."""

    def __init__(self) -> None:
        self._ours, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nextpick.jobs.forkserver", str(theirs.fileno())],
            env={**_THREADS, **os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        self._numbers = itertools.count()
        self.pids: dict[int, int] = {}
        self.statuses: dict[int, int] = {}
        self.is_gone = False

    def fork(self, arguments: tuple[str, ...], environ: dict[str, str], parent_fd: int) -> int:
        """Return the number of a new fork. Raises EOFError or OSError when the server is gone."""
        number = next(self._numbers)
        self._ours.send(("start", number, arguments, environ, os.getcwd()))
        reduction.send_handle(self._ours, parent_fd, self._process.pid)
        while number not in self.pids:
            self._hear()
        return number

    def look(self) -> None:
        """Take in what has been told."""
        try:
            while not self.is_gone and self._ours.poll():
                self._hear()
        except (EOFError, OSError):
            self.end()

    def kill(self, number: int) -> None:
        """Kill a fork that has not ended."""
        if not self.is_gone:
            self._ours.send(("kill", number))

    def end(self) -> None:
        """Have it and all its forks end, if they have not."""
        self.is_gone = True
        self._ours.close()
        self._process.wait()
        for number in self.pids:
            self.statuses.setdefault(number, -signal.SIGKILL)

    def _hear(self) -> None:
        event, number, value = self._ours.recv()
        (self.pids if event == "started" else self.statuses)[number] = value


def _start(arguments: tuple[str, ...], environ: dict[str, str], parent_fd: int) -> Process:
    global _current
    with _lock:
        for _ in range(2):  # an idle server ends by itself, perhaps now
            if _current is not None:
                _current.look()
            if _current is None or _current.is_gone:
                _current = _Server()
            try:
                return _Forked(_current, _current.fork(arguments, environ, parent_fd))
            except (EOFError, OSError):
                _current.end()
        raise OSError("the server of job processes ends at once")


@atexit.register
def _end() -> None:
    with _lock:
        if _current is not None and not _current.is_gone:
            _current.end()


class _Forked:
    """A fork, as ``subprocess.Popen`` has a process."""

    def __init__(self, server: _Server, number: int) -> None:
        self._server, self._number, self.pid = server, number, server.pids[number]

    def poll(self) -> int | None:
        with _lock:
            self._server.look()
            return self._server.statuses.get(self._number)

    def kill(self) -> None:
        with _lock:
            self._server.kill(self._number)

    def wait(self) -> int:
        while (status := self.poll()) is None:
            time.sleep(0.002)
        return status

"""Imports what jobs need and forks for each of them: ``python -m nextpick.jobs.forkserver SOCKET_FD``.

The imports of a job take longer than many a job's work, so they are made once; and compiled code is loaded once, while
the second job does its work: one that comes alone is not worth it. This process has one thread, so that a
fork of it is whole. It ends with whoever holds the other end of the socket, and by itself when no job came for a
while; its forks end with it, as nobody would learn of their ends.

Messages are ``multiprocessing.connection``'s. In: ("start", number, arguments, environment, directory), followed by a
descriptor; ("kill", number). Out: ("started", number, pid), ("ended", number, status).
"""

import contextlib
import gc
import os
import signal
import sys
from multiprocessing import reduction
from multiprocessing.connection import Connection, wait

from setproctitle import setproctitle

from nextpick.jobs import child, warm
from nextpick.parent import end_with_parent

_IDLE_S = 60.0


def main(socket_fd: str) -> None:
    """Fork until the socket ends; in a fork, do its job."""
    child.import_all()
    _keep()
    setproctitle("python -m nextpick.jobs.forkserver")
    task = _Forks(Connection(int(socket_fd))).next_task()
    if task is not None:
        setproctitle(f"python -m nextpick.jobs.child {' '.join(task)}")
        child.main(*task)


def _keep() -> None:
    """Have the collector leave alone what is here: it stays, and its pages are shared with the forks."""
    gc.collect()
    gc.freeze()


class _Forks:
    def __init__(self, owner: Connection) -> None:
        self._jobs, self._is_warm = 0, False
        self._owner = owner
        self._alive, self._end_of_all = os.pipe()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)
        signal.set_wakeup_fd(self._wake)
        self._numbers: dict[int, int] = {}  # by pid

    def next_task(self) -> tuple[str, ...] | None:
        """Return the arguments of a job in a fork that is to do it; None, in this process, at the end."""
        while True:
            ready = wait([self._owner, self._woken], _IDLE_S)
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._owner in ready:
                try:
                    event, number, *rest = self._owner.recv()
                except (EOFError, ConnectionError):
                    return None
                if event == "kill":
                    for pid in [pid for pid, n in self._numbers.items() if n == number]:
                        os.kill(pid, signal.SIGKILL)
                elif task := self._start(number, *rest):
                    return task
                elif self._jobs > 1 and not self._is_warm and not self._owner.poll() and warm.is_compiled():
                    self._is_warm = True
                    with contextlib.suppress(Exception):  # a job that meets it will tell
                        warm.run()
                    _keep()
            if not ready and not self._numbers:
                return None

    def _reap(self) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._owner.send(("ended", self._numbers.pop(pid), os.waitstatus_to_exitcode(status)))

    def _start(
        self, number: int, arguments: tuple[str, ...], environ: dict[str, str], directory: str
    ) -> tuple[str, ...] | None:
        parent_fd = reduction.recv_handle(self._owner)
        pid = os.fork()
        if pid != 0:
            os.close(parent_fd)
            self._numbers[pid] = number
            self._jobs += 1
            self._owner.send(("started", number, pid))
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._owner.close()
        for fd in (self._woken, self._wake, self._end_of_all):
            os.close(fd)
        os.setsid()  # a terminal's Ctrl-C is for the server, which then ends its jobs
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environ)
        end_with_parent(self._alive)
        return (*arguments, str(parent_fd))


if __name__ == "__main__":
    main(*sys.argv[1:])

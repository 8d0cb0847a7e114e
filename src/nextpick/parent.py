"""The end of a process whose parent is gone.

A parent holds the write end of a pipe and hands the read end to its children: however it ends, their reads end too.
"""

import os
import threading


def end_with_parent(fd: int) -> None:
    """End this process when nothing holds the other end of the pipe ``fd`` any more."""
    threading.Thread(target=_wait, args=(fd,), daemon=True).start()


def _wait(fd: int) -> None:
    os.read(fd, 1)
    os._exit(1)

"""What functions log: two files for each, ``current.log`` and ``previous.log``, of a bounded size.

A line is a time, the first eight digits of its process's log stream, and the text, with tabs between.
"""

import time
from collections import deque
from pathlib import Path

from nextpick.durable import make_dirs
from nextpick.functions.registry import Function

TAIL_BYTES = 4096

_LONGEST_LINE = 256 * 1024  # of CloudWatch Logs


def log_dir(home: Path, function: Function) -> Path:
    """Return the directory of a function's log files."""
    return home / "functions" / "logs" / function.account / function.region / function.name


class Log:
    """The log of one function, for the one process that writes it; at most ``limit`` bytes are kept."""

    def __init__(self, directory: Path, limit: int) -> None:
        make_dirs(directory)
        self._directory, self._limit = directory, limit
        self._file = (directory / "current.log").open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, stream: str, lines: list[bytes]) -> None:
        """Append lines, which have no line ends, of one process."""
        now = time.time()
        head = (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z\t{stream}\t"
        )
        prefix = head.encode()
        text = b"".join(prefix + line + b"\n" for line in lines)
        if self._size + len(text) > self._limit // 2 and self._size:
            self._file.close()
            (self._directory / "current.log").replace(self._directory / "previous.log")
            self._file = (self._directory / "current.log").open("ab", buffering=0)
            self._size = 0
        self._file.write(text)
        self._size += len(text)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Output:
    """What one process prints, cut into lines for its function's log, and the end of it for whoever invoked."""

    def __init__(self, log: Log, stream: str) -> None:
        self._log, self._stream = log, stream
        self._partial = b""
        self._tail = bytearray()

    def begin(self, *lines: str) -> None:
        """Begin an invocation: what was printed before is not in its tail."""
        self.flush()
        self._tail.clear()
        self.say(*lines)

    def say(self, *lines: str) -> None:
        """Write lines of the platform's own."""
        self._add([line.encode() for line in lines])

    def feed(self, data: bytes) -> None:
        """Take what the process printed."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LONGEST_LINE:
            lines, self._partial = [*lines, self._partial], b""
        if lines:
            self._add(lines)

    def flush(self) -> None:
        """Write a last line that has no end."""
        if self._partial:
            self._add([self._partial])
            self._partial = b""

    def tail(self) -> str:
        """Return the last 4 KiB of the invocation."""
        return bytes(self._tail).decode(errors="replace")

    def _add(self, lines: list[bytes]) -> None:
        self._log.write(self._stream, lines)
        self._tail += b"\n".join(lines) + b"\n"
        del self._tail[:-TAIL_BYTES]


def read(directory: Path, lines: int) -> list[str]:
    """Return the newest lines of a function's log, oldest first."""
    kept: deque[str] = deque(maxlen=lines)
    for name in ("previous.log", "current.log"):
        try:
            with (directory / name).open(encoding="utf-8", errors="replace") as file:
                kept.extend(line.rstrip("\n") for line in file)
        except FileNotFoundError:
            continue
    return list(kept)

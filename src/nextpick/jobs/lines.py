"""Answering the lines of objects one by one, in files that a killed process can go on with.

For each object a file ``N.out`` grows beside ``progress.json``, which says how much of both is done; it is written once
the lines it counts are on disk. Who goes on cuts off what was written since and reads on from there, so that no
line is lost and none is answered twice.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from nextpick.data.run import Run
from nextpick.durable import make_dirs, sync
from nextpick.jobs.work import JobFailure
from nextpick.store.blobs import Object

MOST_BYTES, MOST_LINES, MOST_FILES = 1 << 30, 50_000_000, 1000
_LONGEST = 1 << 20
_CHUNK = 256
_SAVE_EVERY_S = 1.0

Answer = Callable[[bytes], tuple[bytes, bool]]
"""Takes a line and returns the line of its answer, and whether it was one; both without their line ends."""


class Progress(msgspec.Struct):
    """How far the work is: objects done, and of the next one bytes read, bytes written, lines."""

    done: int = 0
    read: int = 0
    written: int = 0
    lines: int = 0
    bad: int = 0
    in_file: int = 0


def answer_all(
    objects: Sequence[Object], directory: Path, answer: Answer, run: Run, most_lines: int = MOST_LINES
) -> Progress:
    """Answer every line of every object; return the counts. The answers are ``out_file(directory, n)``, on disk.

    Raises JobFailure for more objects, bytes or lines than there may be.
    """
    if len(objects) > MOST_FILES:
        raise JobFailure(f"The input has {len(objects)} files; it may have {MOST_FILES}.")
    for found in objects:
        if found.size > MOST_BYTES:
            raise JobFailure(f"{found.name} has {found.size} bytes; a file may have {MOST_BYTES}.")
    progress = _load(directory)
    total = sum(found.size for found in objects) or 1
    before = sum(found.size for found in objects[: progress.done])
    while progress.done < len(objects):
        found = objects[progress.done]
        with found.open() as source, _resumed(out_file(directory, progress.done), progress) as out:
            source.seek(progress.read)
            due = time.monotonic() + _SAVE_EVERY_S
            for lines in _chunks(source, found.name):
                for line in lines:
                    progress.read += len(line)
                    text = line.strip()
                    if text:
                        answered, is_good = answer(text)
                        progress.written += out.write(answered) + out.write(b"\n")
                        progress.lines, progress.in_file = progress.lines + 1, progress.in_file + 1
                        progress.bad += not is_good
                if progress.in_file > most_lines:
                    raise JobFailure(f"{found.name} has more than {most_lines} lines.")
                run.checkpoint((before + progress.read) / total, f"answering {found.name}")
                if time.monotonic() >= due:
                    _flush(out)
                    _save(directory, progress)
                    due = time.monotonic() + _SAVE_EVERY_S
            _flush(out)
        before += found.size
        progress.done, progress.read, progress.written, progress.in_file = progress.done + 1, 0, 0, 0
        _save(directory, progress)
    return progress


def out_file(directory: Path, number: int) -> Path:
    """Return the file with the answers to an object."""
    return directory / f"{number}.out"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Make the directory of one job's work and hold it against a process that was believed dead."""
    make_dirs(directory)
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _chunks(source: BinaryIO, name: str) -> Iterator[list[bytes]]:
    while True:
        lines = []
        while len(lines) < _CHUNK and (line := source.readline(_LONGEST)):
            if len(line) == _LONGEST:
                raise JobFailure(f"{name} has a line of {_LONGEST} bytes or more.")
            lines.append(line)
        if not lines:
            return
        yield lines


@contextmanager
def _resumed(path: Path, progress: Progress) -> Iterator[BinaryIO]:
    with path.open("ab") as out:
        out.truncate(progress.written)
        out.seek(progress.written)
        yield out
    sync(path.parent)


def _flush(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def _load(directory: Path) -> Progress:
    try:
        return msgspec.json.decode((directory / "progress.json").read_bytes(), type=Progress)
    except (FileNotFoundError, msgspec.DecodeError):
        return Progress()


def _save(directory: Path, progress: Progress) -> None:
    path = directory / "progress.new"
    with path.open("w") as file:
        json.dump(msgspec.to_builtins(progress), file)
        file.flush()
        os.fsync(file.fileno())
    path.replace(directory / "progress.json")
    sync(directory)

"""Databases that appear whole: a process that lists them while another one starts finds their tables in them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path


def make_whole(path: Path, opened: Callable[[Path], sqlite3.Connection]) -> None:
    """Make a database by ``opened``, which makes its tables, unless there is one; it has its name only then."""
    if path.exists():
        return
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    opened(draft).close()
    draft.rename(path)

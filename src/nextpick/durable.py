"""Files that survive a power cut: on disk with their names before anything refers to them."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Flush one file's content, or one directory's names, to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_dirs(path: Path) -> None:
    """Make a directory and its parents where they are missing, their names on the disk."""
    if path.is_dir():
        return
    make_dirs(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def sync_tree(root: Path) -> None:
    """Flush every file under ``root``, then its directories from the leaves up, then the name of ``root``."""
    for directory, _, files in os.walk(root, topdown=False):
        for name in files:
            sync(Path(directory, name))
        sync(Path(directory))
    sync(root.parent)

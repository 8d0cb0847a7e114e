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


def sync_tree(root: Path) -> None:
    """Flush every file under ``root``, then its directories from the leaves up, then the name of ``root``."""
    for directory, _, files in os.walk(root, topdown=False):
        for name in files:
            sync(Path(directory, name))
        sync(Path(directory))
    sync(root.parent)

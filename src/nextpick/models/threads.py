"""How many threads a training runs in."""

import os


def n_threads() -> int:
    """Return the cores this process may use, 8 at most: each thread has arrays of its own."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)

"""What long work is given: where to report, when to stop, its randomness."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Stopped(Exception):
    """The work was asked to stop."""


class Run(NamedTuple):
    """One piece of long work.

    progress: takes the fraction done (0 to 1) and the stage in words;  should_stop: True once the work is no
    longer wanted;  rng: where all its randomness comes from;  note: takes what the work has to tell, by name, as JSON
    has it;  scratch: a directory that whoever does the same work again after a kill will find, None without one.
    """

    progress: Callable[[float, str], None]
    should_stop: Callable[[], bool]
    rng: np.random.Generator
    note: Callable[[str, Any], None] = lambda name, told: None
    scratch: Path | None = None

    def check(self) -> None:
        """Raise Stopped when the work is no longer wanted."""
        if self.should_stop():
            raise Stopped

    def checkpoint(self, fraction: float, stage: str) -> None:
        """Report how far the work is; raise Stopped when it is no longer wanted."""
        self.progress(fraction, stage)
        self.check()

    def share(self, low: float, high: float) -> "Run":
        """Return a run whose progress from 0 to 1 is this run's from ``low`` to ``high``."""
        return self._replace(progress=lambda done, stage: self.progress(low + done * (high - low), stage))

"""The global time split: what was known before a moment, and what each user did next.

No event after the moment is learnt from, whoever's it is, so that nothing leaks from the future (Ji et al., "A
Critical Study on Data Leakage in Recommender System Offline Evaluation", 2023).
"""

from typing import NamedTuple

import numpy as np

from nextpick.clock import utc
from nextpick.data.dataset import Data, Interactions

TEST_SHARE = 0.1
_ALIKE = 0.5  # share of users who begin at one second: positions in a list, written as times


class NoClock(Exception):
    """The timestamps cannot divide the data into before and after; the text says why."""


class TimeSplit(NamedTuple):
    """``at``: seconds since 1970; ``train``: the data before it; ``users`` int64 [m], rows of the users with events
    from then on; ``starts`` int64 [m], the row of each one's first such event, ``histories`` int64 [m], how many
    events each has before."""

    at: int
    train: Data
    users: np.ndarray
    starts: np.ndarray
    histories: np.ndarray


def clock_problem(interactions: Interactions) -> str | None:
    """Return why the timestamps are no clock, None where they are one."""
    time, lengths = interactions.time, np.diff(interactions.offsets)
    if not len(time):
        return "There are no interactions."
    if time.min() == time.max():
        return f"All {len(time):,} interactions have the same timestamp."
    firsts = time[interactions.offsets[:-1][lengths > 0]]
    _, counts = np.unique(firsts, return_counts=True)
    if len(firsts) >= 10 and counts.max() > _ALIKE * len(firsts):
        return (
            f"{counts.max():,} of {len(firsts):,} users begin at the same second: "
            "the timestamps look like positions in a list, not like times."
        )
    return None


def time_split(data: Data, share: float = TEST_SHARE) -> TimeSplit:
    """Split so that about the newest ``share`` of the interactions come after. Events at the moment itself are after.

    Raises NoClock where there is no such moment, or no user has events on both sides of it.
    """
    interactions = data.interactions
    problem = clock_problem(interactions)
    if problem is not None:
        raise NoClock(problem)
    time, offsets = np.asarray(interactions.time), np.asarray(interactions.offsets)
    place = min(int(len(time) * (1 - share)), len(time) - 1)
    at = int(np.partition(time, place)[place])
    if at == time.min():
        at = int(time[time > at].min())
    before = time < at
    known = np.concatenate(([0], np.cumsum(before)))
    histories = known[offsets[1:]] - known[offsets[:-1]]
    later = np.diff(offsets) - histories
    if not np.any((histories > 0) & (later > 0)):
        raise NoClock(f"No user has interactions both before and after {utc(at)}.")
    users = np.flatnonzero(later > 0)
    latest = int(time[before].max())
    items = data.items._replace(created=np.minimum(data.items.created, latest))
    train = data._replace(interactions=interactions.only(before), items=items, latest=latest)
    return TimeSplit(at, train, users, (offsets[:-1] + histories)[users], histories[users])

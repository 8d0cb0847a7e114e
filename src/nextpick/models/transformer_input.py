"""What the network reads of a history: rows of items, and codes of what is beside each event.

Beside an event are the time since the one before it, the time until the one after it, and its type. The time until
the next event is, for the newest one, the time until the request: the request clock. Training hides all of it from
some sequences and only the time until the next event from others, so that the network answers queries with and
without times, with and without a clock. Sources: request-aware attention bias of HSTU (Zhai et al. 2024, §3.1), here
as embeddings, which cost nothing per pair of events; TiSASRec (Li et al. 2020).

More that is known at the time of an event, such as contextual metadata, is one more column of codes.
"""

from typing import NamedTuple

import numpy as np

BEFORE, AFTER, TYPE, N_COLUMNS = range(4)  # since the event before, until the one after, type of event
_GAPS = 64  # half octaves of seconds: the last is 68 years
_MINUTE_S = 60
_COMMON = 0.995  # a request that comes later than this share of events did says nothing by its time


class Sides(NamedTuple):
    """How codes are numbered: 0 nothing, gaps before, gaps after, types. ``longest``: the longest gap in seconds that
    a request clock is believed; negative where times tell nothing."""

    n_types: int
    longest: int

    @property
    def n_codes(self) -> int:
        return 1 + 2 * _GAPS + self.n_types


def sides_of(offsets: np.ndarray, time: np.ndarray, n_types: int) -> Sides:
    """Return the numbering for histories: ``offsets`` [n_users+1], ``time`` [n] int64 seconds."""
    known = between(offsets, time)
    known = known[known >= 0]
    if len(known) == 0 or known.min() == known.max():
        return Sides(n_types, -1)
    return Sides(n_types, int(np.quantile(known, _COMMON)))


def between(offsets: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the seconds since the event before of the same user, int64 [n], -1 for a user's first."""
    gap = np.diff(time, prepend=time[:1])
    gap[offsets[:-1][offsets[:-1] < len(time)]] = -1
    return gap


def codes(
    sides: Sides, before: np.ndarray | None, after: np.ndarray | None, kind: np.ndarray | None, n: int
) -> np.ndarray:
    """Return what is beside ``n`` events as codes, int64 [n, K]; None stands for unknown.

    before and after [n] int64: seconds since the event before and until the one after, negative where there is none;
    kind [n]: types, -1 none.
    """
    out = np.zeros((n, N_COLUMNS), np.int64)
    if before is not None and sides.longest >= 0:
        out[:, BEFORE] = np.where(before >= 0, 1 + _bucket(before), 0)
    if after is not None and sides.longest >= 0:  # whole minutes: answers do not change by the second
        out[:, AFTER] = np.where(after >= 0, 1 + _GAPS + _bucket(after // _MINUTE_S), 0)
    if kind is not None and sides.n_types:
        out[:, TYPE] = np.where(kind >= 0, 1 + 2 * _GAPS + kind, 0)
    return out


def _bucket(gap: np.ndarray) -> np.ndarray:
    return np.minimum(2.0 * np.log2(1.0 + np.maximum(gap, 0)), _GAPS - 1).astype(np.int64)

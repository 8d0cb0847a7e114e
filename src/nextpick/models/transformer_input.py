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
    inner = np.ones(len(time), bool)
    inner[offsets[:-1][offsets[:-1] < len(time)]] = False
    gaps = np.diff(time, prepend=0)[inner]
    if len(gaps) == 0 or gaps.min() == gaps.max():
        return Sides(n_types, -1)
    return Sides(n_types, int(np.quantile(gaps, _COMMON)))


def codes(
    sides: Sides, time: np.ndarray | None, kind: np.ndarray | None, after: np.ndarray | None
) -> np.ndarray:
    """Return int64 [h, 3] of one history.

    time [h] int64 seconds, None unknown;  kind [h] types, -1 none, None unknown;  after [h] int64: seconds until the
    next event, None unknown.
    """
    n = next(len(known) for known in (time, kind, after) if known is not None)
    out = np.zeros((n, N_COLUMNS), np.int64)
    if sides.longest >= 0 and time is not None and n > 1:
        out[1:, BEFORE] = 1 + _bucket(np.diff(time))
    if sides.longest >= 0 and after is not None:
        out[:, AFTER] = 1 + _GAPS + _bucket(after // _MINUTE_S)  # whole minutes: answers do not change by the second
    if kind is not None and sides.n_types:
        out[:, TYPE] = np.where(kind >= 0, 1 + 2 * _GAPS + kind, 0)
    return out


def _bucket(gap: np.ndarray) -> np.ndarray:
    return np.minimum(2.0 * np.log2(1.0 + np.maximum(gap, 0)), _GAPS - 1).astype(np.int64)

"""What the network reads of a history: rows of items, and codes of what is beside each event.

Beside an event are the time since the one before it, the time until the one after it, and its type. The time until
the next event is, for the newest one, the time until the request: the request clock. Training hides all of it from
some sequences and only the time until the next event from others, so that the network answers queries with and
without times, with and without a clock. Sources: request-aware attention bias of HSTU (Zhai et al. 2024, §3.1), here
as embeddings, which cost nothing per pair of events; TiSASRec (Li et al. 2020).
"""

from math import log2
from typing import NamedTuple

import numba
import numpy as np

BEFORE, AFTER, TYPE, N_COLUMNS = range(4)  # since the event before, until the one after, type of event
_GAPS = 64  # half octaves: of seconds the last begins at 68 years
_MINUTE_S = 60  # of the time until the next event whole minutes count: answers do not change by the second
_COMMON = 0.995  # a request that comes later than this share of events did says nothing by its time


class Sides(NamedTuple):
    """How codes are numbered: 0 nothing, gaps before, gaps after, types. ``longest``: the longest gap in seconds that
    a request clock is believed; negative where times tell nothing."""

    n_types: int
    longest: int

    @property
    def n_codes(self) -> int:
        """How many codes there are, 0 included."""
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


@numba.njit(cache=True)
def codes(before, after, kind, n_types, longest):
    """Return what is beside events as codes, int64 [n, K].

    before and after [n] int64: seconds since the event before and until the one after, negative where unknown;  kind
    [n]: types, -1 unknown;  n_types and longest: see ``Sides``.
    """
    out = np.zeros((len(before), N_COLUMNS), np.int64)
    for i in range(len(before)):
        if longest >= 0 and before[i] >= 0:
            out[i, BEFORE] = 1 + _half_octave(before[i])
        if longest >= 0 and after[i] >= 0:
            out[i, AFTER] = 1 + _GAPS + _half_octave(after[i] // _MINUTE_S)
        if 0 <= kind[i] < n_types:
            out[i, TYPE] = 1 + 2 * _GAPS + kind[i]
    return out


@numba.njit(cache=True)
def embedded(items, time, kind, now, length, n_types, longest, item_table, code_table):
    """Return the newest ``length`` events of a history as the network reads them, float32 [L, d].

    items [h]: rows of ``item_table`` [n, d];  time [h] int64 seconds and kind [h], empty where unknown;  now int64:
    when it is asked, negative unknown;  code_table [c, d].
    """
    n = min(len(items), length)
    first = len(items) - n
    out = np.empty((n, item_table.shape[1]), np.float32)
    for k in range(n):
        out[k] = item_table[items[first + k]]
    if len(time) == 0 and len(kind) == 0:
        return out
    before, after, types = np.full(n, -1), np.full(n, -1), np.full(n, -1)
    has_clock = len(time) > 0 and now >= 0 and 0 <= now - time[-1] <= longest
    for k in range(n):
        at = first + k
        if len(time) and at > 0:
            before[k] = time[at] - time[at - 1]
        if has_clock:
            after[k] = (time[at + 1] if at + 1 < len(time) else now) - time[at]
        if len(kind):
            types[k] = kind[at]
    found = codes(before, after, types, n_types, longest)
    for k in range(n):
        for column in range(N_COLUMNS):
            if found[k, column]:
                out[k] += code_table[found[k, column]]
    return out


@numba.njit(cache=True)
def _half_octave(gap):
    return min(np.int64(2.0 * log2(1.0 + gap)), _GAPS - 1)

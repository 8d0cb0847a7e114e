"""The logit of the next item: a weighted sum of what each member says of it, member by member.

Of a history h_1 (newest), h_2, ... each table M of ``pairs.py`` gives an item b the sum

    s(b) = sum over ages k of g^(k-1) M[h_k, b]           g: the table's decay

and the logit of b is a weighted sum of columns: s(b) / rms(s) of each table, log(1 + max(s(b), 0) / eps) of those that
are like probabilities, log p(b) and log of the recent p(b), likeness of b's attributes to the history's, evidence from
the user's attributes, and whether b is in the history and how lately. The score is the softmax of the logits over
the catalogue. All columns but the two of popularity are 0 for an item that nothing touches, so only those touched
are computed: O(items read), not O(catalogue). The weights are chosen by ``weighing.py``.

Slots: the touched items, numbered as they come. T: tables, D: columns, S: slots.
"""

from typing import NamedTuple

import numba
import numpy as np

from nextpick.models.pairs import TABLES
from nextpick.models.simd import add8, exp, log

COLUMNS = (
    *TABLES,
    "log near", "log about", "log next", "log kin", "log linear",
    "popularity", "recent popularity", "attributes", "user attributes", "seen", "seen lately",
)  # fmt: skip
BENT = (0, 1, 2, 4)  # tables whose logarithm is a column too; then that of soon + later
_EPSILON = (1e-4, 1e-5, 1e-4, 1e-3, 3e-4)
LOGS, SHARES, ATTRIBUTES, _PEERS, SEEN, LATELY = 7, 12, 14, 15, 16, 17
SEEN_DECAY = 0.8
FADE = 0.93  # of an older item less of the row is read: its heaviest pairs
_LEAST_READ = 32
TASTE_DECAY, _NEWEST = 0.9, 5  # of the history's attributes; how many items' cold companions are looked at
PRIOR = 2.0  # how much a history's attributes are drawn to everyone's


class Tables(NamedTuple):
    """What is read at an answer, in the order compiled code takes it.

    offsets, items, codes, scale: ``pairs.Pairs``; decays [8] float32: the g of the tables; log_share [2, n_items]
    float32: log p and log recent p; held, held_codes: the items' attributes (``attributes.Attributes``); code_share [n]
    float32: of all interactions, how many are with a holder of each; cold, cold_items: items hardly taken, by
    attribute; user_held, user_codes: the users' attributes; lists, list_items, list_weights: what their holders take
    more than others, with the logarithm of how much more.
    """

    offsets: np.ndarray
    items: np.ndarray
    codes: np.ndarray
    scale: np.ndarray
    decays: np.ndarray
    log_share: np.ndarray
    held: np.ndarray
    held_codes: np.ndarray
    code_share: np.ndarray
    cold: np.ndarray
    cold_items: np.ndarray
    user_held: np.ndarray
    user_codes: np.ndarray
    lists: np.ndarray
    list_items: np.ndarray
    list_weights: np.ndarray


@numba.njit(cache=True, nogil=True)
def _touch(b, slot, touched, n):
    """Give item ``b`` a slot if it has none; return how many there are."""
    if slot[b] < 0:
        slot[b] = n
        touched[n] = b
        return n + 1
    return n


@numba.njit(cache=True, nogil=True)
def n_read(size, read):
    """Return how many pairs of a row are read of which the share ``read`` is wanted."""
    return min(size, max(_LEAST_READ, int(size * read)))


@numba.njit(cache=True, nogil=True)
def gather(history, user, limit, more, tables):
    """Return the slots' items int32 [S], how many of them are touched, slot int32 [n_items] (-1 none), sums float32
    [8, S], own float32 [3, S] (user attributes, seen, seen lately) and taste float32 [n attributes] (log(1 + how much
    more the history has of each)). ``more``: items to give slots to, touched or not."""
    (offsets, items, codes, scale, decays, _, held, held_codes, code_share, cold, cold_items,
     user_held, user_codes, lists, list_items, list_weights) = tables  # fmt: skip
    n_items = len(offsets) - 1
    h = min(limit, len(history))
    most = len(more) + h
    for k in range(h):
        a = history[len(history) - 1 - k]
        most += offsets[a + 1] - offsets[a]
    most = min(most, n_items)
    slot = np.full(n_items, -1, np.int32)
    touched = np.empty(n_items, np.int32)
    total = np.zeros((most, 8), np.float32)
    weight, factor = np.ones(8, np.float32), np.empty(8, np.float32)
    at_total, at_codes, at_factor = total.ctypes.data, codes.ctypes.data, factor.ctypes.data
    n, read = 0, 1.0
    for k in range(h):
        a = history[len(history) - 1 - k]
        for t in range(8):
            factor[t] = weight[t] * scale[a, t]
            weight[t] *= decays[t]
        size = offsets[a + 1] - offsets[a]
        for p in range(offsets[a], offsets[a] + n_read(size, read)):
            b = items[p]
            s = slot[b]
            if s < 0:
                s = n
                slot[b] = n
                touched[n] = b
                n += 1
            add8(at_total + s * 32, at_codes + p * 8, at_factor)
        read *= FADE
    summed = n
    for k in range(h):
        n = _touch(history[len(history) - 1 - k], slot, touched, n)
    taste = np.zeros(len(code_share), np.float32)
    if h > 0 and len(held_codes) > 0:
        n = _taste(history, h, held, held_codes, code_share, cold, cold_items, slot, touched, n, taste)
    peers, peers_end = 0, 0
    if 0 <= user < len(user_held) - 1:
        peers, peers_end = user_held[user], user_held[user + 1]
    for p in range(peers, peers_end):
        for q in range(lists[user_codes[p]], lists[user_codes[p] + 1]):
            n = _touch(list_items[q], slot, touched, n)
    reached = n
    for m in range(len(more)):
        n = _touch(more[m], slot, touched, n)
    sums = np.zeros((8, n), np.float32)
    for s in range(summed):
        for t in range(8):
            sums[t, s] = total[s, t]
    own = np.zeros((3, n), np.float32)
    for p in range(peers, peers_end):
        for q in range(lists[user_codes[p]], lists[user_codes[p] + 1]):
            own[0, slot[list_items[q]]] += list_weights[q] / np.float32(peers_end - peers)
    lately = np.float32(1.0)
    for k in range(h):
        s = slot[history[len(history) - 1 - k]]
        own[1, s] = 1.0
        own[2, s] += lately
        lately *= np.float32(SEEN_DECAY)
    return touched[:n], reached, slot, sums, own, taste


@numba.njit(cache=True, nogil=True)
def _taste(history, h, held, held_codes, code_share, cold, cold_items, slot, touched, n, taste):
    """Write the history's taste, give slots to cold items of its newest attributes; return how many there are."""
    x = np.float32(1.0)
    for k in range(h):
        a = history[len(history) - 1 - k]
        for p in range(held[a], held[a + 1]):
            c = held_codes[p]
            taste[c] += x
            if k < _NEWEST:
                for q in range(cold[c], cold[c + 1]):
                    n = _touch(cold_items[q], slot, touched, n)
        x *= np.float32(TASTE_DECAY)
    for c in range(len(taste)):
        taste[c] = log(np.float32(1.0) + taste[c] / (np.float32(PRIOR) * code_share[c]))
    return n


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def column(d, touched, sums, own, taste, n_items, tables, out):
    """Write column ``d`` of the slots to ``out`` [S]."""
    log_share, held, held_codes = tables[5], tables[6], tables[7]
    n = len(touched)
    if d < LOGS:
        square = np.float32(0.0)
        for s in range(n):
            square += sums[d, s] * sums[d, s]
        scale = np.float32(1.0) / np.sqrt(square / np.float32(n_items) + np.float32(1e-20))
        for s in range(n):
            out[s] = sums[d, s] * scale
    elif d < SHARES - 1:
        per = np.float32(1.0) / np.float32(_EPSILON[d - LOGS])
        t = BENT[d - LOGS]
        for s in range(n):
            out[s] = log(np.float32(1.0) + sums[t, s] * per)
    elif d == SHARES - 1:
        per = np.float32(1.0) / np.float32(_EPSILON[4])
        for s in range(n):
            out[s] = log(np.float32(1.0) + max(sums[5, s] + sums[6, s], np.float32(0.0)) * per)
    elif d < ATTRIBUTES:
        for s in range(n):
            out[s] = log_share[d - SHARES, touched[s]]
    elif d == ATTRIBUTES:
        for s in range(n):
            first, last = held[touched[s]], held[touched[s] + 1]
            out[s] = 0.0
            for p in range(first, last):
                out[s] += taste[held_codes[p]] / np.float32(last - first)
    else:
        for s in range(n):
            out[s] = own[d - _PEERS, s]


def reached(history: np.ndarray, user: int, limit: int, tables: Tables) -> np.ndarray:
    """Return the items that anything but popularity speaks about, int32: all others differ by that alone."""
    return gather(history, user, limit, np.empty(0, np.int32), tables)[0]


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def predict(history, user, limit, weights, rest, rest_sum, rest_most, tables, out):
    """Write the probabilities of all items to ``out`` [n_items] float32.

    weights [D] float32; rest [n_items] float32: exp(logit - rest_most) of an item that nothing touches, rest_sum
    its sum.
    """
    n_items = len(out)
    touched, _, _, sums, own, taste = gather(history, user, limit, np.empty(0, np.int32), tables)
    n = len(touched)
    logit, one = np.zeros(n, np.float32), np.empty(n, np.float32)
    for d in range(len(weights)):
        if weights[d] != 0.0:
            column(d, touched, sums, own, taste, n_items, tables, one)
            w = weights[d]
            for s in range(n):
                logit[s] += w * one[s]
    most = np.float32(rest_most)
    for s in range(n):
        most = max(most, logit[s])
    mass = np.float32(0.0)
    for s in range(n):
        logit[s] = exp(logit[s] - most)
        mass += logit[s]
    factor = exp(np.float32(rest_most) - most)
    left = np.float32(rest_sum)
    for s in range(n):
        left -= rest[touched[s]]
    mass += factor * max(left, np.float32(0.0))
    factor /= mass
    for b in range(n_items):
        out[b] = rest[b] * factor
    for s in range(n):
        out[touched[s]] = logit[s] / mass

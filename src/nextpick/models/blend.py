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
from nextpick.models.simd import add8, exp, log, turn8

COLUMNS = (
    *TABLES,
    "log near", "log about", "log next", "log kin", "log linear",
    "popularity", "recent popularity", "attributes", "user attributes", "seen", "seen lately",
)  # fmt: skip
BENT = (0, 1, 2, 4)  # tables whose logarithm is a column too; then that of soon + later
_EPSILON = (1e-4, 1e-5, 1e-4, 1e-3, 3e-4)
LOGS, SHARES, ATTRIBUTES, _PEERS, SEEN, LATELY = 7, 12, 14, 15, 16, 17
SEEN_DECAY = 0.8
FADE = 0.85  # of an older item less of the row is read: its heaviest pairs
_LEAST_READ = 16
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


class Weights(NamedTuple):
    """How much the columns count, by bucket of histories (``weighing.bucket``).

    weights [buckets, D] float32; rest [buckets, n_items] float32: exp(logit - most) of an item that nothing touches;
    rest_sums [buckets, 2] float64: their sum, and most; limit [1] int64: how many of the last items are read.
    """

    weights: np.ndarray
    rest: np.ndarray
    rest_sums: np.ndarray
    limit: np.ndarray


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
    most, longest = len(more) + h, 0
    for k in range(h):
        a = history[len(history) - 1 - k]
        most += offsets[a + 1] - offsets[a]
        longest = max(longest, offsets[a + 1] - offsets[a])
    most = min(most, n_items)
    slot = np.full(n_items, -1, np.int32)
    touched = np.empty(n_items + 1, np.int32)
    total = np.empty((most, 8), np.float32)
    of_pair = np.empty(longest, np.int32)
    weight, factor = np.ones(8, np.float32), np.empty(8, np.float32)
    at_total, at_codes, at_factor = total.ctypes.data, codes.ctypes.data, factor.ctypes.data
    n, read = 0, 1.0
    for k in range(h):
        a = history[len(history) - 1 - k]
        for t in range(8):
            factor[t] = weight[t] * scale[a, t]
            weight[t] *= decays[t]
        size = offsets[a + 1] - offsets[a]
        first, wanted, known = offsets[a], n_read(size, read), n
        for p in range(wanted):
            b = np.uint64(items[first + p])
            s = np.int64(slot[b])
            is_new = np.int64(s < 0)
            s += is_new * (n - s)  # no branch: half of all would be guessed wrong
            slot[b] = s
            of_pair[p] = s
            touched[np.uint64(n)] = b
            n += is_new
        total[known:n] = 0.0
        for p in range(wanted):
            add8(at_total + of_pair[p] * 32, at_codes + (first + p) * 8, at_factor)
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
    sums = np.empty((8, n), np.float32)
    turned = summed - summed % 8
    for s in range(0, turned, 8):
        turn8(at_total + s * 32, sums.ctypes.data + s * 4, n * 4)
    for t in range(8):
        for s in range(turned, summed):
            sums[t, s] = total[s, t]
        sums[t, summed:] = 0.0
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
def add_column(d, weight, touched, sums, own, taste, n_items, tables, out):
    """Add ``weight`` times column ``d`` of the slots to ``out`` [S]."""
    log_share, held, held_codes = tables[5], tables[6], tables[7]
    n, w = len(touched), np.float32(weight)
    if d < LOGS:
        square = np.float32(0.0)
        for s in range(n):
            square += sums[d, s] * sums[d, s]
        w /= np.sqrt(square / np.float32(n_items) + np.float32(1e-20))
        for s in range(n):
            out[s] += w * sums[d, s]
    elif d < SHARES - 1:
        per = np.float32(1.0) / np.float32(_EPSILON[d - LOGS])
        t = BENT[d - LOGS]
        for s in range(n):
            out[s] += w * log(np.float32(1.0) + sums[t, s] * per)
    elif d == SHARES - 1:
        per = np.float32(1.0) / np.float32(_EPSILON[4])
        for s in range(n):
            out[s] += w * log(np.float32(1.0) + max(sums[5, s] + sums[6, s], np.float32(0.0)) * per)
    elif d < ATTRIBUTES:
        for s in range(n):
            out[s] += w * log_share[d - SHARES, touched[s]]
    elif d == ATTRIBUTES:
        for s in range(n):
            first, last = held[touched[s]], held[touched[s] + 1]
            for p in range(first, last):
                out[s] += w * taste[held_codes[p]] / np.float32(last - first)
    else:
        for s in range(n):
            out[s] += w * own[d - _PEERS, s]


def reached(history: np.ndarray, user: int, limit: int, tables: Tables) -> np.ndarray:
    """Return the items that anything but popularity speaks about, int32: all others differ by that alone."""
    return gather(history, user, limit, np.empty(0, np.int32), tables)[0]


@numba.njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc", "contract"})
def predict(history, user, bucket, chosen, tables, out):
    """Write the probabilities of all items to ``out`` [n_items] float32; ``chosen``: the ``Weights``."""
    n_items, weights, rest = len(out), chosen[0][bucket], chosen[1][bucket]
    rest_sum, rest_most = chosen[2][bucket]
    touched, _, _, sums, own, taste = gather(history, user, chosen[3][0], np.empty(0, np.int32), tables)
    n = len(touched)
    logit = np.zeros(n, np.float32)
    for d in range(len(weights)):
        if weights[d] != 0.0:
            add_column(d, weights[d], touched, sums, own, taste, n_items, tables, logit)
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

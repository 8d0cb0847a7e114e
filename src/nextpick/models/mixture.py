"""The probability of the next item as a mixture of four distributions over the catalogue.

    p = (1 - a - b - c) * transitions + a * recent popularity + b * item attributes + c * user attributes

The weights (a, b, c) depend on how long the history is; what a component cannot say (a rarely seen item, an
item without metadata) goes to recent popularity, so that every component, and p, sums to 1.
"""

from bisect import bisect_right

import numba
import numpy as np

_LEAST_READ = 16  # targets of any row
_LEAST_LENGTHS = (0, 1, 3, 8, 25)
BUCKETS = np.array(_LEAST_LENGTHS, np.int32)  # least history length of each bucket


def bucket(length: int) -> int:
    """Return the bucket of a history's length."""
    return bisect_right(_LEAST_LENGTHS, length) - 1


@numba.njit(cache=True)
def add_rows(history, decay, limit, offsets, items, weights, scale, out):
    """Add the history's rows to ``out``, the newer the heavier, ``scale`` in all; return the mass added.

    Of an older item, which weighs less, less of the row is read: its heaviest targets. Reading is what the time
    goes to, and the targets left out would have moved no item by a place worth the name.
    """
    n = min(limit, len(history))
    if n == 0 or scale == 0.0:
        return 0.0
    total, x = 0.0, 1.0
    for _ in range(n):
        total += x
        x *= decay
    x, read, used = scale / total, 1.0, 0.0
    for k in range(n):
        row = history[len(history) - 1 - k]
        first = offsets[row]
        last = min(offsets[row + 1], first + max(_LEAST_READ, int((offsets[row + 1] - first) * read)))
        for p in range(first, last):
            out[items[p]] += x * weights[p]
            used += x * weights[p]
        x *= decay
        read *= np.sqrt(decay)
    return used


@numba.njit(cache=True)
def add_attributes(rows, decay, limit, held, codes, lists, items, weights, scale, out):
    """Add what holders of the attributes of ``rows`` take, ``scale`` in all; return the mass added."""
    n = min(limit, len(rows))
    if n == 0 or scale == 0.0 or len(codes) == 0:
        return 0.0
    affinity = np.zeros(len(lists) - 1, np.float32)
    touched = np.empty(min(len(codes), len(affinity)), np.int32)
    n_touched, total, x = 0, 0.0, 1.0
    for _ in range(n):
        total += x
        x *= decay
    x, used = scale / total, 0.0
    for k in range(n):
        row = rows[len(rows) - 1 - k]
        first, last = held[row], held[row + 1]
        for p in range(first, last):
            if affinity[codes[p]] == 0.0:
                touched[n_touched] = codes[p]
                n_touched += 1
            affinity[codes[p]] += x / (last - first)
        x *= decay
    for t in range(n_touched):
        attribute = touched[t]
        for q in range(lists[attribute], lists[attribute + 1]):
            out[items[q]] += affinity[attribute] * weights[q]
            used += affinity[attribute] * weights[q]
    return used


@numba.njit(cache=True)
def add_popularity(popularity, scale, out):
    """Add ``scale`` of the popularity to ``out``."""
    for i in range(len(out)):
        out[i] += scale * popularity[i]


@numba.njit(cache=True)
def predict(
    history, user, mix, decay, limit,
    row_offsets, row_items, row_weights, popularity,
    item_held, item_codes, item_lists, item_list_items, item_list_weights,
    user_held, user_codes, user_lists, user_list_items, user_list_weights, out,
):  # fmt: skip
    """Write p to ``out`` [n_items] float32. ``mix`` = (a, b, c); ``user`` is a row or -1."""
    out[:] = 0.0
    length = len(history)
    taste = mix[1] if length and len(item_codes) else 0.0
    kin = mix[2] if 0 <= user < len(user_held) - 1 and len(user_codes) else 0.0
    order = 1.0 - mix[0] - taste - kin if length else 0.0
    used = add_rows(history, decay, limit, row_offsets, row_items, row_weights, order, out)
    used += add_attributes(history, decay, limit, item_held, item_codes, item_lists, item_list_items,
                           item_list_weights, taste, out)  # fmt: skip
    if kin > 0.0:
        one = np.full(1, user, np.int32)
        used += add_attributes(one, decay, limit, user_held, user_codes, user_lists, user_list_items,
                               user_list_weights, kin, out)  # fmt: skip
    add_popularity(popularity, 1.0 - used, out)


@numba.njit(cache=True)
def gains(
    users, offsets, item, weight, mixes, decay, limit, n_items, buckets,
    row_offsets, row_items, row_weights, popularity,
    item_held, item_codes, item_lists, item_list_items, item_list_weights,
    user_held, user_codes, user_lists, user_list_items, user_list_weights,
):  # fmt: skip
    """Return what each mix [m, 3] gains for each bucket, float64 [buckets, m], and on how many queries it does.

    It is here because numba keeps compiled code by file: a function of another file that uses these would not
    be compiled again when they change.
    """
    n_buckets = len(buckets)
    gain = np.zeros((n_buckets, len(mixes)))
    queries = np.zeros(n_buckets, np.int64)
    parts = np.zeros((3, n_items), np.float32)
    used = np.zeros(3)
    seen = np.zeros(n_items, np.bool_)
    one = np.zeros(1, np.int32)
    for u in range(len(users)):
        user, start, end = users[u], offsets[users[u]], offsets[users[u] + 1]
        for q in range(n_buckets + 1):
            length = buckets[q] if q < n_buckets else end - start - 1
            if start + length >= end or (q < n_buckets and length == end - start - 1):
                continue
            b = n_buckets - 1
            while buckets[b] > length:
                b -= 1
            history, target = item[start : start + length], item[start + length]
            parts[:] = 0.0
            one[0] = user
            used[0] = add_rows(history, decay, limit, row_offsets, row_items, row_weights, 1.0, parts[0])
            used[1] = add_attributes(history, decay, limit, item_held, item_codes, item_lists, item_list_items,
                                     item_list_weights, 1.0, parts[1])  # fmt: skip
            used[2] = add_attributes(one, decay, limit, user_held, user_codes, user_lists, user_list_items,
                                     user_list_weights, 1.0, parts[2])  # fmt: skip
            for h in history:
                seen[h] = h != target
            queries[b] += 1
            for m in range(len(mixes)):
                taste = mixes[m, 1] if length else 0.0
                kin = mixes[m, 2]
                order = 1.0 - mixes[m, 0] - taste - kin if length else 0.0
                rest = 1.0 - order * used[0] - taste * used[1] - kin * used[2]
                own = (
                    order * parts[0, target]
                    + taste * parts[1, target]
                    + kin * parts[2, target]
                    + rest * popularity[target]
                )
                rank = 0
                for i in range(n_items):
                    score = (
                        order * parts[0, i] + taste * parts[1, i] + kin * parts[2, i] + rest * popularity[i]
                    )
                    if score > own and not seen[i]:
                        rank += 1
                gain[b, m] += weight[start + length] / np.log2(rank + 2.0)
            for h in history:
                seen[h] = False
    return gain, queries

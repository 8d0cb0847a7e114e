"""How much of each member: the blend's weights, chosen on items that the members' tables have not seen.

The last items of users are peeled off; members are fitted on what is left; then the weights are those under which
the peeled items are likeliest (``logit.py``), among what the members hold likeliest, what the user has taken before,
and a sample of all the rest, each of which stands for as many as were not drawn. There are weights for each length of
history: those of short ones are learnt from the newest items of longer ones too. A member that is not of the blend's
tables is one more column beside what ``features`` returns (``blending.py``).
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models import logit
from nextpick.models.blend import ATTRIBUTES, COLUMNS, Tables, add_column, gather
from nextpick.models.logit import Choices
from nextpick.models.rows import read_only, weights_of
from nextpick.models.threads import n_threads
from nextpick.models.topk import top_k

LEAST_LENGTHS = (0, 1, 3, 8)  # of each bucket of histories
_MOST_QUERIES, _MOST_CUT_QUERIES, _LEAST_QUERIES = 8000, 2000, 100
_PEELED_LONG, _PEELED_SHORT, _LONG = 3, 1, 20  # of users with a median of _LONG items or more, and of others
_BEST, _SEEN, _REST = 200, 8, 40  # candidates of a query
_ROUNDS, _PATIENCE = 2, 10.0
_CHUNKS = 32
DEFAULT = {"lift": 0.5, "about": 0.3, "log about": 0.3, "log next": 0.1, "kin": 0.2, "recent popularity": 0.3,
           "attributes": 0.3, "user attributes": 0.5}  # fmt: skip
WITHOUT_HISTORY = {
    "recent popularity": 1.0,
    "user attributes": 1.0,
}  # p(item) times how much more the user's like take


class Peeled(NamedTuple):
    """What weights are learnt on. ``kept``: bool [n], the interactions that members may see; of each query ``user``,
    ``start`` and ``end`` of its history and ``target``, places among the interactions: int64 [Q]."""

    kept: np.ndarray
    user: np.ndarray
    start: np.ndarray
    end: np.ndarray


def bucket(length: int) -> int:
    """Return the bucket of a history's length."""
    return bisect_right(LEAST_LENGTHS, length) - 1


def peel(interactions: Interactions, rng: np.random.Generator) -> Peeled:
    """Draw queries: a query's target is the item at its ``end``."""
    offsets = np.asarray(interactions.offsets)
    lengths = np.diff(offsets)
    users = np.flatnonzero(lengths >= 2)
    depth = _PEELED_LONG if len(users) and np.median(lengths[users]) >= _LONG else _PEELED_SHORT
    users = np.sort(rng.choice(users, min(len(users), _MOST_QUERIES), replace=False))
    step = np.tile(np.arange(1, depth + 1), len(users))
    user = np.repeat(users, depth)
    user, step = user[lengths[user] > step], step[lengths[user] > step]
    kept = np.ones(len(interactions.item), bool)
    kept[offsets[user + 1] - step] = False
    drawn = np.sort(rng.choice(len(user), min(len(user), _MOST_QUERIES), replace=False))
    user, end = user[drawn], offsets[user[drawn] + 1] - step[drawn]
    parts = [(user, offsets[user], end)]
    for least, longest in pairwise(LEAST_LENGTHS[1:]):
        cut = rng.choice(len(user), min(len(user), _MOST_CUT_QUERIES), replace=False)
        start = end[cut] - rng.integers(least, longest, len(cut))
        cut, start = cut[start > offsets[user[cut]]], start[start > offsets[user[cut]]]  # others are whole
        parts.append((user[cut], start, end[cut]))
    return Peeled(kept, *(np.concatenate(column) for column in zip(*parts, strict=True)))


def choose(
    peeled: Peeled,
    interactions: Interactions,
    tables: Tables,
    limit: int,
    rng: np.random.Generator,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Return the weights of each bucket, float32 [buckets, D]; ``tables`` are of what ``peeled`` keeps."""
    n_buckets = len(LEAST_LENGTHS)
    weights = np.tile(np.array([DEFAULT.get(name, 0.0) for name in COLUMNS], np.float32), (n_buckets, 1))
    weights[0] = [WITHOUT_HISTORY.get(name, 0.0) for name in COLUMNS]
    seeds = rng.integers(1 << 31, size=len(peeled.user))
    learnt: list[int] = []
    for b, rows in buckets(peeled):
        choices, _ = features(peeled, rows, seeds, interactions, tables, limit, check=check)
        weights[b] = fit(choices, check)
        learnt.append(b)
    take_nearest(weights, learnt)
    return weights


def buckets(peeled: Peeled) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each bucket with queries enough to learn its weights on, and rows of queries."""
    of = np.searchsorted(LEAST_LENGTHS, peeled.end - peeled.start, side="right") - 1
    for b in range(1, len(LEAST_LENGTHS)):
        rows = np.flatnonzero(of == b)[:_MOST_QUERIES]
        if len(rows) >= _LEAST_QUERIES:
            yield b, rows


def is_whole(peeled: Peeled, interactions: Interactions) -> np.ndarray:
    """Return whether each query is of a whole history, bool [Q]."""
    return peeled.start == np.asarray(interactions.offsets)[peeled.user]


def take_nearest(weights: np.ndarray, learnt: Sequence[int]) -> None:
    """Give buckets of histories without weights of their own, [buckets, ...], those of the nearest one."""
    for b in range(1, len(weights)):
        if learnt and b not in learnt:
            weights[b] = weights[min(learnt, key=lambda other: abs(other - b))]


def fit(choices: Choices, check: Callable[[], None]) -> np.ndarray:
    """Return the weights [D] that serve the top of the list: those of the likeliest, then again with queries counting
    the less the further down their item was, which a ranking by the first ten has given up. That makes the model too
    sure of itself; so at last all weights are scaled by what makes all queries likeliest, which changes no order."""
    found = logit.fit(choices, check=check)
    for _ in range(_ROUNDS):
        ahead = logit.ranks(choices, found)
        weight = (choices.weight / (1.0 + ahead / _PATIENCE)).astype(np.float32)
        found = logit.fit(choices._replace(weight=weight), found, check)
    whole = (choices.features @ found.astype(np.float32))[:, :, None]
    return found * max(float(logit.fit(choices._replace(features=whole), check=check)[0]), 0.0)


def features(
    peeled: Peeled,
    rows: np.ndarray,
    seeds: np.ndarray,
    interactions: Interactions,
    tables: Tables,
    limit: int,
    also: np.ndarray | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Choices, np.ndarray]:
    """Return the candidates of some queries with the blend's columns as features, and which items they are, int32
    [Q, C]. ``also``: int32 [Q, M], items that are candidates besides, where the user has not taken them."""
    n_queries = len(rows)
    also = np.empty((n_queries, 0), np.int32) if also is None else also
    n_candidates = _BEST + 1 + _SEEN + _REST + also.shape[1]
    items = np.zeros((n_queries, n_candidates), np.int32)
    made = Choices(
        np.zeros((n_queries, n_candidates, len(COLUMNS)), np.float32),
        np.full((n_queries, n_candidates), -np.inf, np.float32),
        np.zeros(n_queries, np.int64),
        weights_of(interactions)[peeled.end[rows]].copy(),
    )
    item = read_only(interactions.item)
    edges = pairwise(np.linspace(0, n_queries, _CHUNKS + 1).astype(int).tolist())

    def fill(edge: tuple[int, int]) -> None:
        part = slice(*edge)
        chosen = rows[part]
        _fill(item, peeled.user[chosen], peeled.start[chosen], peeled.end[chosen], seeds[chosen], limit, tables,
              also[part], items[part], *(array[part] for array in made[:3]))  # fmt: skip

    with ThreadPoolExecutor(n_threads()) as pool:
        for _ in pool.map(fill, edges):
            check()
    return made, items


@numba.njit(cache=True, nogil=True)
def _fill(item, user, start, end, seeds, limit, tables, also, items, features, offsets, taken):
    n_items, n_columns = len(tables[0]) - 1, features.shape[2]
    n_more = 1 + _REST
    more, rest = np.empty(n_more + also.shape[1], np.int32), np.empty(_REST, np.int32)
    for q in range(len(user)):
        history, target = item[start[q] : end[q]], item[end[q]]
        np.random.seed(seeds[q])
        more[0] = target
        for r in range(_REST):
            more[1 + r] = np.random.randint(0, n_items)
        more[n_more:] = also[q]
        touched, reached, slot, sums, own, taste = gather(history, user[q], limit, more, tables)
        n = len(touched)
        columns = np.zeros((n_columns, n), np.float32)
        score = np.zeros(n, np.float32)
        for d in range(n_columns):
            add_column(d, 1.0, touched, sums, own, taste, n_items, tables, columns[d])
        columns[ATTRIBUTES, reached:] = 0.0  # as an answer has it
        for s in range(n):
            for d in range(7):
                score[s] += columns[d, s]
            score[s] += np.float32(1e-2) * (columns[12, s] + columns[13, s]) + columns[14, s] + columns[15, s]
            if own[1, s] > 0.0:
                score[s] = -np.inf
        chosen = np.zeros(n, np.bool_)
        used = 0
        for s in top_k(score, _BEST):
            if own[1, s] == 0.0:
                used = _put(s, chosen, touched[s], columns, 0.0, items[q], features[q], offsets[q], used)
                if touched[s] == target:
                    taken[q] = used - 1
        for k in range(min(limit, len(history))):
            s = slot[history[len(history) - 1 - k]]
            if not chosen[s] and used < _BEST + _SEEN:
                used = _put(s, chosen, touched[s], columns, 0.0, items[q], features[q], offsets[q], used)
                if touched[s] == target:
                    taken[q] = used - 1
        s = slot[target]
        if not chosen[s]:
            used = _put(s, chosen, touched[s], columns, 0.0, items[q], features[q], offsets[q], used)
            taken[q] = used - 1
        for m in range(n_more, len(more)):
            s = slot[more[m]]
            if not chosen[s] and own[1, s] == 0.0:
                used = _put(s, chosen, touched[s], columns, 0.0, items[q], features[q], offsets[q], used)
        new = 0
        for r in range(1, n_more):
            s = slot[more[r]]
            if not chosen[s]:
                chosen[s] = True
                rest[new] = s
                new += 1
        share = np.log(np.float32(max(n_items - used, 1)) / np.float32(max(new, 1)))
        for r in range(new):
            s = rest[r]
            used = _put(s, chosen, touched[s], columns, share, items[q], features[q], offsets[q], used)


@numba.njit(cache=True, nogil=True)
def _put(s, chosen, item, columns, offset, items, features, offsets, used):
    """Make slot ``s``, an ``item``'s, a candidate; return how many there are."""
    chosen[s] = True
    items[used] = item
    for d in range(columns.shape[0]):
        features[used, d] = columns[d, s]
    offsets[used] = offset
    return used + 1

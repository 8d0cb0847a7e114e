"""What circumstances change: how much more, or less, an item is taken under a value of a contextual column.

    p(i | history, v) ~ p(i | history) * lift(i, v)^w        lift(i, v) = (n(i, v) + a) / (n(v) n(i) / n + a)

n counts interactions: with item i, under value v, all of them. The ratio of what is counted to what would be expected
if v made no difference is drawn towards 1 by ``a`` interactions of each (the mean of a Gamma-Poisson model; DuMouchel
1999, "Bayesian data mining in large frequency tables"). The exponent w of each column is chosen on held-out events; a
column that says nothing about them gets none.

Tables, over the values of all columns one after the other: ``first`` [columns + 1] int64, each column's first value;
``offsets`` [values + 1] int64; ``items`` int32 and ``logs`` float32, where a lift is worth writing down;
``exponents`` [columns] float32.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Interactions

_DRAWN = 10.0  # a
_LEAST_LOG = 0.05  # of a lift that is written down
_EXPONENTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25])
_LEAST_QUERIES = 30


class Tables(NamedTuple):
    """See the module. ``exponents`` are zero until they are chosen."""

    first: np.ndarray
    offsets: np.ndarray
    items: np.ndarray
    logs: np.ndarray
    exponents: np.ndarray

    def lifted(self, column: int, code: int) -> slice:
        """Return where the lifts under a value are."""
        value = int(self.first[column]) + code
        return slice(int(self.offsets[value]), int(self.offsets[value + 1]))


def count(interactions: Interactions, n_items: int) -> Tables:
    """Return the lifts of all contextual columns."""
    item = np.asarray(interactions.item)
    weight = None if interactions.weight is None else np.asarray(interactions.weight, np.float64)
    offsets, items, logs = [np.zeros(1, np.int64)], [], []
    for context in interactions.contexts:
        for found, log in _lifts(item, np.asarray(context.codes), weight, context.size, n_items):
            items.append(found)
            logs.append(log)
            offsets.append(offsets[-1] + len(found))
    sizes = [context.size for context in interactions.contexts]
    return Tables(
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        np.concatenate(offsets),
        np.concatenate([np.zeros(0, np.int32), *items]),
        np.concatenate([np.zeros(0, np.float32), *logs]),
        np.zeros(len(sizes), np.float32),
    )


def _lifts(item: np.ndarray, codes: np.ndarray, weight: np.ndarray | None, size: int, n_items: int):
    """Give for each value of a column the items whose lift is not 1, int32 rising, and its logarithm, float32."""
    told = codes >= 0  # events without the value say nothing about it
    item, codes = item[told], codes[told].astype(np.int64)
    weight = None if weight is None else weight[told]
    share = np.bincount(item, weight, n_items)
    total = max(share.sum(), 1.0)
    share = share / total
    by_share = np.argsort(-share, kind="stable")
    falling = -share[by_share]
    pairs, at = np.unique(codes * n_items + item, return_inverse=True)
    counts = np.bincount(at, weight, len(pairs))
    of_value = np.bincount(codes, weight, size)
    starts = np.searchsorted(pairs, np.arange(size + 1) * n_items)
    least_expected = _DRAWN * np.expm1(
        _LEAST_LOG
    )  # an item that is never taken is worth writing down beyond it
    for value in range(size):
        here = slice(starts[value], starts[value + 1])
        taken = pairs[here] - value * n_items
        often = by_share[: np.searchsorted(falling, -least_expected / max(of_value[value], 1e-9))]
        rows = np.union1d(taken, often)
        n = np.zeros(len(rows))
        n[np.searchsorted(rows, taken)] = counts[here]
        log = np.log((n + _DRAWN) / (of_value[value] * share[rows] + _DRAWN))
        kept = np.abs(log) >= _LEAST_LOG
        yield rows[kept].astype(np.int32), log[kept].astype(np.float32)


def tilt(p: np.ndarray, tables: Tables, codes: Sequence[int]) -> None:
    """Change probabilities (float32 [n_items]) in place to what they are under ``codes``, -1 where nothing is told."""
    for column, code in enumerate(codes):
        exponent = tables.exponents[column]
        if code >= 0 and exponent > 0.0:
            here = tables.lifted(column, code)
            p[tables.items[here]] *= np.exp(exponent * tables.logs[here])
            p /= p.sum()


def log_lift(tables: Tables, codes: Sequence[int], item: int) -> float:
    """Return the logarithm of what ``tilt`` multiplies the probability of an item by, before it is normalised."""
    total = 0.0
    for column, code in enumerate(codes):
        if code >= 0:
            here = tables.lifted(column, code)
            at = int(np.searchsorted(tables.items[here], item))
            if at < here.stop - here.start and tables.items[here][at] == item:
                total += float(tables.exponents[column]) * float(tables.logs[here][at])
    return total


def choose(
    tables: Tables, p_of: Callable[[int], np.ndarray], codes: np.ndarray, targets: np.ndarray
) -> Tables:
    """Return the tables with the exponents that make held-out events likeliest, one column after the other.

    p_of: gives the probabilities, float32 [n_items] of its own, of a query's items without context;  codes: int32
    [queries, columns];  targets: int32 [queries], rows of the items that were taken. A gain within its own standard
    error is none.
    """
    for column in range(len(tables.exponents)):
        told = np.flatnonzero(codes[:, column] >= 0)
        if len(told) < _LEAST_QUERIES:
            continue
        gains = np.empty((len(told), len(_EXPONENTS)))
        for row, q in enumerate(told.tolist()):
            p = p_of(q)
            tilt(p, tables, codes[q].tolist())  # by the columns whose exponents are known
            here = tables.lifted(column, int(codes[q, column]))
            gains[row] = _gain(p, tables.items[here], tables.logs[here], int(targets[q]))
        best = int(np.argmax(gains.mean(axis=0)))
        if gains[:, best].mean() > gains[:, best].std() / np.sqrt(len(told)):
            exponents = tables.exponents.copy()
            exponents[column] = _EXPONENTS[best]
            tables = tables._replace(exponents=exponents)
    return tables


def _gain(p: np.ndarray, items: np.ndarray, logs: np.ndarray, target: int) -> np.ndarray:
    """Return by how much each exponent raises the target's log probability, float64 [exponents]."""
    at = int(np.searchsorted(items, target))
    own = float(logs[at]) if at < len(items) and items[at] == target else 0.0
    grown = np.expm1(_EXPONENTS[:, None] * logs) @ p[items].astype(np.float64)
    return _EXPONENTS * own - np.log1p(grown)

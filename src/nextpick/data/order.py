"""The order of rows in parts and snapshots, and which of them say the same twice."""

import numpy as np
import pyarrow as pa

from nextpick.data.spill import codes_of, key_hashes

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(31)


def key_ranks(keys: pa.DictionaryArray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the distinct keys by hash, and the place of each row's key in it.

    by_hash [distinct] int64 positions in the dictionary;  rank [n] int64.
    """
    by_hash = np.argsort(key_hashes(keys.dictionary), kind="stable")
    rank = np.empty(len(by_hash), np.int64)
    rank[by_hash] = np.arange(len(by_hash))
    return by_hash, rank[codes_of(keys)]


def by_time(rank: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the stable order by (rank, time), and for each place in it whether the one before equals it."""
    oldest, newest = (int(time.min()), int(time.max())) if len(time) else (0, 0)
    span = newest - oldest + 1
    if (int(rank.max(initial=0)) + 1) * span < 2**63:
        both = rank * span + (time - oldest)
        order = np.argsort(both, kind="stable")
        both = both[order]
        same = both[1:] == both[:-1]
    else:
        order = np.lexsort((time, rank))
        same = (np.diff(rank[order]) == 0) & (np.diff(time[order]) == 0)
    return order, np.concatenate(([False], same[: max(len(order) - 1, 0)]))[: len(order)]


def repeats(table: pa.Table, order: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find rows equal in all columns of ``table`` to an earlier row of their tie.

    order, same: as ``by_time`` gives them. Returns places in ``order``: of the repeats, and of the row that
    each repeats, which is the first of its equals.
    """
    tied = np.flatnonzero(same | np.append(same[1:], False))
    if not len(tied):
        return tied, tied
    tie = np.cumsum(~same)[tied]
    rows = table.take(pa.array(order[tied]))
    columns = [tie, *(column for name in rows.column_names for column in _as_integers(rows.column(name)))]
    mixed = np.zeros(len(tied), np.uint64)
    for column in columns:
        mixed = (mixed ^ column.astype(np.uint64)) * _FACTOR
        mixed ^= mixed >> _SHIFT
    by_mixed = np.argsort(mixed, kind="stable")
    first, second = by_mixed[:-1], by_mixed[1:]
    equal = np.ones(len(first), bool)
    for column in columns:
        equal &= column[first] == column[second]
    # A run of equal rows: each repeats the run's first.
    starts = np.concatenate(([True], ~equal))
    leader = by_mixed[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    repeated = np.flatnonzero(~starts)
    return tied[by_mixed[repeated]], tied[leader[repeated]]


def _as_integers(column: pa.ChunkedArray) -> list[np.ndarray]:
    """Return int64 arrays that are equal where the cells are."""
    chunk = column.combine_chunks()
    chunk = chunk.chunk(0) if isinstance(chunk, pa.ChunkedArray) else chunk
    if pa.types.is_string(chunk.type):
        chunk = chunk.dictionary_encode()
    if isinstance(chunk, pa.DictionaryArray):
        return [codes_of(chunk).astype(np.int64)]
    valid = chunk.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
    values = chunk.fill_null(0).to_numpy(zero_copy_only=False)
    return [valid, values.view(np.int64) if values.dtype == np.float64 else values.astype(np.int64)]

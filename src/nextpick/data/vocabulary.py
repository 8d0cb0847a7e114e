"""Vocabularies: ids as text ↔ rows of a table, on mapped files.

On disk: ``offsets.npy`` int64 [n+1] and ``bytes.npy`` uint8, the ids in UTF-8, one after the other;
``hash.npy`` uint64 [n] sorted, the ids' hashes, and ``order.npy`` int32 [n], the row each hash belongs to.
An id is found by bisecting the hashes and comparing bytes, so that opening costs nothing and a process
holds no dictionary of all ids. The same hash orders the rows of dataset parts.
"""

import mmap
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

_SEED = 0x9E3779B97F4A7C15
_FACTOR = 0xD6E8FEB86659FD93
_ALL = 0xFFFFFFFFFFFFFFFF
_KEPT = 1 << 14  # texts kept of rows asked for: popular items are in most answers
_FEW = 64  # below this many ids, one by one is faster than as arrays


def hash_text(raw: bytes) -> int:
    """Return the 64-bit hash of one id in UTF-8."""
    h = _SEED ^ len(raw)
    for at in range(0, len(raw), 8):
        h = ((h ^ int.from_bytes(raw[at : at + 8], "little")) * _FACTOR) & _ALL
        h ^= h >> 32
    h = (h * _FACTOR) & _ALL
    return h ^ (h >> 29)


def hash_texts(offsets: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return uint64 [n], the hashes of n ids laid end to end.

    offsets [n+1] integers, where each id starts in data;  data [bytes] uint8.
    """
    starts = offsets[:-1].astype(np.int64)
    lengths = np.diff(offsets).astype(np.int64)
    h = np.uint64(_SEED) ^ lengths.astype(np.uint64)
    if not len(starts):
        return h
    # One unaligned 8-byte word from each position: bytes beyond the end of an id are masked off.
    padded = np.concatenate((data, np.zeros(8, np.uint8)))
    words = np.ndarray((len(data) + 1,), np.dtype("<u8"), padded.data, strides=(1,))
    factor, shift = np.uint64(_FACTOR), np.uint64(32)
    rows = np.arange(len(starts))
    for at in range(0, int(lengths.max()), 8):
        rows = rows[lengths[rows] > at] if at else np.flatnonzero(lengths)
        left = np.minimum(lengths[rows] - at, 8).astype(np.uint64)
        word = words[starts[rows] + at] & (np.uint64(_ALL) >> ((np.uint64(8) - left) * np.uint64(8)))
        mixed = (h[rows] ^ word) * factor
        h[rows] = mixed ^ (mixed >> shift)
    h *= factor
    return h ^ (h >> np.uint64(29))


def join_texts(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return texts laid end to end in UTF-8: offsets int64 [n+1], bytes uint8."""
    raw = [text.encode() for text in texts]
    offsets = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(r) for r in raw], out=offsets[1:])
    return offsets, np.frombuffer(b"".join(raw), np.uint8)


class _Texts(dict[int, str]):
    """Texts by row, read when they are first asked for; forgotten when they are many."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read

    def __missing__(self, row: int) -> str:
        if len(self) >= _KEPT:
            self.clear()
        text = self[row] = self._read(row)
        return text


class Vocabulary:
    """A numbering of distinct ids: row 0 to n-1."""

    def __init__(self, offsets: np.ndarray, data: np.ndarray, hashes: np.ndarray, order: np.ndarray) -> None:
        self._offsets, self._data, self._hashes, self._order = offsets, data, hashes, order
        # Indexing a memoryview costs a third of indexing an array.
        self._one_offset = offsets.data
        self._one_hash = hashes.data
        self._one_row = order.data
        self._bytes = data.data
        self._texts = _Texts(self._text)

    @classmethod
    def build(cls, ids: Sequence[str]) -> Self:
        """Number distinct ids in the order given. Raises ValueError when one occurs twice."""
        return cls.of_bytes(*join_texts(ids))

    @classmethod
    def of_bytes(cls, offsets: np.ndarray, data: np.ndarray) -> Self:
        """Number distinct ids laid end to end: offsets int64 [n+1], data uint8; raises as ``build``."""
        hashes = hash_texts(offsets, data)
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        made = cls(np.asarray(offsets, np.int64), data, hashes[order], order)
        for row in order[1:][made._hashes[1:] == made._hashes[:-1]].tolist():
            text = made.id(row)
            if made._find(text.encode()) != row:
                raise ValueError(f"id {text!r} occurs twice")
        return made

    def starting_with(self, byte: int) -> np.ndarray:
        """Return which ids begin with a byte, bool [n]."""
        starts = np.asarray(self._offsets[:-1])
        found = np.zeros(len(starts), bool)
        filled = np.asarray(self._offsets[1:]) > starts
        found[filled] = np.asarray(self._data)[starts[filled]] == byte
        return found

    def save(self, directory: Path) -> None:
        """Write the four files into a directory, which is made."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, array in self._files().items():
            np.save(directory / f"{name}.npy", array)

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Map the four files. Raises OSError when one is missing, ValueError when one is damaged."""
        return cls(*(map_array(directory / f"{name}.npy") for name in ("offsets", "bytes", "hash", "order")))

    def _files(self) -> dict[str, np.ndarray]:
        return {"offsets": self._offsets, "bytes": self._data, "hash": self._hashes, "order": self._order}

    def __len__(self) -> int:
        return len(self._order)

    def id(self, row: int) -> str:
        """Return the id of a row from 0 to n-1."""
        return self._texts[row]

    def _text(self, row: int) -> str:
        return str(self._bytes[self._one_offset[row] : self._one_offset[row + 1]], "utf-8")

    def ids(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """Return the ids of rows, in the order given."""
        if isinstance(rows, np.ndarray):
            rows = rows.tolist()
        if len(rows) > _KEPT:
            return list(map(self._text, rows))
        return list(map(self._texts.__getitem__, rows))

    def row(self, id: str) -> int:
        """Return the row of an id, or -1 when it is unknown."""
        try:
            return self._find(id.encode())
        except UnicodeEncodeError:  # a lone surrogate: no id in UTF-8
            return -1

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Return int32 [len(ids)], the row of each id, -1 where it is unknown."""
        if len(ids) < _FEW:
            return np.fromiter(map(self.row, ids), np.int32, len(ids))
        return self.rows_of_bytes(*join_texts(ids))

    def rows_of_bytes(self, offsets: np.ndarray, data: np.ndarray) -> np.ndarray:
        """Return int32 [n], the rows of ids laid end to end, -1 where one is unknown; each is compared."""
        rows = np.full(len(offsets) - 1, -1, np.int32)
        if not len(self) or not len(rows):
            return rows
        hashes = hash_texts(offsets, data)
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self) - 1)
        hit = np.flatnonzero(self._hashes[at] == hashes)
        found = self._order[at[hit]]
        same = _equal(offsets, data, hit, self._offsets, self._data, found)
        rows[hit[same]] = found[same]
        for miss in hit[~same]:  # two ids of one hash: look through the run
            rows[miss] = self._find(data[offsets[miss] : offsets[miss + 1]].tobytes())
        return rows

    def rows_in(self, other: "Vocabulary") -> np.ndarray:
        """Return int32 [n], the row that ``other`` has of each of these ids, -1 where it has none."""
        return other.rows_of_bytes(self._offsets, self._data)

    def _find(self, raw: bytes) -> int:
        h = hash_text(raw)
        hashes, offset = self._one_hash, self._one_offset
        at = bisect_left(hashes, h)
        while at < len(hashes) and hashes[at] == h:
            row = self._one_row[at]
            if self._bytes[offset[row] : offset[row + 1]] == raw:
                return row
            at += 1
        return -1


def map_array(path: Path) -> np.ndarray:
    """Map an ``.npy`` file read-only. Raises OSError when it is missing, ValueError when damaged."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        start = file.tell()
        count = int(np.prod(shape))
        if not count:
            return np.zeros(shape, dtype)
        # np.load's memmap keeps a subclass whose every slice is slow; a plain array over the map is not.
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype, count, start).reshape(shape)


def _equal(
    offsets: np.ndarray,
    data: np.ndarray,
    rows: np.ndarray,
    other_offsets: np.ndarray,
    other_data: np.ndarray,
    other_rows: np.ndarray,
) -> np.ndarray:
    """Return bool [k]: whether the k texts of one side equal those of the other, byte by byte."""
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    others = other_offsets[other_rows]
    same = lengths == other_offsets[other_rows + 1] - others
    rows = np.flatnonzero(same)
    for at in range(int(lengths[rows].max()) if len(rows) else 0):
        rows = rows[lengths[rows] > at]
        wrong = data[starts[rows] + at] != other_data[others[rows] + at]
        if wrong.any():
            same[rows[wrong]] = False
            rows = rows[~wrong]
    return same

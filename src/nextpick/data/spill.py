"""Rows on their way to partitions: one temporary Arrow stream per partition of the key's hash."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from nextpick.data.vocabulary import hash_texts

HASH_BITS = 64
_FLUSH_ROWS = 1_500_000
_FLUSH_BYTES = 128 * 1024 * 1024


class Spill:
    """Collects tables and spreads their rows, in order, over 2**bits partitions by the hash of ``key``."""

    def __init__(self, directory: Path, schema: pa.Schema, key: str, bits: int) -> None:
        self._schema, self._key, self._bits = schema, key, bits
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._paths = [directory / f"{partition:04d}.arrows" for partition in range(1 << bits)]
        self._writers: dict[int, pa.RecordBatchStreamWriter] = {}
        directory.mkdir()

    def add(self, table: pa.Table) -> None:
        """Take rows; they are written once there are enough of them."""
        self._waiting.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= _FLUSH_ROWS or self._bytes >= _FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what waits and close the files."""
        try:
            self._flush()
        finally:
            for writer in self._writers.values():
                writer.close()

    def partitions(self) -> list[int]:
        """Return the partitions that have rows, ascending, which is ascending in the hash."""
        return sorted(self._writers)

    def take(self, partition: int) -> pa.Table:
        """Read a partition's rows in the order they came, as one chunk a column, and remove its file."""
        path = self._paths[partition]
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
            table = reader.read_all()
        path.unlink()
        return one_chunk(table)

    def _flush(self) -> None:
        if not self._rows:
            return
        table = one_chunk(pa.concat_tables(self._waiting))
        self._waiting, self._rows, self._bytes = [], 0, 0
        if not self._bits:
            self._write(0, table)
            return
        keys = table.column(self._key).chunk(0)
        partition = key_hashes(keys.dictionary) >> np.uint64(HASH_BITS - self._bits)
        of_row = partition.astype(np.uint16)[codes_of(keys)]
        order = np.argsort(of_row, kind="stable")
        ends = np.cumsum(np.bincount(of_row, minlength=1 << self._bits))
        table = table.take(pa.array(order))
        for i, end in enumerate(ends.tolist()):
            start = int(ends[i - 1]) if i else 0
            if end > start:
                self._write(i, compact(table.slice(start, end - start)))

    def _write(self, partition: int, table: pa.Table) -> None:
        if partition not in self._writers:
            self._writers[partition] = pa.ipc.new_stream(str(self._paths[partition]), self._schema)
        self._writers[partition].write_table(table)


def one_chunk(table: pa.Table) -> pa.Table:
    """Return the table with one chunk, and so one dictionary, a column."""
    if table.num_rows == 0:
        return pa.Table.from_batches([pa.RecordBatch.from_pylist([], schema=table.schema)])
    return table.unify_dictionaries().combine_chunks()


def compact(table: pa.Table) -> pa.Table:
    """Leave out of each dictionary what no row of the table has."""
    for at, column in enumerate(table.columns):
        chunk = column.chunk(0)
        if not isinstance(chunk, pa.DictionaryArray):
            continue
        codes = chunk.indices
        known = codes.drop_null() if codes.null_count else codes
        used = np.zeros(len(chunk.dictionary), bool)
        used[known.to_numpy()] = True
        if used.all():
            continue
        rank = pa.array(np.cumsum(used, dtype=np.int32) - np.int32(1))
        made = pa.DictionaryArray.from_arrays(rank.take(codes), chunk.dictionary.filter(pa.array(used)))
        table = table.set_column(at, table.schema.field(at), made)
    return table


def codes_of(column: pa.DictionaryArray) -> np.ndarray:
    """Return int32 [n], the position of each row's text in the dictionary, -1 for null."""
    codes = column.indices
    return (codes.fill_null(-1) if codes.null_count else codes).to_numpy()


def key_hashes(texts: pa.StringArray) -> np.ndarray:
    """Return uint64 [n], the vocabulary's hash of each text."""
    return hash_texts(*text_buffers(texts))


def text_buffers(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Return texts laid end to end: offsets int64 [n+1] from 0, bytes uint8. There must be no nulls."""
    n = len(texts)
    _, offset_buffer, data_buffer = texts.buffers()
    if not n or offset_buffer is None:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + n + 1].astype(np.int64)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]

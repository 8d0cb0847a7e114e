"""Importing: objects of CSV or Parquet become one immutable part of a dataset.

Memory is bounded by a partition, not by the table: rows are typed block by block, spread over partitions by
the hash of their key, and each partition is then sorted and written by itself.
"""

import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nextpick.data import csvblocks, kinds, parquetblocks
from nextpick.data.avro import Schema
from nextpick.data.columns import Spec, arrow_schema, specs
from nextpick.data.failure import DataFailure
from nextpick.data.order import by_time, key_ranks, repeats
from nextpick.data.part import BUCKET_BITS, FORMAT, MANIFEST
from nextpick.data.report import ImportReport, Ledger
from nextpick.data.run import Run
from nextpick.data.spill import HASH_BITS, Spill, compact, key_hashes
from nextpick.durable import sync_tree
from nextpick.settings import Settings
from nextpick.store.blobs import BlobError, Object

PARTITION_BYTES = 64 * 1024 * 1024
_READ_SHARE = 0.6  # of the progress
_THREADS = 2
_LEAST_ROW_BYTES = 6  # a,b,1 and a new line


def import_part(
    objects: list[Object], schema: Schema, dataset_type: str, out: Path, settings: Settings, run: Run
) -> ImportReport:
    """Read objects, judge them, and write a part to the new directory ``out``: on disk when this returns.

    Raises DataFailure naming file, line, column and value when the data as a whole cannot be used, Stopped
    when ``run`` says so; nothing is left under ``out`` then.
    """
    kind = kinds.find(dataset_type.upper(), None)
    if kind is None:
        raise DataFailure(f"There are no datasets of type {dataset_type}.")
    columns = specs(schema, kind)
    ledger = Ledger(settings.bad_row_share)
    total = sum(found.size for found in objects)

    def fill(spill: Spill) -> None:
        _read_all(objects, columns, spill, ledger, total, settings, run)
        if not ledger.rows:
            names = ", ".join(found.name for found in objects)
            raise DataFailure(f"{names}: there are no rows below the header.")
        ledger.check(ledger.rows)

    return _write_part(out, columns, kind, total, fill, ledger, run)


def write_part(table: pa.Table, schema: Schema, kind: kinds.Kind, out: Path, run: Run) -> ImportReport:
    """Write typed rows as a part to the new directory ``out``: on disk when this returns; raises as ``import_part``."""
    ledger = Ledger(0.0)
    ledger.rows = table.num_rows
    return _write_part(
        out, specs(schema, kind), kind, table.nbytes, lambda spill: spill.add(table), ledger, run
    )


def _write_part(
    out: Path,
    columns: tuple[Spec, ...],
    kind: kinds.Kind,
    total: int,
    fill: Callable[[Spill], None],
    ledger: Ledger,
    run: Run,
) -> ImportReport:
    started = time.perf_counter()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        bits = max(0, min(BUCKET_BITS, (max(total - 1, 1) // PARTITION_BYTES).bit_length()))
        spill = Spill(out / "spill", arrow_schema(columns), kind.key, bits)
        with closing(spill):
            fill(spill)
        written = _write_all(spill, kind, out, run)
        shutil.rmtree(out / "spill")
        report = ImportReport(
            rows_read=ledger.rows,
            rows_written=written.rows,
            rows_dropped=ledger.dropped,
            cells_nulled=ledger.nulled,
            duplicates=written.duplicates,
            problems=ledger.problems(),
            latest_timestamp=written.latest,
            seconds=round(time.perf_counter() - started, 3),
        )
        manifest = {
            "format": FORMAT,
            "dataset_type": kind.dataset_type,
            "key": kind.key,
            "columns": [column.name for column in columns],
            "files": written.files,
            "buckets": written.buckets.tolist(),
            "report": msgspec.to_builtins(report),
        }
        (out / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))
        sync_tree(out)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    run.progress(1.0, "imported")
    return report


class _Written(NamedTuple):
    files: list[dict[str, Any]]
    buckets: np.ndarray  # int64 [2**BUCKET_BITS]
    rows: int
    duplicates: int
    latest: int | None


Piece = csvblocks.Block | parquetblocks.Batch


def _read_all(
    objects: list[Object],
    columns: tuple[Spec, ...],
    spill: Spill,
    ledger: Ledger,
    total: int,
    settings: Settings,
    run: Run,
) -> None:
    """Read every object into the spill, in order; what the fast reading refuses is judged cell by cell."""
    waiting: deque[tuple[Piece, int, Future[pa.Table | None]]] = deque()

    def settle() -> None:
        piece, left, future = waiting.popleft()
        module = _module(piece)
        table = future.result()
        if table is None:
            table, rows = module.read_judged(piece, columns, ledger)
            ledger.rows += rows
            ledger.check(ledger.rows + left)
        else:
            ledger.rows += table.num_rows
        if table.num_rows:
            spill.add(table)

    read = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for piece, size, left in _pieces(objects, columns, settings):
            run.check()
            read += size
            run.progress(_READ_SHARE * min(read / max(total, 1), 1.0), "reading")
            waiting.append((piece, left, pool.submit(_module(piece).read_typed, piece, columns)))
            if len(waiting) > _THREADS:
                settle()
        while waiting:
            settle()


def _module(piece: Piece) -> Any:
    return csvblocks if isinstance(piece, csvblocks.Block) else parquetblocks


def _pieces(
    objects: list[Object], columns: tuple[Spec, ...], settings: Settings
) -> Iterator[tuple[Piece, int, int]]:
    """Give pieces of the objects, each with its size in bytes and the most rows that can still follow it."""
    later = sum(found.size for found in objects)
    for found in objects:
        later -= found.size
        try:
            with found.open() as file:
                is_parquet = file.read(4) == parquetblocks.MAGIC
                file.seek(0)
                if is_parquet:
                    for batch in parquetblocks.batches(found.name, file, columns):
                        yield batch, 0, 8 * (found.size + later)
                    continue
                left = found.size
                for block in csvblocks.blocks(found.name, file, columns, settings.import_block_bytes):
                    left -= len(block.data)
                    # Later objects may be Parquet, with many rows a byte.
                    yield block, len(block.data), max(left, 0) // _LEAST_ROW_BYTES + 8 * later
        except BlobError as error:
            raise DataFailure(str(error)) from None
        except OSError as error:
            raise DataFailure(f"{found.name} cannot be read: {error.strerror or error}.") from None


def _write_all(spill: Spill, kind: kinds.Kind, out: Path, run: Run) -> _Written:
    """Sort and write one partition after the other, two at a time."""
    partitions = spill.partitions()
    written = []
    with ThreadPoolExecutor(_THREADS) as pool:
        futures: deque[Future[_Written]] = deque()
        try:
            for partition in partitions:
                run.check()
                futures.append(pool.submit(_write_partition, spill, partition, kind, out))
                if len(futures) > _THREADS:
                    written.append(futures.popleft().result())
                run.progress(
                    _READ_SHARE + (1 - _READ_SHARE) * len(written) / len(partitions), "sorting and writing"
                )
            written.extend(future.result() for future in futures)
        finally:
            for future in futures:
                future.cancel()
    return _Written(
        files=[file for part in written for file in part.files],
        buckets=sum((part.buckets for part in written), np.zeros(1 << BUCKET_BITS, np.int64)),
        rows=sum(part.rows for part in written),
        duplicates=sum(part.duplicates for part in written),
        latest=max((part.latest for part in written if part.latest is not None), default=None),
    )


def _write_partition(spill: Spill, partition: int, kind: kinds.Kind, out: Path) -> _Written:
    table = spill.take(partition)
    keys = table.column(kind.key).chunk(0)
    by_hash, rank = key_ranks(keys)
    if "TIMESTAMP" in kind.required:
        time = table.column("TIMESTAMP").chunk(0).to_numpy()
        order, same = by_time(rank, time)
        others = table.drop_columns([kind.key, "TIMESTAMP"])
        repeated, _ = repeats(others, order, same)
        order = np.delete(order, repeated)
        latest = int(time.max()) if len(time) else None
    else:
        order = np.argsort(rank, kind="stable")
        is_last = np.append(np.diff(rank[order]) != 0, True)[: len(order)]
        order, latest = order[is_last], None
    hashes = key_hashes(keys.dictionary)[by_hash]
    buckets = (hashes >> np.uint64(HASH_BITS - BUCKET_BITS)).astype(np.int64)[rank[order]]
    name = f"p{partition:05d}.parquet"
    write_parquet(compact(table.take(pa.array(order))), out / name)
    return _Written(
        files=[{"name": name, "rows": len(order)}],
        buckets=np.bincount(buckets, minlength=1 << BUCKET_BITS),
        rows=len(order),
        duplicates=table.num_rows - len(order),
        latest=latest,
    )


def write_parquet(table: pa.Table, path: Path) -> None:
    repeating = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
    options: Any = {"use_dictionary": repeating}  # a list of columns, which the stubs do not know
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        **options,
        # Ids stay codes however many there are: beyond this Parquet would write each out in full.
        dictionary_pagesize_limit=1 << 30,
        column_encoding={f.name: "DELTA_BINARY_PACKED" for f in table.schema if pa.types.is_integer(f.type)},
        write_statistics=False,
    )

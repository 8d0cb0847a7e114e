"""Importing: objects of CSV or Parquet become one immutable part of a dataset.

Memory is bounded by a partition, not by the table: rows are typed block by block, spread over partitions by
the hash of their key, and each partition is then sorted and written by itself.
"""

import json
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
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
from nextpick.data.durable import sync_tree
from nextpick.data.failure import DataFailure
from nextpick.data.order import in_order
from nextpick.data.part import BUCKET_BITS, FORMAT, MANIFEST
from nextpick.data.report import ImportReport, Ledger
from nextpick.data.run import Run
from nextpick.data.spill import Spill
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

    Raises DataFailure naming file, line, column and value when the data cannot be used as a whole, Stopped when
    ``run`` says so; nothing is left under ``out`` then.
    """
    started = time.perf_counter()
    kind = kinds.find(dataset_type.upper(), None)
    if kind is None:
        raise DataFailure(f"There are no datasets of type {dataset_type}.")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        columns = specs(schema, kind)
        ledger = Ledger(settings.bad_row_share)
        total = sum(found.size for found in objects)
        bits = max(0, min(BUCKET_BITS, (max(total - 1, 1) // PARTITION_BYTES).bit_length()))
        spill = Spill(out / "spill", arrow_schema(columns), kind.key, bits)
        with closing(spill):
            _read_all(objects, columns, spill, ledger, total, settings, run)
        if not ledger.rows:
            names = ", ".join(found.name for found in objects)
            raise DataFailure(f"{names}: there are no rows below the header.")
        ledger.check(ledger.rows)
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

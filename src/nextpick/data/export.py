"""A dataset as CSV: a header of the schema's fields, then every row once."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from nextpick.data import entities
from nextpick.data.avro import Schema
from nextpick.data.columns import arrow_schema, specs
from nextpick.data.dataset import Source
from nextpick.data.kinds import Kind
from nextpick.data.order import by_time, key_ranks, repeats
from nextpick.data.part import BUCKET_BITS, Part
from nextpick.data.run import Run
from nextpick.data.spill import one_chunk

_RANGE_ROWS = 1_000_000


def write_csv(out: Path, schema: Schema, kind: Kind, parts: list[Path], run: Run) -> int:
    """Write the rows of some parts, oldest part first, to the file ``out`` and return how many.

    Of items, users and actions the newest record of each id; of interactions all, equal ones once, by user and time.
    Raises DataFailure for a part that cannot be read, Stopped when ``run`` says so.
    """
    with out.open("wb") as file:
        file.write((",".join(field.name for field in schema.fields) + "\n").encode())
        if "TIMESTAMP" not in kind.required:
            table = entities.read_records(Source(schema, parts), kind)
            _write(file, table)
            return table.num_rows
        return sum(_write(file, table) for table in _ranges(schema, kind, parts, run))


def _ranges(schema: Schema, kind: Kind, parts: list[Path], run: Run) -> Iterator[pa.Table]:
    columns = arrow_schema(specs(schema, kind))
    opened = [Part(directory) for directory in parts]
    bits = min(BUCKET_BITS, max(0, sum(part.rows for part in opened) // _RANGE_ROWS).bit_length())
    for step in range(1, (1 << bits) + 1):
        run.checkpoint(step / (1 << bits), "writing rows")
        end = step << (BUCKET_BITS - bits)
        tables = [columns.empty_table(), *(table for part in opened for table in part.take(end, columns))]
        table = one_chunk(pa.concat_tables(tables))
        if not table.num_rows:
            continue
        _, rank = key_ranks(table.column(kind.key).chunk(0))
        order, same = by_time(rank, table.column("TIMESTAMP").chunk(0).to_numpy())
        repeated, _ = repeats(table.drop_columns([kind.key, "TIMESTAMP"]), order, same)
        yield table.take(pa.array(np.delete(order, repeated)))


def _write(file: BinaryIO, table: pa.Table) -> int:
    plain = pa.schema(
        [(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    )
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    pyarrow.csv.write_csv(table.cast(plain), file, options)
    return table.num_rows

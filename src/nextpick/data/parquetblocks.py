"""Parquet files, batch by batch, typed as CSV would be: ids are text, times are seconds since 1970."""

from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from nextpick.data.columns import Spec, arrow_schema, clean_textual, fits, pc
from nextpick.data.failure import DataFailure
from nextpick.data.judge import Texts, judge
from nextpick.data.report import Ledger

MAGIC = b"PAR1"
_BATCH_ROWS = 200_000


class Batch(NamedTuple):
    """Rows of a file: the number of the first, from 1, and the columns of the schema as the file has them."""

    file: str
    row: int
    table: pa.Table


def batches(name: str, file: BinaryIO, columns: tuple[Spec, ...]) -> Iterator[Batch]:
    """Read a file's columns, matched by name in any letter case, in batches.

    Raises DataFailure naming the columns that are missing, or what is wrong with the file.
    """
    try:
        parquet = pq.ParquetFile(file)
        names = {}
        for column in parquet.schema_arrow.names:
            names.setdefault(column.casefold(), column)
        missing = [column.name for column in columns if column.name.casefold() not in names]
        if missing:
            raise DataFailure(
                f"{name}: Input Parquet is missing the following columns:[{', '.join(missing)}]."
            )
        wanted = [names[column.name.casefold()] for column in columns]
        row = 1
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False):
            table = pa.Table.from_batches([batch]).select(wanted)
            yield Batch(name, row, table.rename_columns([column.name for column in columns]))
            row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataFailure(f"{name} cannot be read as Parquet: {error}.") from None


def read_typed(batch: Batch, columns: tuple[Spec, ...]) -> pa.Table | None:
    """Return a batch's rows, typed; None when some cell is not what the schema says."""
    try:
        arrays = [_typed(batch.table.column(column.name), column) for column in columns]
        table = pa.Table.from_arrays(arrays, schema=arrow_schema(columns))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None
    return table if fits(table, columns) else None


def read_judged(batch: Batch, columns: tuple[Spec, ...], ledger: Ledger) -> tuple[pa.Table, int]:
    """Return a batch's usable rows, cell by cell, and how many rows it has; count the rest in the ledger."""
    cells = {column.name: _texts(batch.table.column(column.name)) for column in columns}
    n = batch.table.num_rows
    lines = range(batch.row, batch.row + n)
    return judge(Texts(batch.file, "row", lines, cells), columns, ledger), n


def _typed(cells: pa.ChunkedArray, column: Spec) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        texts = _text(cells)
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
        texts = clean_textual(texts) if column.textual else texts
        return texts.dictionary_encode().cast(column.type) if pa.types.is_dictionary(column.type) else texts
    if pa.types.is_temporal(cells.type) and pa.types.is_integer(column.type):
        cells = cells.cast(pa.timestamp("s", getattr(cells.type, "tz", None)), safe=False)
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    return cells.cast(column.type)


def _text(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return cells as text: whole numbers without a point, lists joined by ``|``."""
    if pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type):
        return pc.binary_join(cells.cast(pa.list_(pa.string())), "|")
    if pa.types.is_floating(cells.type):
        with suppress(pa.ArrowInvalid):
            cells = cells.cast(pa.int64())
    return cells.cast(pa.string())


def _texts(cells: pa.ChunkedArray) -> list[str | None]:
    if not pa.types.is_floating(cells.type):
        return _text(cells).to_pylist()
    return [
        None
        if cell is None
        else str(int(cell))
        if cell == cell and abs(cell) < 2**53 and cell == int(cell)
        else str(cell)
        for cell in cells.to_pylist()
    ]

"""Items and users of a snapshot: metadata columns in the order of a vocabulary."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nextpick.data.cells import CREATED
from nextpick.data.columns import pc, specs
from nextpick.data.dataset import Source
from nextpick.data.kinds import Kind
from nextpick.data.part import Part
from nextpick.data.put_table import table_of
from nextpick.data.spill import codes_of, one_chunk


def read_entities(source: Source, kind: Kind, excluded: Container[str]) -> pa.Table:
    """Read the records of a dataset, one per id: of several records the last part's counts, as a whole.

    Keeps the columns training may use: categories, numbers, ``CREATION_TIMESTAMP``; none of ``excluded``.
    """
    fields = {field.name: field for field in source.schema.fields}

    def is_used(name: str) -> bool:
        field = fields[name]
        return name == kind.key or (
            name not in excluded and (field.categorical or field.type not in ("string", "boolean"))
        )

    return _newest(source, kind, [name for name in fields if is_used(name)])


def read_columns(source: Source, kind: Kind, names: Sequence[str]) -> pa.Table:
    """Read the id and some columns of the records of a dataset, one per id, the last part's."""
    return _newest(source, kind, [kind.key, *names])


def read_records(source: Source, kind: Kind) -> pa.Table:
    """Read the records of a dataset, one per id, the last part's, with every column."""
    return _newest(source, kind, [field.name for field in source.schema.fields])


def _newest(source: Source, kind: Kind, names: Container[str]) -> pa.Table:
    schema = pa.schema([(spec.name, spec.type) for spec in specs(source.schema, kind) if spec.name in names])
    tables = [schema.empty_table()]
    for directory in source.parts:
        tables.extend(Part(directory).take_all(schema))
    if source.records:
        tables.append(table_of(source.records, source.schema, kind).select(schema.names))
    table = one_chunk(pa.concat_tables(tables))
    codes = codes_of(table.column(kind.key).chunk(0))
    last = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    last[codes] = np.arange(len(codes))
    return one_chunk(table.take(pa.array(last[last >= 0])))


def align(table: pa.Table, key: str, ids: pa.StringArray) -> pa.Table:
    """Return the records of ``ids``, in their order, all null where an id has none; without the key column."""
    rows = pc.index_in(ids, value_set=table.column(key).chunk(0).cast(pa.string()))
    return table.drop_columns([key]).take(rows)


def write_columns(table: pa.Table, directory: Path) -> list[dict[str, Any]]:
    """Write aligned records as the columns of a snapshot and return how its manifest describes them."""
    described = []
    for column in table.column_names:
        if column == CREATED:
            continue
        cells = table.column(column).combine_chunks()
        cells = cells.chunk(0) if isinstance(cells, pa.ChunkedArray) else cells
        stem = f"column{len(described)}"
        if isinstance(cells, pa.DictionaryArray):
            offsets, codes, values = categories(cells)
            np.save(directory / f"{stem}.offsets.npy", offsets)
            np.save(directory / f"{stem}.codes.npy", codes)
            described.append({"name": column, "values": values})
        else:
            numbers = cells.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
            np.save(directory / f"{stem}.numbers.npy", numbers)
            described.append({"name": column, "values": None})
    return described


def created(table: pa.Table, oldest: np.ndarray, latest: int) -> np.ndarray:
    """Return int64 [n]: CREATION_TIMESTAMP, else the item's oldest interaction, else the latest of all.

    oldest [n] int64, the largest int64 for items without interactions.
    Source: developer guide, "CREATION_TIMESTAMP data".
    """
    fallback = np.where(oldest == np.iinfo(np.int64).max, latest, oldest)
    if CREATED not in table.column_names:
        return fallback
    cells = table.column(CREATED).combine_chunks()
    known = cells.is_valid().to_numpy(zero_copy_only=False)
    given = cells.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(known, given, fallback)


def categories(cells: pa.DictionaryArray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return offsets, codes and sorted values of cells like ``a|b``; parts of a cell that are empty are none."""
    lists = pc.split_pattern(cells.dictionary, "|")
    parts = lists.flatten()
    filled = pc.not_equal(parts, "")
    values = sorted(pc.unique(parts.filter(filled)).to_pylist())
    codes = pc.index_in(parts, value_set=pa.array(values, pa.string())).fill_null(-1).to_numpy()
    whole = pa.ListArray.from_arrays(lists.offsets, pa.array(codes, pa.int32())).take(cells.indices)
    flat = whole.flatten().to_numpy()
    lengths = pc.fill_null(pc.list_value_length(whole), 0).to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(cells)), lengths)[flat >= 0]
    offsets = np.zeros(len(cells) + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=len(cells)), out=offsets[1:])
    return offsets, flat[flat >= 0].astype(np.int32), values

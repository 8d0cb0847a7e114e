"""Writing a view: the newest record of each id, every column."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from nextpick.data import entities
from nextpick.data.avro import Field
from nextpick.data.columns import pc
from nextpick.data.dataset import Source
from nextpick.data.kinds import Kind
from nextpick.data.spill import text_buffers
from nextpick.data.view import FORMAT, MANIFEST
from nextpick.data.vocabulary import Vocabulary
from nextpick.durable import sync_tree


def build_view(out: Path, source: Source, kind: Kind) -> None:
    """Write the records of a dataset into the new directory ``out``: on disk when this returns.

    Raises DataFailure when a part cannot be read.
    """
    table = entities.read_records(source, kind)
    out.mkdir(parents=True)
    keys = table.column(kind.key).chunk(0).cast(pa.string())
    Vocabulary.of_bytes(*text_buffers(keys)).save(out)
    columns = []
    for field in source.schema.fields:
        if field.name != kind.key:
            _write(out / f"column{len(columns)}", field, table.column(field.name))
            columns.append({"name": field.name, "type": field.type})
    manifest = {"format": FORMAT, "key": kind.key, "columns": columns}
    (out / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))
    sync_tree(out)


def _write(directory: Path, field: Field, column: pa.ChunkedArray) -> None:
    directory.mkdir()
    cells = column.chunk(0)
    if field.type == "string" or field.categorical:
        texts = cells if isinstance(cells, pa.DictionaryArray) else cells.dictionary_encode()
        if field.categorical:
            offsets, codes, values = entities.categories(texts)
            strings = pa.array(values, pa.string())
        else:
            codes_ = texts.indices
            offsets = np.zeros(len(texts) + 1, np.int64)
            np.cumsum(codes_.is_valid().to_numpy(zero_copy_only=False), out=offsets[1:])
            codes = codes_.drop_null().to_numpy().astype(np.int32)
            strings = texts.dictionary
        np.save(directory / "rows.npy", offsets)
        np.save(directory / "codes.npy", codes)
        Vocabulary.of_bytes(*text_buffers(strings)).save(directory)
        return
    numbers = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
    np.save(directory / "numbers.npy", np.asarray(numbers, np.float64))

"""A part of a dataset on disk: what one import wrote, never changed.

``part.json`` {format, dataset_type, key, columns, files: [{name, rows}], buckets, report} and the files it
names: Parquet with zstd. The rows of a part are in the order of the hash of their key (the user of an
interaction, the id of an item or user), then the key, then TIMESTAMP, then as they came (object, line).
``buckets`` [1024] counts the rows by the hash's ten first bits, so that several parts can be read side by
side, a range of users at a time.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nextpick.data.failure import DataFailure

FORMAT = 1
MANIFEST = "part.json"
BUCKET_BITS = 10


class Part:
    """An opened part, read from front to back."""

    def __init__(self, directory: Path, names: Mapping[str, str] | None = None) -> None:
        """Open a part; ``names`` says what columns that are asked for are called in it.

        Raises DataFailure when it is missing, damaged, or of an unknown format.
        """
        self._directory, self._names = directory, names or {}
        try:
            self._manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
            if self._manifest["format"] != FORMAT:
                raise DataFailure(
                    f"{directory} has format {self._manifest['format']}; this nextpick knows {FORMAT}."
                )
            self._ends = np.cumsum(self._manifest["buckets"])
            self.rows: int = sum(file["rows"] for file in self._manifest["files"])
        except (OSError, ValueError, KeyError) as error:
            raise DataFailure(f"The part {directory} cannot be read: {error}.") from None
        self.columns: list[str] = self._manifest["columns"]
        self._next_file = 0
        self._taken = 0
        self._rest: pa.Table | None = None

    def take(self, buckets: int, schema: pa.Schema) -> list[pa.Table]:
        """Return the rows whose hash is in the first ``buckets`` buckets and that were not taken yet.

        Columns of ``schema`` that the part lacks (added to the dataset later) are null.
        """
        wanted = (int(self._ends[buckets - 1]) if buckets else 0) - self._taken
        self._taken += wanted
        found = []
        while wanted:
            rest = self._rest if self._rest is not None else self._read(schema)
            found.append(rest.slice(0, wanted))
            self._rest = rest.slice(wanted) if rest.num_rows > wanted else None
            wanted -= found[-1].num_rows
        return found

    def take_all(self, schema: pa.Schema) -> list[pa.Table]:
        """Return all rows that were not taken yet, with columns as ``take`` gives them."""
        return self.take(1 << BUCKET_BITS, schema)

    def _read(self, schema: pa.Schema) -> pa.Table:
        path = self._directory / self._manifest["files"][self._next_file]["name"]
        self._next_file += 1
        held = {self._names.get(name, name): name for name in schema.names}
        try:
            table = pq.read_table(
                path, columns=[name for name in held if name in self.columns], use_threads=False
            )
            table = table.rename_columns([held[name] for name in table.column_names])
        except (pa.ArrowException, OSError) as error:
            raise DataFailure(f"The part {path} cannot be read: {error}.") from None
        for field in schema:
            if field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        return table.select(schema.names).cast(schema)

"""A view: the records of an Items, Users or Actions dataset as mapped columns, all of them, for filters and answers.

``view_build.py`` writes it; this module opens it and imports nothing that a serving process must not hold. On disk:
``view.json`` {format, columns: [{name, type, textual}]}, written last; a vocabulary of the ids; per column
``column<i>/``: ``numbers.npy``, or ``offsets.npy`` and ``codes.npy`` into the vocabulary of its texts.
A training has its own columns (``dataset.py``), which stay as they were while a view follows the data.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nextpick.data.failure import DataFailure
from nextpick.data.vocabulary import Vocabulary, map_array

FORMAT = 1
MANIFEST = "view.json"

Record = Mapping[str, tuple[str, ...] | float | None]
"""One record, by column in upper case: texts, a number (booleans are 0 and 1), or None."""


class Texts(NamedTuple):
    """Row r holds values[c] for c in codes[offsets[r] to offsets[r+1]]; offsets int64 [n+1], codes int32."""

    offsets: np.ndarray
    codes: np.ndarray
    values: Vocabulary

    def row(self, row: int) -> tuple[str, ...]:
        """Return the texts of a row."""
        return tuple(self.values.ids(self.codes[self.offsets[row] : self.offsets[row + 1]]))


class ViewColumn(NamedTuple):
    """A column by its Avro ``type``: ``numbers`` float64 [n], NaN none, or ``texts``."""

    name: str
    type: str
    numbers: np.ndarray | None
    texts: Texts | None

    def value(self, row: int) -> tuple[str, ...] | float | None:
        """Return what a record holds."""
        if self.texts is not None:
            return self.texts.row(row) or None
        number = float(self.numbers[row])  # type: ignore[index]
        return None if number != number else number


class View(NamedTuple):
    """``columns`` by name in upper case; the id is a column of its own, ``key``."""

    key: str
    ids: Vocabulary
    columns: Mapping[str, ViewColumn]

    def record(self, row: int) -> Record:
        """Return a record, its id included."""
        held = {name: column.value(row) for name, column in self.columns.items()}
        return {self.key: (self.ids.id(row),), **held}


def open_view(directory: Path) -> View:
    """Map a view. Raises DataFailure naming what is missing, damaged, or of an unknown format."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise DataFailure(f"{directory} has format {manifest['format']}; this nextpick knows {FORMAT}.")
        columns = [
            _column(directory / f"column{i}", described) for i, described in enumerate(manifest["columns"])
        ]
        ids = Vocabulary.open(directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFailure(f"The view {directory} cannot be read: {error}.") from None
    return View(manifest["key"], ids, {column.name.upper(): column for column in columns})


def _column(directory: Path, described: dict[str, str]) -> ViewColumn:
    name, type_ = described["name"], described["type"]
    if (directory / "numbers.npy").exists():
        return ViewColumn(name, type_, map_array(directory / "numbers.npy"), None)
    offsets, codes = map_array(directory / "rows.npy"), map_array(directory / "codes.npy")
    return ViewColumn(name, type_, None, Texts(offsets, codes, Vocabulary.open(directory)))

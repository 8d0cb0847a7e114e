"""Contextual metadata: columns of interactions that say under which circumstances an event happened.

Source: developer guide, "Increasing recommendation relevance with contextual metadata": any metadata column of the
Interactions dataset that a training may use, a device say, or a temperature.
"""

from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nextpick.data.columns import pc, specs
from nextpick.data.dataset import Source
from nextpick.data.growing import Growing, remap
from nextpick.data.kinds import Kind
from nextpick.data.spill import codes_of

_RANGES = 8  # that the numbers of a column are cut into, each with as many events
_SAMPLE = 1_000_000


def fields(source: Source, kind: Kind, excluded: Container[str]) -> list[pa.Field]:
    """Return the contextual columns of a dataset, as its parts hold them: categories and numbers."""
    usable = {
        field.name
        for field in source.schema.fields
        if kind.is_metadata(field.name)
        and field.name not in excluded
        and (field.categorical or field.type not in ("string", "boolean"))
    }
    return [pa.field(spec.name, spec.type) for spec in specs(source.schema, kind) if spec.name in usable]


class ContextWriter:
    """Writes one contextual column of a snapshot, ``context<i>.npy``: int32 codes, -1 where a cell is empty."""

    def __init__(self, stem: Path, field: pa.Field) -> None:
        self._path, self._name = stem.with_suffix(".npy"), field.name
        self._is_category = pa.types.is_dictionary(field.type)
        self._codes: dict[str, int] = {}
        dtype = np.dtype(np.int32 if self._is_category else np.float32)
        self._column = Growing(self._path, dtype)

    def append(self, cells: pa.Array) -> None:
        """Add the cells of some rows."""
        if isinstance(cells, pa.DictionaryArray):
            numbers = [
                self._codes.setdefault(text, len(self._codes)) for text in cells.dictionary.to_pylist()
            ]
            self._column.append(np.array([*numbers, -1], np.int32)[codes_of(cells)])
        else:
            self._column.append(pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False))

    def close(self) -> None:
        """Tell that all rows are there."""
        self._column.close()

    def finish(self) -> dict[str, Any]:
        """Give the codes their meaning; return how the manifest describes the column."""
        if self._is_category:
            values = sorted(self._codes)
            final = np.full(len(values) + 1, -1, np.int32)
            final[[self._codes[value] for value in values]] = np.arange(len(values))
            remap(self._path, final)
            return {"name": self._name, "values": values, "edges": []}
        numbers = np.load(self._path)
        edges = _edges(numbers)
        codes = np.searchsorted(edges, numbers, side="right").astype(np.int32)
        codes[np.isnan(numbers)] = -1
        np.save(self._path, codes)
        return {"name": self._name, "values": [], "edges": edges.tolist()}


def _edges(numbers: np.ndarray) -> np.ndarray:
    """Return what cuts numbers into ranges of about as many each, rising, without equals."""
    known = numbers[:: max(len(numbers) // _SAMPLE, 1)]
    known = known[~np.isnan(known)]
    if not len(known):
        return np.zeros(0, np.float32)
    edges = np.unique(np.quantile(known, np.arange(1, _RANGES) / _RANGES).astype(np.float32))
    return edges[edges > known.min()]

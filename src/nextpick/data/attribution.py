"""Metrics of events by where the events came from, in windows of 15 minutes.

Source: developer guide, "Measuring the impact of recommendations".
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nextpick.data import kinds
from nextpick.data.avro import Schema
from nextpick.data.columns import pc, specs
from nextpick.data.dataset import Source
from nextpick.data.entities import align, read_entities
from nextpick.data.expressions import UNDEFINED, WINDOW_S, Cell, Metric
from nextpick.data.part import BUCKET_BITS, Part
from nextpick.data.run import Run

if TYPE_CHECKING:
    from nextpick.store.log import EventRow

HEADER = ("METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP")

_CHUNK = 100_000
_RANGE_ROWS = 1_000_000
_TEXTS = ("EVENT_TYPE", "ITEM_ID", "RECOMMENDATION_ID", "EVENT_ATTRIBUTION_SOURCE")
_CAMPAIGN = r"-CID-(?P<id>[0-9a-f]{6})$"


class Attribution:
    """Sums up the events of one dataset group for some metrics.

    ``sources``: ARNs of campaigns and recommenders by the six digits that end the ids of their recommendations;
    ``items``: the Items dataset, for metrics that sum a column of it.
    """

    def __init__(self, metrics: Sequence[Metric], sources: Mapping[str, str], items: Source | None) -> None:
        self._sums: dict[tuple[Metric, str, int], float] = {}
        self._metrics = metrics
        self._source_ids, self._source_arns = pa.array([*sources], pa.string()), [*sources.values()]
        self.columns = tuple(dict.fromkeys(m.column for m in metrics if m.dataset == "INTERACTIONS"))
        self._items: pa.Table | None = None
        wanted = {m.column for m in metrics if m.dataset == "ITEMS"}
        if wanted and items is not None:
            others = {field.name for field in items.schema.fields} - wanted
            self._items = read_entities(items, kinds.ITEMS, others)

    def add(self, table: pa.Table) -> None:
        """Add events: columns of ``_TEXTS`` as texts, TIMESTAMP int64, ``columns`` as numbers, null or not."""
        types = pc.utf8_lower(table.column("EVENT_TYPE"))
        for metric in self._metrics:
            rows = table.filter(pc.fill_null(pc.equal(types, metric.event_type.lower()), False))
            if rows.num_rows:
                self._add(metric, rows)

    def cells(self) -> list[Cell]:
        """Return the sums of everything added."""
        return [
            Cell(metric.name, metric.event_type, metric.function, source, window, value)
            for (metric, source, window), value in self._sums.items()
        ]

    def _add(self, metric: Metric, rows: pa.Table) -> None:
        windows = rows.column("TIMESTAMP").to_numpy() // WINDOW_S * WINDOW_S
        columns = {"source": self._source(rows), "window": windows, "value": self._values(metric, rows)}
        grouped = pa.table(columns).group_by(["source", "window"]).aggregate([("value", "sum")])
        names = ("source", "window", "value_sum")
        for source, window, value in zip(*(grouped.column(n).to_pylist() for n in names), strict=True):
            key = metric, source, window
            self._sums[key] = self._sums.get(key, 0.0) + value

    def _values(self, metric: Metric, rows: pa.Table) -> np.ndarray:
        if metric.function == "samplecount":
            return np.ones(rows.num_rows)
        if metric.dataset == "INTERACTIONS":
            cells = rows.column(metric.column)
        elif self._items is None or metric.column not in self._items.column_names:
            return np.zeros(rows.num_rows)
        else:
            encoded = rows.column("ITEM_ID").combine_chunks().dictionary_encode()
            values = align(self._items, "ITEM_ID", encoded.dictionary).column(metric.column)
            cells = values.take(encoded.indices)
        numbers = cells.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy(zero_copy_only=False)
        return np.where(np.isfinite(numbers), numbers, 0.0)

    def _source(self, rows: pa.Table) -> pa.ChunkedArray:
        given = rows.column("EVENT_ATTRIBUTION_SOURCE")
        given = pc.if_else(pc.equal(given, ""), pa.scalar(None, pa.string()), given)
        ids = pc.struct_field(pc.extract_regex(rows.column("RECOMMENDATION_ID"), _CAMPAIGN), "id")
        at = pc.index_in(ids, value_set=self._source_ids, skip_nulls=True)
        found = pa.array(self._source_arns, pa.string()).take(at.combine_chunks())
        return pc.coalesce(given, pa.chunked_array([found]), pa.scalar(UNDEFINED))


def of_part(attribution: Attribution, directory: Path, schema: Schema, run: Run) -> None:
    """Add the interactions of a part, a range of users at a time. Raises DataFailure, Stopped."""
    stored = {spec.name: spec.type for spec in specs(schema, kinds.INTERACTIONS)}
    numbers = [(name, stored[name]) for name in attribution.columns]
    texts = [(name, pa.string()) for name in _TEXTS]
    wanted = pa.schema([*texts, *numbers, *([] if "TIMESTAMP" in attribution.columns else [_TIME])])
    part = Part(directory)
    bits = min(BUCKET_BITS, max(0, part.rows // _RANGE_ROWS).bit_length())
    for step in range(1, (1 << bits) + 1):
        run.check()
        for table in part.take(step << (BUCKET_BITS - bits), wanted):
            attribution.add(table)


def of_events(attribution: Attribution, events: Iterable["EventRow"], run: Run) -> int:
    """Add events of the log; return how many there were. Raises Stopped."""
    count = 0
    for chunk in _chunks(events):
        run.check()
        attribution.add(_table(chunk, attribution.columns))
        count += len(chunk)
    return count


def report(cells: Iterable[Cell]) -> str:
    """Return sums as the CSV of a report: the newest window first, then by metric and source."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for cell in sorted(cells, key=lambda cell: (-cell.window, cell.metric, cell.source)):
        writer.writerow((cell.metric, cell.event_type, cell.value, cell.function, cell.source, cell.window))
    return out.getvalue()


_TIME = ("TIMESTAMP", pa.int64())


def _chunks(events: Iterable["EventRow"]) -> Iterator[list["EventRow"]]:
    chunk: list[EventRow] = []
    for event in events:
        chunk.append(event)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _table(events: list["EventRow"], columns: tuple[str, ...]) -> pa.Table:
    texts = {
        "EVENT_TYPE": [event.event_type for event in events],
        "ITEM_ID": [event.item for event in events],
        "RECOMMENDATION_ID": [event.recommendation_id for event in events],
        "EVENT_ATTRIBUTION_SOURCE": [event.source for event in events],
    }
    arrays = {name: pa.chunked_array([pa.array(texts[name], pa.string())]) for name in _TEXTS}
    properties = [_properties(event) if columns else {} for event in events]
    for column in columns:
        numbers = [_number(event, column, held) for event, held in zip(events, properties, strict=True)]
        arrays[column] = pa.chunked_array([pa.array(numbers, pa.float64())])
    return pa.table({**arrays, "TIMESTAMP": pa.array([event.time for event in events], pa.int64())})


def _properties(event: "EventRow") -> dict[str, object]:
    """Return an event's properties by their names as ``_bare`` makes them: numRatings stands for NUM_RATINGS."""
    held = json.loads(event.properties) if event.properties else {}
    return {_bare(name): value for name, value in held.items()}


def _number(event: "EventRow", column: str, properties: dict[str, object]) -> float | None:
    if column == "EVENT_VALUE":
        return event.event_value
    if column == "TIMESTAMP":
        return float(event.time)
    value = properties.get(_bare(column))
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        number = math.nan
    return number if math.isfinite(number) else None


def _bare(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())

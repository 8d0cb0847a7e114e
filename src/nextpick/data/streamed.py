"""Streamed events as rows to train on."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nextpick.data.avro import Schema
from nextpick.data.columns import arrow_schema, specs
from nextpick.data.kinds import Kind
from nextpick.data.part import BUCKET_BITS
from nextpick.data.records import read_known
from nextpick.data.spill import HASH_BITS, codes_of, key_hashes, one_chunk

if TYPE_CHECKING:
    from nextpick.store.log import EventRow

# What training reads of an interaction, streamed or imported.
COLUMNS = pa.schema(
    [
        ("USER_ID", pa.dictionary(pa.int32(), pa.string())),
        ("ITEM_ID", pa.dictionary(pa.int32(), pa.string())),
        ("TIMESTAMP", pa.int64()),
        ("EVENT_TYPE", pa.dictionary(pa.int32(), pa.string())),
        ("EVENT_VALUE", pa.float64()),
    ]
)
_CHUNK = 100_000


class Streamed:
    """Events in the order of their users' hash buckets, read from front to back as a part is."""

    def __init__(
        self,
        events: Iterable["EventRow"],
        schema: pa.Schema = COLUMNS,
        more: Callable[["EventRow"], dict[str, Any]] | None = None,
    ) -> None:
        """Take the events that can be trained on, each event id once, its first time.

        ``schema``: COLUMNS, and further ones whose cells ``more`` reads.
        An event without a user belongs to the user that a later event of its session names, else an earlier
        one; without either it is left out, as is an event without an item.
        """
        cells = _used if more is None else lambda event: {**more(event), **_used(event)}
        table = _table(events, schema, cells)
        self.rows = table.num_rows
        keys = table.column("USER_ID").chunk(0)
        buckets = (key_hashes(keys.dictionary) >> np.uint64(HASH_BITS - BUCKET_BITS)).astype(np.int64)[
            codes_of(keys)
        ]
        self._table = table.take(pa.array(np.argsort(buckets, kind="stable")))
        self._ends = np.cumsum(np.bincount(buckets, minlength=1 << BUCKET_BITS))
        self._taken = 0

    def take(self, buckets: int) -> list[pa.Table]:
        """Return the rows whose hash is in the first ``buckets`` buckets and that were not taken yet."""
        end = int(self._ends[buckets - 1])
        found = self._table.slice(self._taken, end - self._taken)
        self._taken = end
        return [found]


def _used(event: "EventRow") -> dict[str, Any]:
    """Return the cells of ``COLUMNS`` but the user's."""
    return {
        "ITEM_ID": event.item,
        "TIMESTAMP": event.time,
        "EVENT_TYPE": event.event_type,
        "EVENT_VALUE": event.event_value,
    }


def rows_of(events: Iterable["EventRow"], schema: Schema, kind: Kind) -> pa.Table:
    """Return the events that can be trained on as rows of a part: what else was sent about them is in the columns of
    the schema that ``properties`` name, null where it cannot be read."""
    columns = specs(schema, kind)
    return _table(events, arrow_schema(columns), partial(_cells, schema, kind))


def _table(
    events: Iterable["EventRow"],
    schema: pa.Schema = COLUMNS,
    cells: Callable[["EventRow"], dict[str, Any]] = _used,
) -> pa.Table:
    users: list[str | None] = []
    sessions: list[str] = []
    times: list[int] = []
    seen: set[str] = set()
    chunks: list[pa.Table] = []
    rows: list[EventRow] = []
    for event in events:
        if event.event_id in seen:
            continue
        seen.add(event.event_id)
        users.append(event.user)
        sessions.append(event.session)
        times.append(event.time)
        rows.append(event)
        if len(rows) == _CHUNK:
            chunks.append(_chunk(rows, schema, cells))
            rows = []
    table = one_chunk(pa.concat_tables([*chunks, _chunk(rows, schema, cells)]))
    _link(users, sessions, times)
    linked = pa.array(users, pa.string()).dictionary_encode()
    place, item = schema.get_field_index("USER_ID"), "ITEM_ID" if "ITEM_ID" in schema.names else "ACTION_ID"
    table = table.set_column(place, schema.field(place), linked.cast(schema.field(place).type))
    known = table.column("USER_ID").is_valid().to_numpy() & table.column(item).is_valid().to_numpy()
    return one_chunk(table.filter(pa.array(known)))


def _chunk(
    rows: list["EventRow"], schema: pa.Schema, cells: Callable[["EventRow"], dict[str, Any]]
) -> pa.Table:
    """Return events as columns; users are filled in when all sessions are known."""
    read = [cells(event) for event in rows]
    arrays = []
    for field in schema:
        plain = pa.string() if pa.types.is_dictionary(field.type) else field.type
        array = pa.array([row.get(field.name) for row in read], plain)
        arrays.append(array.dictionary_encode().cast(field.type) if plain is not field.type else array)
    return pa.Table.from_arrays(arrays, schema=schema)


def sent(schema: Schema, kind: Kind, event: "EventRow") -> dict[str, Any]:
    """Return the cells that an event's ``properties`` are about."""
    return read_known(schema, kind, json.loads(event.properties)) if event.properties else {}


def listed(event: "EventRow") -> str | None:
    """Return the list that an event was sent with, as a part has it."""
    return "|".join(event.impression) if event.impression else None


def _cells(schema: Schema, kind: Kind, event: "EventRow") -> dict[str, Any]:
    return {
        **sent(schema, kind, event),
        **_used(event),
        "ACTION_ID": event.item,
        "IMPRESSION": listed(event),
        "RECOMMENDATION_ID": event.recommendation_id,
        "EVENT_ATTRIBUTION_SOURCE": event.source,
    }


def _link(users: list[str | None], sessions: list[str], times: list[int]) -> None:
    """Give each event without a user that of the next event of its session with one, else of the last."""
    in_time = np.argsort(np.array(times, np.int64), kind="stable").tolist()
    for order in (reversed(in_time), in_time):
        of_session: dict[str, str] = {}
        for row in order:
            user = users[row]
            if user is not None:
                of_session[sessions[row]] = user
            else:
                users[row] = of_session.get(sessions[row])

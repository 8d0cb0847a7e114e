"""Building a snapshot: dataset parts and streamed events become the columns that recipes read.

Interactions are merged a range of users at a time, so that memory is bounded by such a range and by the ids.
The same input gives the same bytes.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from nextpick.data import contexts, entities, kinds, terms
from nextpick.data.columns import pc
from nextpick.data.contexts import ContextWriter
from nextpick.data.dataset import FORMAT, MANIFEST, Source
from nextpick.data.failure import DataFailure
from nextpick.data.growing import Growing, remap
from nextpick.data.impressions import FIELD as IMPRESSION
from nextpick.data.impressions import ImpressionCounter
from nextpick.data.objective import EventRule
from nextpick.data.order import by_time, key_ranks, repeats
from nextpick.data.part import BUCKET_BITS, Part
from nextpick.data.run import Run
from nextpick.data.spill import codes_of, compact, one_chunk, text_buffers
from nextpick.data.streamed import COLUMNS, Streamed, listed, sent
from nextpick.data.vocabulary import Vocabulary
from nextpick.durable import sync_tree

if TYPE_CHECKING:
    from nextpick.store.log import EventRow

__all__ = ["Source", "build_snapshot"]

_RANGE_ROWS = 1_000_000
_NEVER = np.iinfo(np.int64).max
_MOST_EVENT_TYPES = np.iinfo(np.int16).max


def build_snapshot(
    out: Path,
    interactions: Source,
    items: Source | None,
    users: Source | None,
    events: Iterable["EventRow"],
    run: Run,
    *,
    rules: Sequence[EventRule] = (),
    excluded_columns: Mapping[str, Sequence[str]] | None = None,
    about_actions: bool = False,
    with_terms: bool = False,
    with_contexts: bool = False,
    with_impressions: bool = False,
) -> None:
    """Merge parts and events into the new directory ``out``: on disk when this returns.

    rules: only events that one of these allows;  excluded_columns: by dataset type, metadata columns to leave out;
    about_actions: ``items`` is one of actions, ``interactions`` of those with actions;  with_terms: also count the
    words of the items' texts;  with_contexts: also write the interactions' contextual columns;  with_impressions:
    also count what was shown. Equal events of two imports, or of an import and the stream, count once. Raises
    DataFailure when a part cannot be read, Stopped when
    ``run`` says so; nothing is left under ``out`` then.
    """
    excluded = {kind.upper(): set(names) for kind, names in (excluded_columns or {}).items()}
    shutil.rmtree(out, ignore_errors=True)
    for name in ("interactions", "items", "users"):
        (out / name).mkdir(parents=True)
    try:
        names = {"ITEM_ID": "ACTION_ID"} if about_actions else {}
        kind = kinds.INTERACTIONS
        extra = contexts.fields(interactions, kind, excluded.get("INTERACTIONS", ())) if with_contexts else []
        shows = with_impressions and any(
            field.name == IMPRESSION.name for field in interactions.schema.fields
        )
        merge = _Merge(out / "interactions", rules, extra, shows=shows)
        read = partial(sent, interactions.schema, kind) if extra else None
        read = partial(_with_list, read) if shows else read
        streamed = Streamed(events, merge.columns, read)
        merge.run([Part(directory, names) for directory in interactions.parts], streamed, run)
        run.progress(0.8, "indexing items and users")
        item_records = _records(items, kinds.ACTIONS if about_actions else kinds.ITEMS, excluded)
        item_records = item_records.rename_columns({"ACTION_ID": "ITEM_ID"} if about_actions else {})
        user_records = _records(users, kinds.USERS, excluded)
        item_columns, ids = _write_items(out / "items", merge, item_records)
        columns = {
            "items": item_columns,
            "users": _write_users(out / "users", merge, user_records),
        }
        event_types, described = merge.finish()
        found: dict[str, Any] = {}
        if with_terms and items is not None:
            texts = terms.text_columns(items.schema, excluded.get("ITEMS", ()))
            found = _write_terms(out / "items", items, ids, texts) if any(texts) else {}
        if merge.impressions is not None:
            found["impressions"] = merge.impressions.save(out / "items", ids)
        run.check()
        manifest = {
            "format": FORMAT,
            "latest": merge.latest,
            "event_types": event_types,
            "columns": columns,
            "contexts": described,
            **found,
        }
        (out / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))
        sync_tree(out)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    run.progress(1.0, "snapshot written")


class _Merge:
    """Writes the interactions, range by range of their users, and collects the ids met."""

    def __init__(
        self,
        directory: Path,
        rules: Sequence[EventRule],
        extra: Sequence[pa.Field] = (),
        *,
        shows: bool = False,
    ) -> None:
        self._directory, self._rules = directory, rules
        self.columns = pa.schema([*COLUMNS, *extra, *([IMPRESSION] if shows else [])])
        self.impressions = ImpressionCounter() if shows else None
        self._item = Growing(directory / "item.npy", np.dtype(np.int32))
        self._time = Growing(directory / "time.npy", np.dtype(np.int64))
        self._type = Growing(directory / "event_type.npy", np.dtype(np.int16))
        self._value = Growing(directory / "event_value.npy", np.dtype(np.float32))
        self._contexts = [ContextWriter(directory / f"context{i}", field) for i, field in enumerate(extra)]
        self._event_types: dict[str, int] = {}
        self._counts: list[np.ndarray] = []
        self._users: list[pa.StringArray] = []
        self._item_rank = np.zeros(0, np.int32)
        self.items: pa.StringArray = pa.array([], pa.string())  # in the order they were met
        self.oldest = np.zeros(0, np.int64)  # by the same
        self.latest = 0

    def run(self, parts: list[Part], streamed: Streamed, run: Run) -> None:
        """Merge everything, 1 M rows or so at a time."""
        rows = sum(part.rows for part in parts) + streamed.rows
        bits = min(BUCKET_BITS, max(0, rows // _RANGE_ROWS).bit_length())
        try:
            for step in range(1, (1 << bits) + 1):
                run.check()
                end = step << (BUCKET_BITS - bits)
                sources = [part.take(end, self.columns) for part in parts] + [streamed.take(end)]
                self._add(sources)
                run.progress(0.8 * step / (1 << bits), "merging interactions")
        finally:
            for column in (self._item, self._time, self._type, self._value, *self._contexts):
                column.close()

    def users(self) -> pa.StringArray:
        """Return the users that have interactions, in their order."""
        return pa.concat_arrays(self._users) if self._users else pa.array([], pa.string())

    def sort_items(self, rank: np.ndarray) -> None:
        """Take the final row of each item in ``items``."""
        self._item_rank = rank.astype(np.int32)

    def end_users(self, n_users: int) -> None:
        """Write where each user's rows begin; users beyond those with interactions have none."""
        offsets = np.zeros(n_users + 1, np.int64)
        counts = np.concatenate(self._counts) if self._counts else np.zeros(0, np.int64)
        np.cumsum(counts, out=offsets[1 : len(counts) + 1])
        offsets[len(counts) + 1 :] = offsets[len(counts)]
        np.save(self._directory / "offsets.npy", offsets)

    def finish(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Replace provisional codes by final ones; return the event types, sorted, and the contextual columns."""
        event_types = sorted(self._event_types)
        final = np.full(len(event_types) + 1, -1, np.int16)
        for place, name in enumerate(event_types):
            final[self._event_types[name]] = place
        remap(self._directory / "item.npy", self._item_rank)
        remap(self._directory / "event_type.npy", final)
        return event_types, [context.finish() for context in self._contexts]

    def _add(self, sources: list[list[pa.Table]]) -> None:
        source = np.repeat(
            np.arange(len(sources)), [sum(table.num_rows for table in tables) for tables in sources]
        )
        table = one_chunk(
            pa.concat_tables([self.columns.empty_table(), *(t for tables in sources for t in tables)])
        )
        kept = self._kept(table)
        if kept is not None:
            table, source = table.filter(kept), source[kept.to_numpy(zero_copy_only=False)]
        if not table.num_rows:
            return
        table = compact(one_chunk(table))
        keys = table.column("USER_ID").chunk(0)
        by_hash, rank = key_ranks(keys)
        order, same = by_time(rank, table.column("TIMESTAMP").chunk(0).to_numpy())
        if len(np.unique(source)) > 1:
            repeated, first = repeats(table.drop_columns(["USER_ID", "TIMESTAMP"]), order, same)
            again = repeated[source[order[repeated]] != source[order[first]]]
            order = np.delete(order, again)
        rank = rank[order]
        table = table.take(pa.array(order))
        self._counts.append(np.bincount(rank, minlength=len(by_hash)))
        self._users.append(keys.dictionary.take(pa.array(by_hash)))
        self._append(table)

    def _kept(self, table: pa.Table) -> pa.BooleanArray | None:
        if not self._rules:
            return None
        types = table.column("EVENT_TYPE").chunk(0)
        names, codes = types.dictionary.to_pylist(), codes_of(types)
        kept = np.zeros(table.num_rows, bool)
        for rule in self._rules:
            allowed = np.ones(table.num_rows, bool)
            if rule.type is not None:
                wanted = [name is not None and name.casefold() == rule.type.casefold() for name in names]
                allowed = np.array([*wanted, False])[codes]
            if rule.threshold is not None:
                enough = pc.fill_null(pc.greater_equal(table.column("EVENT_VALUE"), rule.threshold), False)
                allowed &= enough.to_numpy()
            kept |= allowed
        return pa.array(kept)

    def _append(self, table: pa.Table) -> None:
        time = table.column("TIMESTAMP").chunk(0).to_numpy()
        local = table.column("ITEM_ID").chunk(0)
        item = self._number_items(local.dictionary)[codes_of(local)]
        np.minimum.at(self.oldest, item, time)
        self.latest = max(self.latest, int(time.max()))
        types = table.column("EVENT_TYPE").chunk(0)
        numbers = [
            self._event_types.setdefault(t, len(self._event_types)) for t in types.dictionary.to_pylist()
        ]
        if len(self._event_types) > _MOST_EVENT_TYPES:
            raise DataFailure(f"There are more than {_MOST_EVENT_TYPES} different values of EVENT_TYPE.")
        values = table.column("EVENT_VALUE").chunk(0).to_numpy(zero_copy_only=False)
        self._item.append(item)
        self._time.append(time)
        self._type.append(np.append(np.array(numbers, np.int16), np.int16(-1))[codes_of(types)])
        self._value.append(values)
        for at, context in enumerate(self._contexts, len(COLUMNS)):
            context.append(table.column(at).chunk(0))
        if self.impressions is not None:
            self.impressions.append(local, table.column(IMPRESSION.name).chunk(0))

    def _number_items(self, ids: pa.StringArray) -> np.ndarray:
        """Return the provisional number of each id, giving new ones the next."""
        numbers = pc.index_in(ids, value_set=self.items)
        new = ids.filter(numbers.is_null())
        if len(new):
            self.items = pa.concat_arrays([self.items, new])
            self.oldest = np.append(self.oldest, np.full(len(new), _NEVER))
            numbers = pc.index_in(ids, value_set=self.items)
        return numbers.to_numpy()


def _with_list(read: Callable[["EventRow"], dict[str, Any]] | None, event: "EventRow") -> dict[str, Any]:
    return {**(read(event) if read else {}), IMPRESSION.name: listed(event)}


def _records(source: Source | None, kind: kinds.Kind, excluded: Mapping[str, set[str]]) -> pa.Table:
    if source is None:
        return pa.table({kind.key: pa.array([], pa.string()).dictionary_encode()})
    return entities.read_entities(source, kind, excluded.get(kind.dataset_type, ()))


def _write_items(
    directory: Path, merge: _Merge, records: pa.Table
) -> tuple[list[dict[str, Any]], pa.StringArray]:
    """Write the items' vocabulary, in the order of their bytes, and columns; number the interactions' items. Return how
    the manifest describes the columns, and the ids."""
    known = records.column("ITEM_ID").chunk(0).cast(pa.string())
    others = known.filter(pc.invert(pc.is_in(known, value_set=merge.items)))
    ids = pa.concat_arrays([merge.items, others])
    order = pc.sort_indices(ids).to_numpy()
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    merge.sort_items(rank[: len(merge.items)])
    ids = ids.take(pa.array(order))
    Vocabulary.of_bytes(*text_buffers(ids)).save(directory)
    aligned = entities.align(records, "ITEM_ID", ids)
    oldest = np.append(merge.oldest, np.full(len(others), _NEVER))[order]
    np.save(directory / "created.npy", entities.created(aligned, oldest, merge.latest))
    return entities.write_columns(aligned, directory), ids


def _write_terms(
    directory: Path, items: Source, ids: pa.StringArray, texts: Sequence[str | None]
) -> dict[str, int]:
    """Write the terms of the texts of a snapshot's items: of the columns that name and describe them."""
    columns = [column for column in texts if column is not None]
    aligned = entities.align(entities.read_columns(items, kinds.ITEMS, columns), "ITEM_ID", ids)
    return {"n_terms": terms.save_terms(terms.count_words(aligned, *texts)[0], directory)}


def _write_users(directory: Path, merge: _Merge, records: pa.Table) -> list[dict[str, Any]]:
    """Write the users' vocabulary, those with interactions first, and columns; end the interactions' offsets."""
    active = merge.users()
    known = records.column("USER_ID").chunk(0)
    by_hash, _ = key_ranks(known)
    known = known.dictionary.take(pa.array(by_hash))
    ids = pa.concat_arrays([active, known.filter(pc.invert(pc.is_in(known, value_set=active)))])
    merge.end_users(len(ids))
    Vocabulary.of_bytes(*text_buffers(ids)).save(directory)
    np.save(directory / "created.npy", np.zeros(len(ids), np.int64))
    return entities.write_columns(entities.align(records, "USER_ID", ids), directory)

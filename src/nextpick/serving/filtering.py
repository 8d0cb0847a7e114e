"""Filters at a request: which rows of a version may be in the answer.

Source: developer guide, "Filtering recommendations and user segments".
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.filters.bind import bind
from nextpick.data.filters.match import matches
from nextpick.data.filters.resolve import EVENTS, Columns
from nextpick.data.filters.terms import ANY, Condition, Expression, Filter, event_name
from nextpick.data.view import Record, ViewColumn
from nextpick.data.vocabulary import Vocabulary
from nextpick.errors import InvalidInput
from nextpick.serving.live import Event, Tails
from nextpick.serving.spaces import NO_CHANGES, Changes, Space
from nextpick.serving.versions import Version
from nextpick.serving.views import Group, Views

_HORIZONS = {
    "INTERACTIONS": 100,
    "ACTION_INTERACTIONS": 300,
}  # of each type, a user's newest that filters know
_KEYS = {"ITEMS": "ITEM_ID", "USERS": "USER_ID", "ACTIONS": "ACTION_ID"}


class FilterView(NamedTuple):
    """What serving knows of a filter: its dataset group's ARN, what it says, and what its columns are."""

    arn: str
    group: str
    filter: Filter
    columns: Columns


class Asked(NamedTuple):
    """What a request filters by, and who and what it is about."""

    filter: FilterView
    values: Mapping[str, str]
    user: str | None
    item: str | None


class Filtering:
    """Evaluates filters, on views of the data and what was put since."""

    def __init__(self, views: Views, tails: Tails, in_use: Callable[[], set[str]]) -> None:
        """Take what filters look at; ``in_use`` returns the names of the versions that campaigns point at."""
        self._views, self._tails, self._in_use = views, tails, in_use
        self._changes: dict[str, tuple[str, Changes]] = {}
        self._spaces: dict[tuple[str, str], tuple[str, Space]] = {}
        self._event_rows: dict[tuple[str, str], tuple[str, np.ndarray]] = {}

    def is_ready(self, version: Version, group: Group, types: Iterable[str]) -> bool:
        """Tell whether views of these types of dataset are mapped and matched with the version's rows."""
        return self._views.has(group, types) and all(
            (version.name, type_) in (self._event_rows if type_ in EVENTS else self._spaces)
            and self._kept_path(version, type_) == group.views[type_].path
            for type_ in types
            if type_ in group.views
        )

    async def prepare(self, version: Version, group: Group, types: Iterable[str]) -> None:
        """Make ready what is not, in a thread. Raises ServiceUnavailable for a view that cannot be read."""
        await self._views.fetch(group, types)
        await asyncio.get_running_loop().run_in_executor(None, self.match, version, group, types)

    def match(self, version: Version, group: Group, types: Iterable[str]) -> None:
        """Match the version's rows with those of the mapped views of these types."""
        for type_ in types:
            if type_ in EVENTS:
                self._rows_of_events(version, group, type_)
            else:
                self._space(version, group, type_)

    def allowed(self, version: Version, group: Group, asked: Asked) -> np.ndarray | None:
        """Return which items the filter lets through, bool [n_items], not to be written; None means all.

        The views it needs must be mapped. Raises InvalidInput for values that are missing or cannot be read.
        """
        filter, columns = asked.filter.filter, asked.filter.columns
        records, events = version.info.datasets
        subject = "ACTIONID" if records == "ACTIONS" else "ITEMID"
        if filter.subject != subject:
            raise InvalidInput(f"{asked.filter.arn} is a filter about {filter.subject}, not about {subject}.")
        if filter.needs_user and asked.user is None:
            raise InvalidInput(f"userId is required: {asked.filter.arn} depends on the user.")
        item = None
        if filter.needs_item:
            if asked.item is None:
                raise InvalidInput(f"itemId is required: {asked.filter.arn} speaks of CurrentItem.")
            item = self.record(version, group, "ITEMS", asked.item)
        active = [
            expression
            for expression in bind(filter, asked.values, columns, item)
            if not expression.when or self._user_meets(version, group, expression.when, asked.user or "")
        ]
        space = self._space(version, group, records)
        rows = _no_rows
        if _has_events(active):
            rows = self._history(version, group, asked.user or "", events).rows
        return _combine(space, self._changed(group, records), active, rows)

    def allowed_users(self, version: Version, group: Group, asked: Asked) -> np.ndarray | None:
        """Return which users the filter lets through, bool [n_users], not to be written; None means all.

        The views it needs must be mapped. Raises InvalidInput as ``allowed`` does.
        """
        filter = asked.filter.filter
        if filter.subject != "USERID":
            raise InvalidInput(f"{asked.filter.arn} is a filter about {filter.subject}, not about UserID.")
        active = list(bind(filter, asked.values, asked.filter.columns))
        space = self._space(version, group, "USERS")
        return _combine(
            space, self._changed(group, "USERS"), active, lambda e: self._users_with(version, group, e)
        )

    def release(self, name: str) -> None:
        """Forget what is kept of a version."""
        for kept in (self._spaces, self._event_rows):
            for key in [key for key in kept if key[0] == name]:
                del kept[key]

    def columns(self, group: Group, type_: str) -> Mapping[str, ViewColumn]:
        """Return the columns of a dataset's mapped view by name in upper case."""
        view = self._views.records(group, type_)
        return view.columns if view is not None else {}

    def record(self, version: Version, group: Group, type_: str, id: str) -> Record:
        """Return what is known of an item or user: nothing, {}, where it has no record."""
        return self._space(version, group, type_).record(id, self._changed(group, type_))

    def _user_meets(self, version: Version, group: Group, when: tuple[Condition, ...], user: str) -> bool:
        record = self.record(version, group, "USERS", user)
        return all(matches(condition, record) for condition in when)

    def _space(self, version: Version, group: Group, type_: str) -> Space:
        view = self._views.records(group, type_)
        path = group.views[type_].path if view is not None else ""
        kept = self._spaces.get((version.name, type_))
        if kept is None or kept[0] != path:
            ids = version.data.users.ids if type_ == "USERS" else version.data.items.ids
            kept = path, Space(ids, _KEYS[type_], view)
            self._spaces[version.name, type_] = kept
            self._forget(version.name)
        return kept[1]

    def _rows_of_events(self, version: Version, group: Group, type_: str) -> np.ndarray | None:
        """Return the version's rows of the items of the mapped view, int32, -1 where it has none."""
        data, _ = self._views.events(group, type_)
        if data is None:
            return None
        path = group.views[type_].path
        kept = self._event_rows.get((version.name, type_))
        if kept is None or kept[0] != path:
            kept = path, _rows_in(version.data.items.ids, data.items.ids)
            self._event_rows[version.name, type_] = kept
            self._forget(version.name)
        return kept[1]

    def _users_with(self, version: Version, group: Group, expression: Expression) -> np.ndarray:
        """Return the rows of the users whom a bound expression about events is about; those of the log included."""
        data, positions = self._views.events(group, "INTERACTIONS")
        types: dict[str, list[int]] = {}
        for user, event in self._tails.events(group.arn, positions):
            types.setdefault(event_name(event.type), []).append(version.data.users.ids.row(user))
        by_type = {name: np.array(rows, np.int32) for name, rows in types.items()}
        if data is not None:
            events = data.interactions
            rows = data.users.ids.rows_in(version.data.users.ids)
            user_of = np.repeat(rows, np.diff(events.offsets))
            for code, type_ in enumerate(events.event_types):
                name, found = event_name(type_), np.unique(user_of[events.event_type == code])
                by_type[name] = np.concatenate((by_type[name], found)) if name in by_type else found
        return _History({name: held[held >= 0] for name, held in by_type.items()}).rows(expression)

    def _kept_path(self, version: Version, type_: str) -> str:
        kept = self._event_rows if type_ in EVENTS else self._spaces
        return kept[version.name, type_][0]

    def _forget(self, but: str) -> None:
        """Drop what is kept of versions that no campaign points at any more."""
        names = {name.partition(" ")[0] for name in (*self._in_use(), but)}
        for kept in (self._spaces, self._event_rows):
            for key in [key for key in kept if key[0].partition(" ")[0] not in names]:
                del kept[key]

    def _changed(self, group: Group, type_: str) -> Changes:
        """Return what was put into a dataset since its view, or since the dataset was made."""
        dataset = group.datasets.get(type_)
        if dataset is None:
            return NO_CHANGES
        ref = group.views.get(type_)
        path, positions = (ref.path, ref.positions) if ref else ("", group.folded.get(type_, {}))
        kept = self._changes.get(dataset)
        if kept is None or kept[0] != path:
            if ref is None:  # a view holds its own
                self._tails.hold(dataset, positions)
            elif kept is not None:
                self._tails.release([dataset])
            kept = self._changes[dataset] = path, Changes(positions)
        changes = kept[1]
        n = self._tails.n_puts(dataset)
        if n != changes.seen:
            for put in self._tails.puts(dataset, changes.upto):
                changes.add(put, _KEYS[type_])
            changes.seen = n
        return changes

    def _history(self, version: Version, group: Group, user: str, type_: str) -> "_History":
        data, positions = self._views.events(group, type_)
        rows = self._rows_of_events(version, group, type_)
        stream = group.arn if type_ == "INTERACTIONS" else group.datasets.get(type_, "")
        tail = self._tails.of(stream, user, positions)
        return _history(data, rows, version.data.items.ids, tail, user, _HORIZONS[type_])


def _rows_in(ids: Vocabulary, others: Vocabulary) -> np.ndarray:
    """Return the row in ``ids`` of each of ``others``, int32, -1 where it has none; fast where either is small."""
    if len(ids) >= len(others):
        return others.rows_in(ids)
    rows = np.full(len(others), -1, np.int32)
    found = ids.rows_in(others)
    known = np.flatnonzero(found >= 0)
    rows[found[known]] = known
    return rows


def _has_events(expressions: list[Expression]) -> bool:
    return any(e.dataset in EVENTS for e in expressions)


def _no_rows(expression: Expression) -> np.ndarray:
    return np.zeros(0, np.int32)


def _combine(
    space: Space,
    changes: Changes,
    active: list[Expression],
    rows: Callable[[Expression], np.ndarray],
) -> np.ndarray | None:
    """Return the mask of bound expressions; ``rows`` returns what one about events is about."""
    still = [e for e in active if e.dataset not in EVENTS]
    live = [e for e in active if e.dataset in EVENTS]
    includes = tuple(e for e in still if e.includes)
    excludes = tuple(e for e in still if not e.includes)
    if not live:
        return space.mask(includes or None, excludes, changes)
    included = [rows(e) for e in live if e.includes]
    if included:
        base = space.mask(includes, (), changes) if includes else None
        mask = np.zeros(len(space.ids), bool) if base is None else base.copy()
        for found in included:
            mask[found] = True
        without = space.mask(None, excludes, changes)
        if without is not None:
            mask &= without
    else:
        base = space.mask(includes or None, excludes, changes)
        mask = np.ones(len(space.ids), bool) if base is None else base.copy()
    for expression in live:
        if not expression.includes:
            mask[rows(expression)] = False
    return mask


class _History(NamedTuple):
    """Events: rows of items (or users) int32 by the event's type in lower case."""

    by_type: Mapping[str, np.ndarray]

    def rows(self, expression: Expression) -> np.ndarray:
        """Return the rows of items that a bound expression about events is about, sorted."""
        found = np.zeros(0, np.int32)
        for all_of in expression.any_of:
            met = self._condition(all_of[0])
            for condition in all_of[1:]:
                met = np.intersect1d(met, self._condition(condition))
            found = np.union1d(found, met)
        return found

    def _condition(self, condition: Condition) -> np.ndarray:
        wanted = [
            r for type_, r in self.by_type.items() if ANY in condition.values or type_ in condition.values
        ]
        met = np.unique(np.concatenate(wanted)) if wanted else np.zeros(0, np.int32)
        if condition.op == "IN":
            return met
        touched = np.concatenate(list(self.by_type.values())) if self.by_type else np.zeros(0, np.int32)
        return np.setdiff1d(touched, met)


def _history(
    data: Data | None,
    rows: np.ndarray | None,
    ids: Vocabulary,
    tail: list[Event],
    user: str,
    horizon: int,
) -> _History:
    """Return a user's events: those of the view, whose items have ``rows`` in the version, then the tail's."""
    newest: dict[str, list[int]] = {}
    for event in tail:
        newest.setdefault(event_name(event.type), []).append(ids.row(event.item))
    by_type: dict[str, np.ndarray] = {}
    row = data.users.ids.row(user) if data is not None else -1
    if data is not None and rows is not None and row >= 0:
        events = data.interactions
        own = slice(events.offsets[row], events.offsets[row + 1])
        items, types = rows[events.item[own]], events.event_type[own]
        for code in np.unique(types).tolist():
            name = event_name(events.event_types[code]) if code >= 0 else ""
            room = horizon - len(newest.get(name, []))
            held = items[types == code][-room:] if room > 0 else items[:0]
            by_type[name] = np.concatenate((by_type[name], held)) if name in by_type else held
    for name, late in newest.items():
        live = np.array(late[-horizon:], np.int32)
        by_type[name] = np.concatenate((by_type[name], live)) if name in by_type else live
    return _History({name: held[held >= 0] for name, held in by_type.items()})

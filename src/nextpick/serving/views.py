"""Views in memory: mapped when a request first needs them, kept while a dataset points at them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from nextpick.data.dataset import Data, open_snapshot
from nextpick.data.failure import DataFailure
from nextpick.data.filters.resolve import EVENTS
from nextpick.data.view import View, open_view
from nextpick.errors import ServiceUnavailable
from nextpick.serving.live import Positions, Tails


class ViewRef(NamedTuple):
    """Where a dataset's view lies, under the home's datasets, and what of the log it has folded in."""

    path: str
    positions: Positions


class Group(NamedTuple):
    """What serving knows of a dataset group, by type of dataset: its datasets, their views, and what of the log their
    parts have."""

    arn: str
    datasets: Mapping[str, str]
    views: Mapping[str, ViewRef]
    folded: Mapping[str, Positions] = MappingProxyType({})


class Views:
    """The views that are mapped. ``in_use`` returns the paths that a dataset still points at."""

    def __init__(self, directory: Path, tails: Tails, in_use: Callable[[], set[str]]) -> None:
        self._directory, self._tails, self._in_use = directory, tails, in_use
        self._records: dict[str, View] = {}
        self._events: dict[str, Data] = {}

    def has(self, group: Group, types: Iterable[str]) -> bool:
        """Tell whether all views of these types that the group has are mapped."""
        return all(
            group.views[type_].path in (self._events if type_ in EVENTS else self._records)
            for type_ in types
            if type_ in group.views
        )

    async def fetch(self, group: Group, types: Iterable[str]) -> None:
        """Map what is not mapped, in a thread. Raises ServiceUnavailable for a view that cannot be read."""
        loop = asyncio.get_running_loop()
        for type_ in types:
            if type_ in group.views and not self.has(group, (type_,)):
                path = group.views[type_].path
                opening = open_snapshot if type_ in EVENTS else open_view
                try:
                    opened = await loop.run_in_executor(None, opening, self._directory / path)
                except DataFailure as failure:
                    raise ServiceUnavailable(f"{group.datasets[type_]} cannot be read: {failure}") from None
                self._adopt(group.views[type_], opened)

    def load(self, group: Group, types: Iterable[str]) -> None:
        """Map what is not mapped, here and now. Raises DataFailure for a view that cannot be read."""
        for type_ in types:
            if type_ in group.views and not self.has(group, (type_,)):
                opening = open_snapshot if type_ in EVENTS else open_view
                self._adopt(group.views[type_], opening(self._directory / group.views[type_].path))

    def _adopt(self, ref: ViewRef, opened: View | Data) -> None:
        """Keep a mapped view; drop those that no dataset points at any more."""
        if isinstance(opened, View):
            self._records[ref.path] = opened
        else:
            self._events[ref.path] = opened
        self._tails.hold(ref.path, ref.positions)
        wanted = self._in_use() | {ref.path}
        gone = [path for path in (*self._records, *self._events) if path not in wanted]
        for path in gone:
            self._records.pop(path, None)
            self._events.pop(path, None)
        self._tails.release(gone)

    def records(self, group: Group, type_: str) -> View | None:
        """Return the mapped view of an Items, Users or Actions dataset."""
        ref = group.views.get(type_)
        return self._records.get(ref.path) if ref else None

    def events(self, group: Group, type_: str) -> tuple[Data | None, Positions]:
        """Return the mapped view of an interactions dataset, and the log's positions it has folded in."""
        ref = group.views.get(type_)
        return (self._events.get(ref.path), ref.positions) if ref else (None, {})

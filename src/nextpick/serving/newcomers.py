"""Items, or actions, that came after a version's training: candidates of exploration from the next request on.

They come with an import, with PutItems or PutActions, or, items only, in a streamed event. They are a version of
their own, whose vocabulary they are, so that filters, cut-offs and metadata treat them as all others. Source: developer
guide, "User-Personalization recipe", automatic updates: here there is nothing to wait for.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nextpick.data.cells import CREATED
from nextpick.data.dataset import Entities
from nextpick.data.vocabulary import Vocabulary
from nextpick.serving.explore import Young
from nextpick.serving.filtering import Filtering
from nextpick.serving.live import Tails
from nextpick.serving.versions import Version
from nextpick.serving.views import Group, Views

_UNDATED = np.iinfo(np.int64).max // 2


class _Known(NamedTuple):
    """What the newcomers were found in: the view, how many records were put, how many items events were of."""

    view: str
    puts: int
    items: int


class Newcomers:
    """The newcomers of each version that explores."""

    def __init__(
        self, views: Views, filtering: Filtering, tails: Tails, in_use: Callable[[], set[str]]
    ) -> None:
        """Take where items come from; ``in_use`` returns the names of the versions that campaigns point at."""
        self._views, self._filtering, self._tails, self._in_use = views, filtering, tails, in_use
        self._found: dict[str, tuple[_Known, Version | None]] = {}
        self._made = 0

    def is_ready(self, version: Version, group: Group) -> bool:
        """Tell whether the view is mapped that may hold items the version was trained without."""
        records, _ = version.info.datasets
        ref = group.views.get(records)
        return ref is None or ref.path == version.items_view or self._views.has(group, (records,))

    def of(self, version: Version, group: Group) -> Version | None:
        """Return a version of the newcomers alone, which scores nothing, or None without any; see ``is_ready``."""
        records, _ = version.info.datasets
        ref, dataset = group.views.get(records), group.datasets.get(records, "")
        known = _Known(ref.path if ref else "", *self._tails.met(dataset, group.arn))
        kept = self._found.get(version.name)
        if kept is None or kept[0] != known:
            if kept is not None and kept[1] is not None:
                self._filtering.release(kept[1].name)
            names = self._in_use()
            self._found = {name: found for name, found in self._found.items() if name in names}
            kept = self._found[version.name] = known, self._find(version, group)
        return kept[1]

    def _find(self, version: Version, group: Group) -> Version | None:
        known = version.data.items.ids
        records, events = version.info.datasets
        met = self._tails.items(group.arn, version.positions) if events == "INTERACTIONS" else {}
        created = {id: time for id, time in met.items() if known.row(id) < 0}
        ref = group.views.get(records)
        view = self._views.records(group, records) if ref and ref.path != version.items_view else None
        if view is not None:
            new = np.flatnonzero(view.ids.rows_in(known) < 0)
            column = view.columns.get(CREATED)
            times = (
                column.numbers[new].tolist() if column and column.numbers is not None else [None] * len(new)
            )
            for id, time in zip(view.ids.ids(new), times, strict=True):
                created[id] = _UNDATED if time is None or time != time else int(time)
        for put in self._tails.puts(group.datasets.get(records, ""), version.positions):
            if known.row(put.id) < 0:
                created[put.id] = int(json.loads(put.record).get(CREATED, _UNDATED))
        if not created:
            return None
        self._made += 1
        ids = Vocabulary.build(sorted(created))
        times = np.array([created[ids.id(row)] for row in range(len(ids))], np.int64)
        data = version.data._replace(items=Entities(ids, (), times), impressions=None)
        young = Young(data, np.zeros(len(ids), np.int64))
        return version._replace(name=f"{version.name} {self._made}", state={}, data=data, young=young)

"""The entities of a version seen through a view: which of them meet a condition, as masks that are kept.

A mask is bool [n], one place for each row of the version's vocabulary. What depends on nothing but the records is
computed once and kept; records that were put since are looked at one by one and corrected in the masks.
"""

import json
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np

from nextpick.data.filters.match import matches, number_mask, text_mask
from nextpick.data.filters.terms import Condition, Expression
from nextpick.data.view import Record, View
from nextpick.data.vocabulary import Vocabulary
from nextpick.serving.live import Positions, Put

_KEPT_BYTES = 64 << 20


class Changes:
    """Records of one dataset that were put after its view was written, in order, and the newest of each id.

    ``upto``: what of the log is in them.
    """

    def __init__(self, positions: Positions) -> None:
        self.log: list[tuple[str, Record]] = []
        self.newest: dict[str, Record] = {}
        self.upto = dict(positions)
        self.seen = 0

    def add(self, put: Put, key: str) -> None:
        """Add a record; it holds all that is known of its id, which is in the column ``key``."""
        held = {name.upper(): _as_of_view(value) for name, value in json.loads(put.record).items()}
        record = {key: (put.id,), **held}
        self.log.append((put.id, record))
        self.newest[put.id] = record
        self.upto[put.file] = max(put.seq, self.upto.get(put.file, 0))


def _as_of_view(value: str | list[str] | float | None) -> tuple[str, ...] | float | None:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value if value is None else float(value)


NO_CHANGES = Changes({})


class Space:
    """The entities of one vocabulary. ``key`` is the column of their ids, say ITEM_ID."""

    def __init__(self, ids: Vocabulary, key: str, view: View | None) -> None:
        self.ids, self._key, self._view = ids, key, view
        if view is not None:
            rows = ids.rows_in(view.ids)
            self._known = np.flatnonzero(rows >= 0)
            self._rows = rows[self._known]
        self._masks: OrderedDict[Hashable, tuple[np.ndarray, int]] = OrderedDict()
        self._bytes = 0

    def record(self, id: str, changes: Changes) -> Record:
        """Return what is known of an id: the newest change, else the view's record, else nothing."""
        if id in changes.newest:
            return changes.newest[id]
        row = self._view.ids.row(id) if self._view is not None else -1
        return self._view.record(row) if self._view is not None and row >= 0 else {}

    def mask(
        self, includes: tuple[Expression, ...] | None, excludes: tuple[Expression, ...], changes: Changes
    ) -> np.ndarray | None:
        """Return what any of ``includes`` includes (everything without them: None) less what ``excludes`` do.

        The expressions are bound and about records; the mask is kept and not to be written. None means all.
        """
        if includes is None and not excludes:
            return None
        key = (includes, excludes)
        kept = self._get(key, len(changes.log))
        if kept is None:
            kept = np.ones(len(self.ids), bool)
            if includes is not None:
                kept = self._union(includes, changes)
            if excludes:
                kept &= ~self._union(excludes, changes)
            self._keep(key, kept, len(changes.log))
        return kept

    def _union(self, expressions: tuple[Expression, ...], changes: Changes) -> np.ndarray:
        found = np.zeros(len(self.ids), bool)
        for expression in expressions:
            for all_of in expression.any_of:
                met = self._condition(all_of[0], changes)
                for condition in all_of[1:]:
                    met = met & self._condition(condition, changes)
                found |= met
        return found

    def _condition(self, condition: Condition, changes: Changes) -> np.ndarray:
        kept, seen = self._masks.get(condition, (None, 0))
        if kept is None:
            kept = self._from_view(condition)
        for id, record in changes.log[seen:]:
            row = self.ids.row(id)
            if row >= 0:
                kept[row] = matches(condition, record)
        self._keep(condition, kept, len(changes.log))
        return kept

    def _from_view(self, condition: Condition) -> np.ndarray:
        met = np.zeros(len(self.ids), bool)
        if condition.column == self._key:
            rows = self.ids.rows([str(value) for value in condition.values])
            met[rows[rows >= 0]] = True
            return met if condition.op == "IN" else ~met
        column = self._view.columns.get(condition.column) if self._view is not None else None
        if column is None:
            return met
        if column.texts is not None:
            of_view = text_mask(condition, column.texts)
        else:
            assert column.numbers is not None
            of_view = number_mask(condition, column.numbers)
        met[self._known] = of_view[self._rows]
        return met

    def _get(self, key: Hashable, changes: int) -> np.ndarray | None:
        kept = self._masks.get(key)
        if kept is None or kept[1] != changes:
            return None
        self._masks.move_to_end(key)
        return kept[0]

    def _keep(self, key: Hashable, mask: np.ndarray, changes: int) -> None:
        if key in self._masks:
            self._bytes -= self._masks[key][0].nbytes
        self._masks[key] = mask, changes
        self._masks.move_to_end(key)
        self._bytes += mask.nbytes
        while self._bytes > _KEPT_BYTES and len(self._masks) > 1:
            _, (dropped, _) = self._masks.popitem(last=False)
            self._bytes -= dropped.nbytes

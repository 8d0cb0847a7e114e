"""Impressions: what users were shown and whether they took it. What is often shown and not taken is tried out less.

An event's own list (``impression``) counts, else the answer that its ``recommendationId`` names, as far as this process
gave it and still remembers it. Imported lists are counted by the training. Source: developer guide, "Impressions data".
"""

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Impressions
from nextpick.data.vocabulary import Vocabulary

_MOST_ANSWERS, _MOST_LISTS = 50_000, 2048
SHOWN = 25  # items of an answer that count as shown, as many as an event may list
PATIENCE = 10.0  # an item that is taken once in so many showings is tried out as often as a new one
_SEPARATOR = "\n"


class Answers:
    """The newest answers by their recommendationId, in memory."""

    def __init__(self, most: int = _MOST_ANSWERS) -> None:
        self._most = most
        self._held: dict[str, str] = {}

    def put(self, recommendation_id: str, items: Iterable[str]) -> None:
        """Remember what an answer listed; the oldest answer makes way."""
        self._held[recommendation_id] = _SEPARATOR.join(items)
        if len(self._held) > self._most:
            del self._held[next(iter(self._held))]

    def get(self, recommendation_id: str) -> tuple[str, ...]:
        """Return what an answer listed, nothing when it is not remembered."""
        text = self._held.get(recommendation_id)
        return tuple(text.split(_SEPARATOR)) if text else ()


class Shown(NamedTuple):
    """The list that an event was sent with, and the item it is about. ``file`` and ``seq``: its place in the log."""

    file: str
    seq: int
    items: tuple[str, ...]
    taken: str | None


class Lists:
    """The newest lists of a dataset group, oldest first. ``count``: how many there have been."""

    def __init__(self) -> None:
        self._held: deque[Shown] = deque(maxlen=_MOST_LISTS)
        self.count = 0

    def add(self, shown: Shown) -> None:
        """Add a list; the oldest one makes way."""
        self._held.append(shown)
        self.count += 1

    def since(self, count: int) -> list[Shown]:
        """Return those that came after the first ``count``."""
        return list(islice(self._held, max(0, len(self._held) - (self.count - count)), None))


class Chances:
    """How often the items of a version are tried out, as a share of how often new ones are."""

    def __init__(self, ids: Vocabulary, trained: Impressions | None) -> None:
        """Take the items and what the training has counted."""
        self._ids, self._trained = ids, trained
        self._lists: Lists | None = None
        self._begin(None)

    def of(self, lists: Lists | None, positions: dict[str, int]) -> np.ndarray | None:
        """Return a share of each item, float32 [n_items]: (1 + taken) / (1 + shown / PATIENCE), at most 1; None: all 1.

        ``positions``: what of the log the training has counted.
        """
        if lists is not self._lists:
            self._begin(lists)
        if lists is not None and lists.count != self._seen:
            new = [s for s in lists.since(self._seen) if s.seq > positions.get(s.file, 0)]
            self._seen = lists.count
            if new:
                self._count(new)
        return self._chance

    def _begin(self, lists: Lists | None) -> None:
        self._lists, self._seen = lists, 0
        self._counts: tuple[np.ndarray, np.ndarray] | None = None
        self._chance: np.ndarray | None = None
        if self._trained is not None:
            shown, taken = (np.array(column, np.float32) for column in self._trained)
            self._counts, self._chance = (shown, taken), _chance(shown, taken)

    def _count(self, new: list[Shown]) -> None:
        n = len(self._ids)
        if self._counts is None or self._chance is None:
            self._counts = np.zeros(n, np.float32), np.zeros(n, np.float32)
            self._chance = np.ones(n, np.float32)
        shown, taken = self._counts
        rows = self._ids.rows([item for s in new for item in s.items])
        rows = rows[rows >= 0]
        np.add.at(shown, rows, 1)
        hits = self._ids.rows([s.taken for s in new if s.taken is not None and s.taken in s.items])
        np.add.at(taken, hits[hits >= 0], 1)
        self._chance[rows] = _chance(shown[rows], taken[rows])


def _chance(shown: np.ndarray, taken: np.ndarray) -> np.ndarray:
    return np.minimum(1.0, (1.0 + taken) / (1.0 + shown / PATIENCE)).astype(np.float32)

"""A snapshot: the data a version is trained on and served from, as mapped columns.

``snapshot.py`` writes it from dataset parts; this module opens it and imports nothing that a serving
process must not hold. On disk: ``snapshot.json`` {format, latest, event_types, columns, contexts}, written
last; ``interactions/*.npy``, of contextual columns ``context<i>.npy``; ``items/`` and ``users/``: a vocabulary,
``created.npy``, and per column ``column<i>.*.npy``.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nextpick.data.avro import Schema
from nextpick.data.failure import DataFailure
from nextpick.data.vocabulary import Vocabulary, map_array

FORMAT = 1
MANIFEST = "snapshot.json"
NOBODY = "\0"  # what the names of rows begin with whose users were deleted


class Context(NamedTuple):
    """A contextual column of interactions: codes [n] int32, -1 none.

    Categories: code c stands for values[c], sorted;  edges is empty. Numbers: the code is how many of ``edges``,
    rising, are not above the number;  values is empty.
    """

    name: str
    codes: np.ndarray
    values: tuple[str, ...]
    edges: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many codes there are."""
        return len(self.values) or len(self.edges) + 1

    def code(self, text: str) -> int:
        """Return the code of a value as a request tells it, -1 for one that was not there at training."""
        if self.values:
            at = bisect_left(self.values, text)
            return at if at < len(self.values) and self.values[at] == text else -1
        try:
            number = float(text)
        except ValueError:
            return -1
        return bisect_right(self.edges, number) if isfinite(number) else -1


class Interactions(NamedTuple):
    """Interactions by user: user u's are rows offsets[u] to offsets[u+1], oldest first, equal times in the
    order they were imported or streamed.

    offsets [n_users+1] int64;  item [n] int32 row in items.ids;  time [n] int64 seconds since 1970, UTC;
    event_type [n] int16 position in event_types, -1 none;  event_value [n] float32, NaN none;
    weight [n] float32 how much each counts, None: all alike;  contexts: columns about their circumstances.
    """

    offsets: np.ndarray
    item: np.ndarray
    time: np.ndarray
    event_type: np.ndarray
    event_value: np.ndarray
    event_types: tuple[str, ...]
    weight: np.ndarray | None = None
    contexts: tuple[Context, ...] = ()

    def only(self, kept: np.ndarray) -> "Interactions":
        """Return those that are ``kept`` (bool [n])."""
        offsets = np.concatenate(([0], np.cumsum(kept)))[self.offsets].astype(np.int64)
        columns = {name: column[kept] for name in _BY_ROW if (column := getattr(self, name)) is not None}
        contexts = tuple(context._replace(codes=context.codes[kept]) for context in self.contexts)
        return self._replace(offsets=offsets, contexts=contexts, **columns)


_BY_ROW = ("item", "time", "event_type", "event_value", "weight")


class Column(NamedTuple):
    """A metadata column: categories, or numbers.

    Categories: row r has values[c] for c in codes[offsets[r] to offsets[r+1]], none where it is empty;
    offsets [n+1] int64, codes int32, values sorted;  numbers is None.
    Numbers: numbers [n] float32, NaN none;  offsets and codes are None, values is empty.
    """

    name: str
    offsets: np.ndarray | None
    codes: np.ndarray | None
    values: tuple[str, ...]
    numbers: np.ndarray | None


class Entities(NamedTuple):
    """Items or users. created [n] int64: items: CREATION_TIMESTAMP, else the oldest interaction, else the
    latest interaction of all; users: zeros."""

    ids: Vocabulary
    columns: tuple[Column, ...]
    created: np.ndarray


class Terms(NamedTuple):
    """Terms of the items' texts, by item: offsets [n_items+1] int64; codes int32, below ``n_terms``; counts
    float32."""

    offsets: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    n_terms: int


class Impressions(NamedTuple):
    """How often each item was shown in the list of an interaction, and taken from it: float32 [n_items]."""

    shown: np.ndarray
    taken: np.ndarray


class Data(NamedTuple):
    """What recipes are fitted on. ``latest``: time of the newest interaction, 0 without any.

    items.ids holds the items of the interactions and of the Items dataset, in the order of their bytes;
    users.ids those of the interactions, then those only in the Users dataset,
    both in the order of their hash.
    reward [n_items] float32: what an item is worth, None where nothing but relevance counts; strength: how much
    that shall move answers. terms: None unless the recipe reads texts. impressions: None where there are none.
    now: when the training began, seconds since 1970, 0 where that is not told.
    """

    interactions: Interactions
    items: Entities
    users: Entities
    latest: int
    reward: np.ndarray | None = None
    strength: float = 0.0
    terms: Terms | None = None
    impressions: Impressions | None = None
    now: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset to build a snapshot from: its schema, the directories of its parts, oldest first, and (id, JSON) of
    records that were put since (``records.py``)."""

    schema: Schema
    parts: list[Path]
    records: Sequence[tuple[str, str]] = ()


def open_snapshot(directory: Path) -> Data:
    """Map a snapshot's columns.

    Raises DataFailure naming what is missing, damaged, or of a format this nextpick does not know.
    """
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise DataFailure(
                f"{directory / MANIFEST} has format {manifest['format']}; this nextpick knows {FORMAT}."
            )
        columns = {
            name: map_array(directory / "interactions" / f"{name}.npy") for name in Interactions._fields[:5]
        }
        contexts = tuple(
            Context(c["name"], map_array(context_path(directory, i)), tuple(c["values"]), tuple(c["edges"]))
            for i, c in enumerate(manifest.get("contexts", ()))
        )
        interactions = Interactions(**columns, event_types=tuple(manifest["event_types"]), contexts=contexts)
        items = _entities(directory / "items", manifest["columns"]["items"])
        users = _entities(directory / "users", manifest["columns"]["users"])
        terms = _terms(directory / "items", manifest["n_terms"]) if "n_terms" in manifest else None
        impressions = _impressions(directory / "items") if manifest.get("impressions") else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFailure(f"The snapshot {directory} cannot be read: {error}.") from None
    return Data(interactions, items, users, manifest["latest"], terms=terms, impressions=impressions)


def context_path(snapshot: Path, at: int) -> Path:
    """Return where a snapshot's contextual column lies."""
    return snapshot / "interactions" / f"context{at}.npy"


def _impressions(directory: Path) -> Impressions:
    return Impressions(*(map_array(directory / f"{name}.npy") for name in Impressions._fields))


def _terms(directory: Path, n_terms: int) -> Terms:
    offsets, codes, counts = (map_array(directory / f"terms.{name}.npy") for name in Terms._fields[:3])
    return Terms(offsets, codes, counts, n_terms)


def _entities(directory: Path, columns: list[dict[str, Any]]) -> Entities:
    ids = Vocabulary.open(directory)
    opened = tuple(_column(directory / f"column{i}", column) for i, column in enumerate(columns))
    return Entities(ids, opened, map_array(directory / "created.npy"))


def _column(stem: Path, column: dict[str, Any]) -> Column:
    if column["values"] is None:
        return Column(column["name"], None, None, (), map_array(stem.with_suffix(".numbers.npy")))
    offsets, codes = (map_array(stem.with_suffix(f".{name}.npy")) for name in ("offsets", "codes"))
    return Column(column["name"], offsets, codes, tuple(column["values"]), None)

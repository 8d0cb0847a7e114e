"""Small made data as a training sees it, for tests of models and recipes."""

import numpy as np

from nextpick.data.dataset import Column, Data, Entities, Interactions, Terms
from nextpick.data.vocabulary import Vocabulary

_START, _HOUR = 1_600_000_000, 3600


def made_data(
    seed: int = 0, users: int = 40, items: int = 30, longest: int = 12, metadata: bool = True
) -> Data:
    """Return interactions of ``users`` users, each 1 to ``longest`` long, with popular items and runs of
    neighbouring items; two categorical columns and a numeric one on items, one column on users."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, users)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    n = int(offsets[-1])
    jump = rng.random(n) < 0.5
    item = np.where(jump, np.minimum(rng.geometric(0.15, n) - 1, items - 1), 0).astype(np.int32)
    for i in np.flatnonzero(~jump).tolist():
        item[i] = (item[i - 1] + 1) % items if i else 0
    when = _START + _HOUR * np.concatenate([np.sort(rng.integers(0, 5000, length)) for length in lengths])
    interactions = interactions_of(offsets, item, when.astype(np.int64))
    latest = int(when.max())
    created = latest - rng.integers(0, 5000, items) * _HOUR
    item_columns = (_categories("GENRE", items, 4, rng), _numbers("PRICE", items, rng)) if metadata else ()
    user_columns = (_categories("COUNTRY", users, 3, rng),) if metadata else ()
    return Data(
        interactions,
        Entities(Vocabulary.build([f"i{k}" for k in range(items)]), item_columns, created.astype(np.int64)),
        Entities(Vocabulary.build([f"u{k}" for k in range(users)]), user_columns, np.zeros(users, np.int64)),
        latest,
        terms=_terms(items, rng) if metadata else None,
    )


def _terms(items: int, rng: np.random.Generator) -> Terms:
    """Return one to six of a dozen terms for each item but the first, which has no text."""
    held = [np.sort(rng.choice(12, rng.integers(1, 7), replace=False)) if i else [] for i in range(items)]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in held]))).astype(np.int64)
    codes = np.concatenate(held).astype(np.int32)
    return Terms(offsets, codes, rng.integers(1, 4, len(codes)).astype(np.float32), 12)


def interactions_of(
    offsets: np.ndarray, item: np.ndarray, time: np.ndarray | None = None, weight: np.ndarray | None = None
) -> Interactions:
    """Return interactions without types or values; times are 0 where none are given."""
    n = len(item)
    time = np.zeros(n, np.int64) if time is None else time
    types, values = np.full(n, -1, np.int16), np.full(n, np.nan, np.float32)
    return Interactions(offsets, item, time, types, values, (), weight)


def _categories(name: str, rows: int, values: int, rng: np.random.Generator) -> Column:
    """Return a column of none to two values a row."""
    held = [np.sort(rng.choice(values, rng.integers(0, 3), replace=False)) for _ in range(rows)]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in held]))).astype(np.int64)
    names = tuple(f"{name.lower()}{value}" for value in range(values))
    return Column(name, offsets, np.concatenate(held).astype(np.int32), names, None)


def _numbers(name: str, rows: int, rng: np.random.Generator) -> Column:
    """Return a column of numbers, one in ten missing."""
    numbers = rng.normal(10, 3, rows).astype(np.float32)
    numbers[rng.random(rows) < 0.1] = np.nan
    return Column(name, None, None, (), numbers)

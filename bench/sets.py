"""The data sets of the benchmarks: users' items in order, from NEXTPICK_DATA."""

import os
from pathlib import Path

import numpy as np

from nextpick.data.dataset import Data, Entities, Interactions
from nextpick.data.vocabulary import Vocabulary

DATA = Path(os.environ.get("NEXTPICK_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
DATASETS = ("ml-1m", "amazon-beauty", "ml-100k")


def sequences(name: str) -> list[np.ndarray]:
    """Return each user's items as rows of the catalogue, oldest first, equal times in the order of the file.

    ``sequences.txt`` has one user a line: a name, then items; ML-100K is read as it is published.
    """
    if (DATA / name / "u.data").exists():
        table = np.loadtxt(DATA / name / "u.data", dtype=np.int64)
        table = table[np.lexsort((np.arange(len(table)), table[:, 3], table[:, 0]))]
        raw = np.split(table[:, 1], np.flatnonzero(np.diff(table[:, 0])) + 1)
    else:
        with (DATA / name / "sequences.txt").open() as file:
            raw = [np.array(line.split()[1:], np.int64) for line in file]
    ids = np.unique(np.concatenate(raw))
    return [np.searchsorted(ids, items).astype(np.int32) for items in raw]


def as_data(histories: list[np.ndarray], n_items: int) -> Data:
    """Return histories as a training sees them, a minute between two items."""
    offsets = np.concatenate(([0], np.cumsum([len(h) for h in histories]))).astype(np.int64)
    item = np.concatenate(histories)
    when = 1_500_000_000 + 60 * np.concatenate([np.arange(len(h)) for h in histories])
    n = len(item)
    interactions = Interactions(
        offsets, item, when, np.full(n, -1, np.int16), np.full(n, np.nan, np.float32), ()
    )
    items, users = (Vocabulary.build([str(i) for i in range(k)]) for k in (n_items, len(histories)))
    return Data(
        interactions,
        Entities(items, (), np.zeros(n_items, np.int64)),
        Entities(users, (), np.zeros(len(histories), np.int64)),
        int(when.max()),
    )

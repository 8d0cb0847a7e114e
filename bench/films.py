"""MovieLens 100K as a training sees it: with its clock, genres of items and categories of users."""

from pathlib import Path

import numpy as np

from nextpick.data.dataset import Column, Data, Entities, Interactions
from nextpick.data.vocabulary import Vocabulary


def load(directory: Path) -> Data:
    """Return the data in ``directory`` (u.data, u.item, u.user, u.genre)."""
    table = np.loadtxt(directory / "u.data", dtype=np.int64)  # user, item, rating, time
    table = table[np.lexsort((np.arange(len(table)), table[:, 3], table[:, 0]))]
    n_users, n_items = int(table[:, 0].max()), int(table[:, 1].max())
    item, time = (table[:, 1] - 1).astype(np.int32), table[:, 3]
    offsets = np.searchsorted(table[:, 0], np.arange(1, n_users + 2)).astype(np.int64)
    n = len(table)
    interactions = Interactions(
        offsets, item, time, np.full(n, -1, np.int16), table[:, 2].astype(np.float32), ()
    )
    oldest = np.full(n_items, time.max())
    np.minimum.at(oldest, item, time)
    genres = [line.split("|")[0] for line in (directory / "u.genre").read_text().splitlines() if line]
    held = [
        [genre for genre, flag in zip(genres, line.split("|")[5:], strict=True) if flag == "1"]
        for line in (directory / "u.item").read_text("latin-1").splitlines()
    ]
    people = [line.split("|") for line in (directory / "u.user").read_text().splitlines()]
    users = (
        column("AGE", [[f"{int(person[1]) // 10}0s"] for person in people]),
        column("GENDER", [[person[2]] for person in people]),
        column("OCCUPATION", [[person[3]] for person in people]),
    )
    item_ids, user_ids = (Vocabulary.build([str(i + 1) for i in range(k)]) for k in (n_items, n_users))
    return Data(
        interactions,
        Entities(item_ids, (column("GENRE", held),), oldest),
        Entities(user_ids, users, np.zeros(n_users, np.int64)),
        int(time.max()),
    )


def column(name: str, cells: list[list[str]]) -> Column:
    """Return categories as a column."""
    values = sorted({value for cell in cells for value in cell})
    code = {value: i for i, value in enumerate(values)}
    offsets = np.concatenate(([0], np.cumsum([len(cell) for cell in cells]))).astype(np.int64)
    codes = np.array([code[value] for cell in cells for value in cell], np.int32)
    return Column(name, offsets, codes, tuple(values), None)

"""Batch results as a table that people read: one row a user, the items by title and first category.

Kiss the Girls (1997) (Crime) | Scream (1996) (Comedy) | ...
"""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_IDS, _TITLES = ("ITEM_ID", "movieId", "itemId", "id"), ("TITLE", "title", "NAME", "name")
_CATEGORIES = ("GENRE", "GENRES", "genres", "genre", "CATEGORY_L1", "category")
_KEYS = ("userId", "itemId")


class Unreadable(Exception):
    """A file is not what it should be; the text names the file, the line and what is wrong."""


def transform(lines: Iterable[str], items: Path, most: int | None = None) -> pa.Table:
    """Return the table of a batch inference job's output: what was asked for, and ``Recommendations``, both texts.

    lines: of a ``.out`` object, those with an error are left out;  items: a CSV file with an id, a title and perhaps
    categories for each item;  most: how many items of a line are told. Raises Unreadable.
    """
    labels = dict(_labels(items))
    asked: list[str] = []
    told: list[str] = []
    key = "userId"
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            answer = json.loads(line)
            if answer["error"] is not None:
                continue
            found = answer["output"]["recommendedItems"][:most]
            key = next(name for name in _KEYS if name in answer["input"])
            asked.append(answer["input"][key])
        except (ValueError, KeyError, TypeError, StopIteration):
            raise Unreadable(
                f"line {number} is not one of a batch inference job's output: {line[:80]!r}"
            ) from None
        told.append(" | ".join(labels.get(item) or item for item in found))
    return pa.table({key: pa.array(asked, pa.string()), "Recommendations": pa.array(told, pa.string())})


def write(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, there under its name once it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(table, partial, compression="snappy", row_group_size=max(table.num_rows, 1))
    partial.replace(path)


def _labels(path: Path) -> Iterator[tuple[str, str]]:
    """Give the id of each item and how it is told."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        id, title, category = (
            next((name for name in names if name in (reader.fieldnames or ())), None)
            for names in (_IDS, _TITLES, _CATEGORIES)
        )
        if id is None or title is None:
            raise Unreadable(
                f"{path} needs a column of ids ({', '.join(_IDS)}) and one of titles ({', '.join(_TITLES)})."
            )
        for row in reader:
            first = (row[category] or "").split("|")[0] if category else ""
            yield row[id], f"{row[title]} ({first})" if first else row[title]

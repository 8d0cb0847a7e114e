"""The three CSV files and schemas that a shop brings to Personalize."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

DATASET_TYPES = ("Interactions", "Items", "Users")


class ShopFiles(NamedTuple):
    """One shop's data as it is imported.

    ``csv`` and ``schemas`` (Avro JSON) are texts by dataset type: "Interactions", "Items", "Users". ``titles``
    and ``genres`` are by item id; ``genres`` has one to several names for each item.
    """

    name: str
    csv: dict[str, str]
    schemas: dict[str, str]
    titles: dict[str, str]
    genres: dict[str, tuple[str, ...]]

    def write(self, directory: Path) -> dict[str, Path]:
        """Write interactions.csv, items.csv and users.csv; return their paths by dataset type."""
        directory.mkdir(parents=True, exist_ok=True)
        paths = {kind: directory / f"{kind.lower()}.csv" for kind in DATASET_TYPES}
        for kind, path in paths.items():
            path.write_text(self.csv[kind], encoding="utf-8", newline="")
        return paths


def csv_text(header: str, rows: Iterable[Sequence[object]]) -> str:
    """Return a CSV with a header line, quoted where needed."""
    out = io.StringIO()
    out.write(header + "\n")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def schema(dataset_type: str, *fields: dict[str, object]) -> str:
    """Return an Avro schema of Personalize for these fields."""
    return json.dumps(
        {
            "type": "record",
            "name": dataset_type,
            "namespace": "com.amazonaws.personalize.schema",
            "fields": list(fields),
            "version": "1.0",
        }
    )


def plain(name: str, type: str) -> dict[str, object]:
    """Return a field of an Avro type."""
    return {"name": name, "type": type}


def categorical(name: str) -> dict[str, object]:
    """Return a categorical field; several values are joined by ``|`` in a cell."""
    return {"name": name, "type": "string", "categorical": True}

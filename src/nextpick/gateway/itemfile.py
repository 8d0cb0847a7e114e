"""Items beside the ids of an answer, from a file of the shop's: titles, pictures, what no model learns from.

A CSV or JSON Lines object, read into memory and again when it is older than ``refreshSeconds``. Columns that the Items
dataset has come with the answer itself (``metadataColumns``).
"""

import asyncio
import csv
import io
import logging
from typing import Any

import msgspec

from nextpick.gateway.door import Door

_REFRESH_S = 300.0
_LISTS = ("itemList", "personalizedRanking")

log = logging.getLogger(__name__)


class ItemFile:
    """``location`` (``s3://…``), ``id`` (the column of item ids), ``columns`` (all others by default)."""

    def __init__(self, declared: dict[str, Any], door: Door) -> None:
        """Raises ValueError."""
        self._location, self._id = declared.get("location", ""), declared.get("id", "ITEM_ID")
        self._columns, self._door = declared.get("columns"), door
        self._refresh_s = float(declared.get("refreshSeconds", _REFRESH_S))
        if not str(self._location).startswith("s3://"):
            raise ValueError(f"items.location is {self._location!r}; it must be s3://bucket/key")
        self._records: dict[str, dict[str, str]] = {}
        self._due = 0.0
        self._loading: asyncio.Future | None = None

    def is_due(self) -> bool:
        """Tell whether the file should be read first."""
        return self._door.clock.now() >= self._due

    async def load(self) -> None:
        """Read the file if it is due, once for all that wait; a file that cannot be read leaves what was there."""
        if not self.is_due():
            return
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._read))
        loading = self._loading
        try:
            self._records = await asyncio.shield(loading)
        except Exception as error:
            log.warning("items of %s cannot be read: %s", self._location, error)
        finally:
            if self._loading is loading:
                self._loading, self._due = None, self._door.clock.now() + self._refresh_s

    def _read(self) -> dict[str, dict[str, str]]:
        text = self._door.read_object(self._location).decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            rows: Any = (msgspec.json.decode(line) for line in text.splitlines() if line.strip())
        else:
            rows = csv.DictReader(io.StringIO(text, newline=""))
        kept = self._columns
        return {
            str(row[self._id]): {k: v for k, v in row.items() if (k in kept if kept else k != self._id)}
            for row in rows
            if row.get(self._id) is not None
        }

    def decorate(self, answer: bytes) -> bytes:
        """Return an answer whose items have what the file says of them as ``metadata``."""
        told = msgspec.json.decode(answer)
        for name in _LISTS:
            for item in told.get(name, ()):
                record = self._records.get(item["itemId"])
                if record is not None:
                    item["metadata"] = {**record, **item.get("metadata", {})}
        return msgspec.json.encode(told)

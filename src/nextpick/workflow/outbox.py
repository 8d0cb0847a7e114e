"""The S3 door's end: that an object was created is on the disk before the door answers.

Where nothing is watched, nothing is written.
"""

import json
from pathlib import Path
from typing import Any

from nextpick.clock import Clock
from nextpick.store.buckets import Buckets, Stored
from nextpick.wire.dispatch import Call
from nextpick.workflow import database, watches
from nextpick.workflow.database import Database
from nextpick.workflow.watches import Created, Watch


class Outbox:
    """What one HTTP worker writes down."""

    def __init__(self, home: Path, buckets: Buckets, clock: Clock) -> None:
        self._home, self._buckets, self._clock = home, buckets, clock
        self._opened: Database | None = None
        self._known: tuple[bytes, list[Watch]] = (b"", [])

    def created(self, bucket: str, stored: Stored, event: str, call: Call) -> None:
        """Write down that an object was created ("ObjectCreated:Put"), if anybody wants to know."""
        made = self._database()
        if made is None:
            return
        version = made.version()
        if self._known[0] != version:
            with made.read() as db:
                self._known = (version, watches.find(db))
        if any(w.bucket == bucket and w.is_about(stored.key, event) for w in self._known[1]):
            what = Created.of(bucket, stored)._replace(
                event=event, source_ip=call.source_ip, request_id=call.request_id
            )
            with made.write() as db:
                values = (bucket, stored.key, json.dumps(what))
                db.execute("INSERT INTO outbox (bucket, key, body) VALUES (?, ?, ?)", values)

    def configured(self, bucket: str, configuration: dict[str, Any]) -> None:
        """Watch what a bucket's notification configuration says, in place of what it said before."""
        wanted = configuration.get("LambdaFunctionConfigurations", [])
        if not wanted and self._database() is None:
            return
        self._opened = self._opened or Database(self._home)
        owner, now = f"bucket/{bucket}", self._clock.now()
        found = [_watch(bucket, owner, one, now) for one in wanted]
        watches.put(self._opened, self._buckets, found, owner)

    def _database(self) -> Database | None:
        if self._opened is None and database.exists(self._home):
            self._opened = Database(self._home)
        return self._opened

    def close(self) -> None:
        """Close the database."""
        if self._opened is not None:
            self._opened.close()


def _watch(bucket: str, owner: str, one: dict[str, Any], now: float) -> Watch:
    rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    limits = {rule["Name"].lower(): rule.get("Value", "") for rule in rules}
    return Watch(
        f"{bucket}:{one['Id']}",
        bucket,
        limits.get("prefix", ""),
        limits.get("suffix", ""),
        tuple(one["Events"]),
        {"kind": "function", "name": one["LambdaFunctionArn"]},
        owner,
        now,
    )

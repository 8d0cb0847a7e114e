"""Notices new objects: those the S3 door tells of, and those that lie in a watched place without having been told.

The second way finds what was put into a bucket directory by hand, what jobs wrote, and what a killed worker had put
but not told. A file that was put by hand counts when its size and time have rested. Both ways lead to the same
firing.
"""

import json
import sqlite3
import time
from typing import TYPE_CHECKING

from nextpick.store.buckets import Buckets
from nextpick.workflow import watches
from nextpick.workflow.database import Database
from nextpick.workflow.loops import Loop
from nextpick.workflow.watches import Created, Watch

if TYPE_CHECKING:
    from nextpick.automation import Context

_POLL_S = 0.2
_SCAN_S = 1.0
_SCAN_SHARE = 20.0  # scanning takes at most one part in so many of the time
_REST_S = 2.0


class Watching(Loop):
    """Turns new objects into firings."""

    name = "watching"

    def __init__(self, database: Database, context: "Context") -> None:
        super().__init__()
        self._database, self._clock, self._settings = database, context.clock, context.settings
        self._buckets = Buckets(context.settings.home / "buckets", owner="workflow")
        self._resting: dict[tuple[str, str], tuple[str, float]] = {}
        self._next_scan = 0.0
        self._version = b""

    def tick(self) -> float:
        """Take what was told, and look around when it is time."""
        version = self._database.version()
        if version != self._version:
            self._version = version
            self.take()
        if time.monotonic() >= self._next_scan:
            began = time.monotonic()
            self.scan()
            took = time.monotonic() - began
            self._next_scan = time.monotonic() + max(_SCAN_S, _SCAN_SHARE * took)
        return _POLL_S

    def take(self) -> None:
        """Turn what the S3 door told into firings."""
        with self._database.read() as db:
            if db.execute("SELECT 1 FROM outbox LIMIT 1").fetchone() is None:
                return
        with self._database.write() as db:
            rows = db.execute("SELECT seq, body FROM outbox ORDER BY seq LIMIT 1000").fetchall()
            for row in rows:
                what = Created(*json.loads(row["body"]))
                for watch in watches.find(db, bucket=what.bucket):
                    if watch.is_about(what.key, what.event):
                        self._set_off(db, watch, what)
            if rows:
                db.execute("DELETE FROM outbox WHERE seq <= ?", (rows[-1]["seq"],))

    def scan(self) -> None:
        """Find what lies in watched places and was not seen there before."""
        with self._database.read() as db:
            known = watches.find(db)
        for watch in known:
            if self.ending.is_set():
                return
            with self._database.read() as db:
                query = "SELECT key, identity FROM seen WHERE watch = ?"
                seen = {row["key"]: row["identity"] for row in db.execute(query, (watch.name,))}
            found = watches.objects(self._buckets, watch)
            fresh = [what for what in found if seen.get(what.key) != what.identity]
            fresh = [what for what in fresh if what.is_whole or self._has_rested(watch, what)]
            gone = seen.keys() - {what.key for what in found}
            if fresh or gone:
                with self._database.write() as db:
                    for what in fresh:
                        self._set_off(db, watch, what)
                        self._resting.pop((watch.name, what.key), None)
                    rows = [(watch.name, key) for key in gone]
                    db.executemany("DELETE FROM seen WHERE watch = ? AND key = ?", rows)

    def _has_rested(self, watch: Watch, what: Created) -> bool:
        now = self._clock.now()
        identity, since = self._resting.get((watch.name, what.key), ("", now))
        if identity != what.identity:
            self._resting[watch.name, what.key] = (what.identity, now)
            return False
        return now - since >= _REST_S

    def _set_off(self, db: sqlite3.Connection, watch: Watch, what: Created) -> None:
        settings = self._settings
        if watch.is_about(what.key, what.event):  # a file found by looking is a Put
            watches.set_off(db, watch, what, settings.region, settings.account, self._clock.now())
        db.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (watch.name, what.key, what.identity))

"""What schedules and bucket events set off: on the disk first, then done, at least once.

A firing has an id that says what it is about (this schedule at this minute, this trigger and this content of an
object), so nothing is set off twice; its effect carries a name made of it, so that doing it again after a crash is
noticed.
"""

import importlib
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from nextpick.workflow.database import Database
from nextpick.workflow.loops import Loop
from nextpick.workflow.tasks.functions import Functions

if TYPE_CHECKING:
    from nextpick.automation import Context

# Who does what: a module's function ``perform(doing, firing)``, by the kind of the action.
KINDS: Mapping[str, str] = {
    "function": "nextpick.workflow.actions:call_function",
    "workflow": "nextpick.workflow.actions:start_workflow",
    "batch-inference": "nextpick.workflow.actions:start_batch_inference",
    "batch-segment": "nextpick.workflow.actions:start_batch_segment",
    "tell": "nextpick.workflow.actions:tell",
    "clean-up": "nextpick.costs.idle:perform",
    "apply": "nextpick.workflow.apply.scheduled:perform",
}

_POLL_S = 0.2
_LONGEST_PAUSE_S = 300.0
_GIVEN_UP_S = 86_400.0
_KEPT_S = 30 * 86_400.0
_SLOTS = 8

log = logging.getLogger(__name__)


class Refused(Exception):
    """It cannot be done, now or later; the text says why."""


class Firing(NamedTuple):
    """One thing to be done. ``number`` grows with each firing of its source; it is near the unix time."""

    id: str
    source: str
    action: dict[str, Any]
    payload: dict[str, Any]
    number: int
    at: float


class Doing(NamedTuple):
    """What actions work with."""

    context: "Context"
    database: Database
    functions: Callable[[], Functions]


def add(
    db: sqlite3.Connection, id: str, source: str, action: dict[str, Any], payload: dict[str, Any], now: float
) -> bool:
    """Write a firing; tell whether it is new."""
    found = db.execute("SELECT 1 FROM firing WHERE id = ?", (id,)).fetchone()
    if found:
        return False
    query = "SELECT MAX(json_extract(payload, '$.number')) FROM firing WHERE source = ?"
    last = db.execute(query, (source,)).fetchone()[0] or 0
    body = json.dumps({"number": max(int(now), last + 1), "event": payload})
    db.execute(
        "INSERT INTO firing (id, source, action, payload, at, state, attempts, next_at)"
        " VALUES (?, ?, ?, ?, ?, 'PENDING', 0, ?)",
        (id, source, json.dumps(action), body, now, now),
    )
    return True


class Firings(Loop):
    """Does what was set off."""

    name = "firings"

    def __init__(self, database: Database, context: "Context", functions: Callable[[], Functions]) -> None:
        super().__init__()
        self._doing = Doing(context, database, functions)
        self._database, self._clock = database, context.clock
        self._pool = ThreadPoolExecutor(_SLOTS, thread_name_prefix="nextpick-actions")
        self._busy: set[str] = set()

    def tick(self) -> float:
        """Begin what is due."""
        for firing in self._due():
            self._busy.add(firing.id)
            self._pool.submit(self._finish, firing)
        return _POLL_S

    def run_due(self) -> None:
        """Do what is due, here and now."""
        for firing in self._due():
            self._finish(firing)

    def stop(self) -> None:
        """Begin no more."""
        super().stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _due(self) -> list[Firing]:
        now = self._clock.now()
        with self._database.read() as db:
            rows = db.execute(
                "SELECT id, source, action, payload, at FROM firing WHERE state = 'PENDING' AND next_at <= ?"
                " ORDER BY seq LIMIT 100",
                (now,),
            ).fetchall()
        found = []
        for row in rows:
            if row["id"] not in self._busy:
                body = json.loads(row["payload"])
                action = json.loads(row["action"])
                found.append(
                    Firing(row["id"], row["source"], action, body["event"], body["number"], row["at"])
                )
        return found

    def _finish(self, firing: Firing) -> None:
        try:
            _performer(firing.action["kind"])(self._doing, firing)
        except Refused as error:
            log.error("%s: %s", firing.source, error)
            self._close(firing, "FAILED", str(error))
        except Exception as error:
            log.exception("%s could not be done and is tried again", firing.id)
            self._postpone(firing, f"{type(error).__name__}: {error}")
        else:
            self._close(firing, "DONE", None)
        finally:
            self._busy.discard(firing.id)

    def _close(self, firing: Firing, state: str, error: str | None) -> None:
        now = self._clock.now()
        with self._database.write() as db:
            db.execute(
                "UPDATE firing SET state = ?, error = ?, finished_at = ? WHERE id = ?",
                (state, error, now, firing.id),
            )
            db.execute("DELETE FROM firing WHERE finished_at < ?", (now - _KEPT_S,))

    def _postpone(self, firing: Firing, error: str) -> None:
        now = self._clock.now()
        if now > firing.at + _GIVEN_UP_S:
            self._close(firing, "FAILED", error)
            return
        with self._database.write() as db:
            row = db.execute("SELECT attempts FROM firing WHERE id = ?", (firing.id,)).fetchone()
            pause = min(2.0 ** row["attempts"], _LONGEST_PAUSE_S)
            db.execute(
                "UPDATE firing SET attempts = attempts + 1, next_at = ?, error = ? WHERE id = ?",
                (now + pause, error, firing.id),
            )


def _performer(kind: str) -> Callable[[Doing, Firing], None]:
    module, _, name = KINDS.get(kind, "").partition(":")
    if not module:
        raise Refused(f"There is no action '{kind}'.")
    return getattr(importlib.import_module(module), name)

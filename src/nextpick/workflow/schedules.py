"""Schedules: a name, a cron or rate expression, and what to do then.

What is due becomes a firing in the transaction that moves the schedule on, so a minute fires once. While no server
ran, at most one of the missed times is made up for.
"""

import json
import sqlite3
import uuid
from typing import Any, NamedTuple

from nextpick.clock import Clock
from nextpick.workflow import cron, firing
from nextpick.workflow.database import Database
from nextpick.workflow.loops import Loop
from nextpick.workflow.timing import time_text

_POLL_S = 0.5


class Schedule(NamedTuple):
    """A schedule. ``owner`` is what keeps it: "" for a person, or a configuration."""

    name: str
    expression: str
    action: dict[str, Any]
    owner: str = ""
    enabled: bool = True
    next_at: float | None = None
    last_at: float | None = None


def put(db: sqlite3.Connection, schedule: Schedule, now: float) -> None:
    """Write a schedule, in place of one of its name, whose next time stays where the expression is the same.

    Raises ValueError for an expression that cannot be read, or that is never due.
    """
    found = find(db, schedule.name)
    next_at = cron.parse(schedule.expression, now).next_after(now)
    if next_at is None:
        raise ValueError(f"'{schedule.expression}' is never due.")
    if found is not None and found.expression == schedule.expression and found.next_at is not None:
        next_at = found.next_at
    db.execute(
        "INSERT OR REPLACE INTO schedule VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            schedule.name,
            schedule.expression,
            json.dumps(schedule.action),
            schedule.owner,
            int(found.enabled if found else schedule.enabled),
            next_at,
            found.last_at if found else None,
        ),
    )


def find(db: sqlite3.Connection, name: str) -> Schedule | None:
    """Return a schedule, or None."""
    return next((one for one in all_of(db) if one.name == name), None)


def all_of(db: sqlite3.Connection, owner: str | None = None) -> list[Schedule]:
    """Return all schedules by name, or those of an owner."""
    rows = db.execute("SELECT * FROM schedule ORDER BY name").fetchall()
    found = [
        Schedule(**{**row, "action": json.loads(row["action"]), "enabled": bool(row["enabled"])})
        for row in rows
    ]
    return [one for one in found if owner is None or one.owner == owner]


def remove(db: sqlite3.Connection, name: str) -> bool:
    """Remove a schedule; tell whether there was one."""
    return db.execute("DELETE FROM schedule WHERE name = ?", (name,)).rowcount > 0


def enable(db: sqlite3.Connection, name: str, enabled: bool, now: float) -> bool:
    """Let a schedule be due from now on, or not; tell whether there is one."""
    found = find(db, name)
    if found is None:
        return False
    next_at = cron.parse(found.expression, now).next_after(now)
    db.execute("UPDATE schedule SET enabled = ?, next_at = ? WHERE name = ?", (int(enabled), next_at, name))
    return True


class Schedules(Loop):
    """Sets off what is due."""

    name = "schedules"

    def __init__(
        self, database: Database, clock: Clock, region: str = "us-east-1", account: str = ""
    ) -> None:
        super().__init__()
        self._database, self._clock = database, clock
        self._region, self._account = region, account

    def tick(self) -> float:
        """Write a firing for each schedule that is due."""
        now = self._clock.now()
        with self._database.read() as db:
            due = [one for one in all_of(db) if _is_due(one, now)]
        if due:
            with self._database.write() as db:
                for one in (found for old in due if (found := find(db, old.name)) and _is_due(found, now)):
                    self._fire(db, one, now)
        return _POLL_S

    def _fire(self, db: sqlite3.Connection, one: Schedule, now: float) -> None:
        assert one.next_at is not None
        event = {
            "version": "0",
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{one.name}/{one.next_at}")),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._account,
            "time": time_text(one.next_at).replace(".000Z", "Z"),
            "region": self._region,
            "resources": [f"arn:aws:events:{self._region}:{self._account}:rule/{one.name}"],
            "detail": {},
        }
        firing.add(
            db, f"schedule/{one.name}/{int(one.next_at)}", f"schedule/{one.name}", one.action, event, now
        )
        following = cron.parse(one.expression, one.next_at).next_after(now)
        db.execute("UPDATE schedule SET next_at = ?, last_at = ? WHERE name = ?", (following, now, one.name))


def _is_due(one: Schedule, now: float) -> bool:
    return one.enabled and one.next_at is not None and one.next_at <= now

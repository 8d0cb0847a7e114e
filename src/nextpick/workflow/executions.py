"""State machines and their executions, as they lie on the disk.

The history of an execution is its journal too: an event has a place (which visit of which state, which attempt),
and a place has at most one event of a type. Whoever goes through the definition again after a crash finds what has
happened.
"""

import json
import sqlite3
from typing import Any, NamedTuple

from nextpick.workflow import firing
from nextpick.workflow.database import Database

RUNNING = "RUNNING"
MOST_EVENTS = 25_000


class Machine(NamedTuple):
    """A state machine. ``configuration``: logging and tracing as they were given."""

    arn: str
    account: str
    region: str
    name: str
    type: str
    role: str
    definition: str
    configuration: dict[str, Any]
    created_at: float
    updated_at: float
    revision: str


class Execution(NamedTuple):
    """An execution, with the definition and the role it was started with."""

    seq: int
    arn: str
    machine: str
    name: str
    status: str
    role: str
    definition: str
    input: str
    output: str | None
    error: str | None
    cause: str | None
    started_at: float
    stopped_at: float | None


class Event(NamedTuple):
    """One event of a history; ``details`` are the members of the wire's details for its type."""

    id: int
    path: str
    type: str
    at: float
    previous: int
    details: dict[str, Any]


class Ended(Exception):
    """The execution is not running any more: it was stopped meanwhile."""


def find_machine(db: sqlite3.Connection, arn: str) -> Machine | None:
    """Return a state machine, or None."""
    row = db.execute("SELECT * FROM machine WHERE arn = ?", (arn,)).fetchone()
    return _machine(row) if row else None


def machines(db: sqlite3.Connection, account: str, region: str) -> list[Machine]:
    """Return the state machines of an account and region by name."""
    query = "SELECT * FROM machine WHERE account = ? AND region = ? ORDER BY name"
    return [_machine(row) for row in db.execute(query, (account, region))]


def _machine(row: sqlite3.Row) -> Machine:
    return Machine(**{**row, "configuration": json.loads(row["configuration"])})


def save_machine(db: sqlite3.Connection, machine: Machine) -> None:
    """Write a state machine, in place of one with the same ARN."""
    values = machine._replace(configuration=json.dumps(machine.configuration))  # type: ignore[arg-type]
    db.execute(f"INSERT OR REPLACE INTO machine VALUES ({', '.join('?' * len(values))})", values)


def delete_machine(db: sqlite3.Connection, arn: str) -> None:
    """Remove a state machine and the executions that have ended."""
    ended = "SELECT arn FROM execution WHERE machine = ? AND status != ?"
    db.execute(f"DELETE FROM event WHERE execution IN ({ended})", (arn, RUNNING))
    db.execute("DELETE FROM execution WHERE machine = ? AND status != ?", (arn, RUNNING))
    db.execute("DELETE FROM machine WHERE arn = ?", (arn,))


def start(db: sqlite3.Connection, machine: Machine, arn: str, name: str, given: str, now: float) -> None:
    """Write an execution that is to run, and its first event."""
    db.execute(
        "INSERT INTO execution (arn, machine, name, status, role, definition, input, started_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (arn, machine.arn, name, RUNNING, machine.role, machine.definition, given, now),
    )
    begun = Event(1, "", "ExecutionStarted", now, 0, {"input": given, "roleArn": machine.role})
    _insert(db, arn, [begun])


def find(db: sqlite3.Connection, arn: str) -> Execution | None:
    """Return an execution, or None."""
    row = db.execute("SELECT * FROM execution WHERE arn = ?", (arn,)).fetchone()
    return Execution(**row) if row else None


def of_machine(
    db: sqlite3.Connection, machine: str, status: str | None, before: int | None, limit: int
) -> list[Execution]:
    """Return executions of a state machine, newest first, those before ``before`` (a ``seq``)."""
    query = "SELECT * FROM execution WHERE machine = ?"
    values: list[Any] = [machine]
    if status is not None:
        query, values = f"{query} AND status = ?", [*values, status]
    if before is not None:
        query, values = f"{query} AND seq < ?", [*values, before]
    rows = db.execute(f"{query} ORDER BY seq DESC LIMIT ?", [*values, limit])
    return [Execution(**row) for row in rows]


def running(db: sqlite3.Connection) -> list[Execution]:
    """Return all executions that have not ended, oldest first."""
    rows = db.execute("SELECT * FROM execution WHERE status = ? ORDER BY seq", (RUNNING,))
    return [Execution(**row) for row in rows]


def history(db: sqlite3.Connection, arn: str) -> list[Event]:
    """Return the events of an execution by id."""
    query = "SELECT id, path, type, at, previous, details FROM event WHERE execution = ? ORDER BY id"
    return [Event(**{**row, "details": json.loads(row["details"])}) for row in db.execute(query, (arn,))]


def append(database: Database, arn: str, events: list[Event]) -> None:
    """Write events of a running execution. Raises Ended."""
    with database.write() as db:
        _require_running(db, arn)
        _insert(db, arn, events)


def finish(
    database: Database,
    arn: str,
    events: list[Event],
    status: str,
    now: float,
    *,
    output: str | None = None,
    error: str | None = None,
    cause: str | None = None,
) -> None:
    """Write the last events of an execution and how it ended, in one transaction. Raises Ended."""
    with database.write() as db:
        _require_running(db, arn)
        _insert(db, arn, events)
        db.execute(
            "UPDATE execution SET status = ?, output = ?, error = ?, cause = ?, stopped_at = ? WHERE arn = ?",
            (status, output, error, cause, now, arn),
        )
        _tell(db, arn, status, error, now)


def abort(db: sqlite3.Connection, arn: str, now: float, error: str | None, cause: str | None) -> None:
    """Stop a running execution; its runner finds out before its next effect."""
    (last,) = db.execute("SELECT MAX(id) FROM event WHERE execution = ?", (arn,)).fetchone()
    details = {key: text for key, text in (("error", error), ("cause", cause)) if text is not None}
    _insert(db, arn, [Event(last + 1, "", "ExecutionAborted", now, last, details)])
    db.execute(
        "UPDATE execution SET status = 'ABORTED', error = ?, cause = ?, stopped_at = ? WHERE arn = ?",
        (error, cause, now, arn),
    )
    _tell(db, arn, "ABORTED", error, now)


def _tell(db: sqlite3.Connection, arn: str, status: str, reason: str | None, now: float) -> None:
    """Let notifications know how an execution ended."""
    said = {"kind": "Execution", "arn": arn, "status": status, "reason": reason, "at": now}
    firing.add(db, f"ended/{arn}", "ended", {"kind": "tell"}, said, now)


def _require_running(db: sqlite3.Connection, arn: str) -> None:
    found = db.execute("SELECT status FROM execution WHERE arn = ?", (arn,)).fetchone()
    if found is None or found["status"] != RUNNING:
        raise Ended(arn)


def _insert(db: sqlite3.Connection, arn: str, events: list[Event]) -> None:
    rows = [(arn, e.id, e.path, e.type, e.at, e.previous, json.dumps(e.details)) for e in events]
    db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

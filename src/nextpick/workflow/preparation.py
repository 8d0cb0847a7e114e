"""Runs of named preparation jobs, spoken to as to Glue: ``startJobRun``, ``getJobRun``.

A name is that of a job that was declared (a ready-made job or a file of SQL, where it reads, where it writes, its
options), or of a ready-made job itself, which then takes ``--source`` and ``--target`` as arguments. A run is a row
with its state; one that was running when the server ended is started again, which does no harm: files are put in
place whole.
Source: AWS Glue API reference, "StartJobRun", "GetJobRun".
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.clock import Clock
from nextpick.prepare import jobs as ready
from nextpick.workflow.database import Database

Arguments = Mapping[str, str]
Job = Callable[["Run"], None]
Finder = Callable[[str], Job | None]

_SLOTS = 2

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """What a job is given: the home, a client factory as ``automation.Context`` has it, and the run's arguments."""

    home: Path
    client: Callable[..., Any]
    arguments: Arguments


class NoSuchJob(Exception):
    """No preparation job has this name."""


class Preparations:
    """The runs of a home, in threads of this process. ``finders`` are asked first for what a name means."""

    def __init__(
        self, database: Database, client: Callable[..., Any], clock: Clock, finders: tuple[Finder, ...] = ()
    ) -> None:
        self._database, self._client, self._clock = database, client, clock
        self._finders = finders
        self._pool = ThreadPoolExecutor(_SLOTS, thread_name_prefix="nextpick-preparation")
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def resume(self) -> None:
        """Take up the runs that had not ended when the last process did."""
        with self._database.read() as db:
            rows = db.execute("SELECT id FROM preparation WHERE state IN ('STARTING', 'RUNNING')").fetchall()
        for row in rows:
            self._queue(row["id"])

    def start(self, run_id: str, job: str, arguments: Arguments) -> None:
        """Start a run of a job; a second start of the same run does nothing. Raises NoSuchJob."""
        self._find(job)
        values = (run_id, job, json.dumps(dict(arguments)), self._clock.now())
        with self._database.write() as db:
            db.execute(
                "INSERT OR IGNORE INTO preparation (id, job, arguments, state, attempt, started_at)"
                " VALUES (?, ?, ?, 'STARTING', 0, ?)",
                values,
            )
        self._queue(run_id)

    def find(self, job: str, run_id: str) -> dict[str, Any] | None:
        """Return a run as Glue's JobRun, None when there is none."""
        with self._database.read() as db:
            row = db.execute("SELECT * FROM preparation WHERE id = ? AND job = ?", (run_id, job)).fetchone()
        if row is None:
            return None
        now = row["stopped_at"] or self._clock.now()
        told = {
            "Id": row["id"],
            "JobName": row["job"],
            "JobRunState": row["state"],
            "Attempt": max(row["attempt"] - 1, 0),
            "Arguments": json.loads(row["arguments"]),
            "StartedOn": row["started_at"],
            "CompletedOn": row["stopped_at"],
            "ErrorMessage": row["error"],
            "ExecutionTime": int(now - row["started_at"]),
        }
        return {name: value for name, value in told.items() if value is not None}

    def stop(self) -> None:
        """Start no more; what runs is taken up at the next start."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _find(self, name: str) -> Job:
        for finder in self._finders:
            if (job := finder(name)) is not None:
                return job
        with self._database.read() as db:
            declared = find_declared(db, name)
        if declared is None and name in ready.names():
            declared = Declared(name, name, "", "", {})
        if declared is None:
            raise NoSuchJob(f"There is no preparation job named '{name}'.")
        return declared.run

    def _queue(self, run_id: str) -> None:
        with self._lock:
            if run_id in self._taken:
                return
            self._taken.add(run_id)
        self._pool.submit(self._run, run_id)

    def _run(self, run_id: str) -> None:
        with self._database.write() as db:
            changed = db.execute(
                "UPDATE preparation SET state = 'RUNNING', attempt = attempt + 1"
                " WHERE id = ? AND state IN ('STARTING', 'RUNNING')",
                (run_id,),
            )
            if not changed.rowcount:
                return
            row = db.execute("SELECT * FROM preparation WHERE id = ?", (run_id,)).fetchone()
        state, error = "SUCCEEDED", None
        try:
            self._find(row["job"])(Run(self._database.home, self._client, json.loads(row["arguments"])))
        except Exception as reason:
            log.exception("run %s of the preparation job %s failed", run_id, row["job"])
            state, error = "FAILED", str(reason) or type(reason).__name__
        with self._database.write() as db:
            db.execute(
                "UPDATE preparation SET state = ?, error = ?, stopped_at = ? WHERE id = ?",
                (state, error, self._clock.now(), run_id),
            )


class Declared(NamedTuple):
    """A job under a name: a ready-made ``job`` or a file of SQL, the directories it reads and writes (paths, or
    ``s3://`` locations in the home's buckets), and its options."""

    name: str
    job: str
    source: str
    target: str
    options: dict[str, str]

    def run(self, run: Run) -> None:
        """Run it; arguments ``--NAME`` go before what was declared. Raises ready.Refused."""
        given = {name.removeprefix("--"): value for name, value in run.arguments.items()}
        source, target = (given.pop(name, getattr(self, name)) for name in ("source", "target"))
        if not (source and target):
            raise ready.Refused(f"The job {self.name} needs --source and --target.")
        options = {**self.options, **given}
        ready.run(ready.find(self.job), _directory(run.home, source), _directory(run.home, target), options)


def _directory(home: Path, place: str) -> Path:
    if place.startswith("s3://"):
        return home / "buckets" / place.removeprefix("s3://")
    return Path(place)


def declare(db: sqlite3.Connection, declared: Declared) -> None:
    """Write a job, in place of one of its name."""
    body = json.dumps(declared._asdict())
    db.execute("INSERT OR REPLACE INTO preparation_job VALUES (?, ?)", (declared.name, body))


def find_declared(db: sqlite3.Connection, name: str) -> Declared | None:
    """Return a job that was declared, or None."""
    return next((one for one in all_declared(db) if one.name == name), None)


def all_declared(db: sqlite3.Connection) -> list[Declared]:
    """Return the declared jobs by name."""
    rows = db.execute("SELECT body FROM preparation_job ORDER BY name").fetchall()
    return [Declared(**json.loads(row["body"])) for row in rows]

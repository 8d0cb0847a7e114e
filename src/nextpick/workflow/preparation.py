"""Runs of named preparation jobs, spoken to as to Glue: ``startJobRun``, ``getJobRun``.

What a name means is asked of ``FINDERS``, in order; a finder is ``find(home, name) -> Job | None`` in the module
that is named. A run is a row with its state; one that was running when the server ended is started again, so a job
has to put its results in place whole.
Source: AWS Glue API reference, "StartJobRun", "GetJobRun".
"""

import importlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.clock import Clock
from nextpick.workflow.database import Database

Arguments = Mapping[str, str]
Job = Callable[["Run"], None]
Finder = Callable[[Path, str], Job | None]

FINDERS = ("nextpick.prepare.jobs",)

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
    """The runs of a home, in threads of this process. ``finders`` are asked before those of ``FINDERS``."""

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
        for finder in (*self._finders, *map(_imported, FINDERS)):
            job = finder(self._database.home, name)
            if job is not None:
                return job
        raise NoSuchJob(f"There is no preparation job named '{name}'.")

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


def _imported(module: str) -> Finder:
    """Return the finder of a module; of one that is not installed, one that finds nothing."""
    try:
        return importlib.import_module(module).find
    except ModuleNotFoundError:
        return lambda home, name: None

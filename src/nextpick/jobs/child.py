"""The process of one job: ``python -m nextpick.jobs.child HOME JOB FENCE PARENT_FD``.

It ends with its parent: a thread reads the pipe whose other end only the parent holds, so a parent that was
killed leaves nothing behind.
"""

import importlib
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np

from nextpick.clock import SystemClock
from nextpick.data.failure import DataFailure
from nextpick.data.run import Run, Stopped
from nextpick.errors import ServiceError
from nextpick.jobs import queue
from nextpick.jobs.work import JobFailure, Outcome, Work
from nextpick.parent import end_with_parent
from nextpick.resources import reports
from nextpick.settings import Settings
from nextpick.store.records import Job, Records
from nextpick.telemetry import configure_logging

_MODULES = {
    "import": "import_data",
    "train": "train",
    "deploy": "deploy",
    "refresh": "refresh",
    "filter": "filter",
    "view": "view",
    "batch": "batch",
    "recommender": "recommender",
    "attribute": "attribute",
    "compact": "compact",
    "export": "export_data",
    "delete": "delete_data",
    "evaluate": "evaluate",
    "health": "health",
}
_NICE, _NICE_OF_REPORTS = 10, 19
_REPORT_EVERY_S = 0.25

log = logging.getLogger(__name__)


def import_all() -> None:
    """Import what jobs are made of."""
    for module in _MODULES.values():
        importlib.import_module(f"nextpick.jobs.{module}")
    importlib.import_module("nextpick.recipes.aws_user_personalization")  # what most of them begin with


def main(home: str, job_id: str, fence: str, parent_fd: str) -> None:
    """Do one claimed job and end it in the records."""
    end_with_parent(int(parent_fd))
    os.nice(_NICE)
    settings = Settings.load(home=Path(home))
    configure_logging(settings.log_level)
    records = Records(settings.home / "nextpick.db")
    with records.read() as tx:
        job = tx.get_job(job_id)
        resource = tx.get(job.arn) if job else None
    if job is None or resource is None or job.fence != int(fence):
        return
    if job.kind in reports.KINDS:
        os.nice(_NICE_OF_REPORTS - _NICE)  # whatever somebody waits for comes first
    try:
        perform(records, job, settings)
    except queue.Fenced:
        log.warning("job %s was given to another process; this one ends", job.id)


def perform(records: Records, job: Job, settings: Settings) -> None:
    """Run the job's code and write its end."""
    clock = SystemClock()
    with records.read() as tx:
        resource = tx.get(job.arn)
    assert resource is not None
    work = Work(job, resource, records, settings, clock, _run(records, job, clock, settings.seed))
    try:
        module = importlib.import_module(f"nextpick.jobs.{_MODULES[job.kind]}")
        outcome: Outcome = module.perform(work)
    except Stopped:
        queue.stopped(records, job, clock.now())
    except (JobFailure, DataFailure) as failure:
        queue.fail(records, job, clock.now(), str(failure), getattr(failure, "report", None))
    except ServiceError as error:
        queue.fail(records, job, clock.now(), error.message)
    except OSError as error:
        queue.fail(records, job, clock.now(), f"The machine refused: {error.strerror or error}.")
    except queue.Fenced:
        raise
    except Exception as error:
        log.exception("job %s (%s of %s) failed", job.id, job.kind, job.arn)
        reason = f"Internal error ({type(error).__name__}); the server's log tells more of job {job.id}."
        queue.fail(records, job, clock.now(), reason)
    else:
        queue.finish(records, job, clock.now(), outcome.commit, outcome.report)


def _run(records: Records, job: Job, clock: SystemClock, seed: int) -> Run:
    """Return the job's progress and stop functions, which reach the records a few times a second at most."""
    state = {"due": 0.0, "fraction": 0.0, "stage": "", "stop": False}

    def touch(force: bool = False) -> None:
        if force or time.monotonic() >= state["due"]:
            answer = queue.heartbeat(records, job, clock.now(), state["fraction"], state["stage"])
            state["stop"] = answer == "STOPPING"
            state["due"] = time.monotonic() + _REPORT_EVERY_S

    def progress(fraction: float, stage: str) -> None:
        new_stage = stage != state["stage"]
        state["fraction"], state["stage"] = fraction, stage
        touch(force=new_stage)

    def should_stop() -> bool:
        touch()
        return bool(state["stop"])

    return Run(progress=progress, should_stop=should_stop, rng=np.random.default_rng(seed))


if __name__ == "__main__":
    main(*sys.argv[1:])

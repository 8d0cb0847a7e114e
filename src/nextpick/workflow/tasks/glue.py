"""Preparation jobs as tasks: ``glue:startJobRun``, its ``.sync`` form, and ``aws-sdk:glue:getJobRun``.

Source: Developer Guide, "Start an AWS Glue job with Step Functions".
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from nextpick.workflow.asl.failure import StateFailed
from nextpick.workflow.preparation import NoSuchJob, Preparations
from nextpick.workflow.tasks.integration import Ask
from nextpick.workflow.timing import time_text

_POLL_S = 0.05


def _parameters(ask: Ask, *required: str) -> dict[str, Any]:
    if not isinstance(ask.parameters, dict):
        raise StateFailed("States.Runtime", "The parameters of a Glue job are no object.")
    given = {name[:1].upper() + name[1:]: value for name, value in ask.parameters.items()}
    missing = [name for name in required if not isinstance(given.get(name), str)]
    if missing:
        raise StateFailed("States.Runtime", f"{', '.join(missing)} must be given as text.")
    return given


def start_job_run(preparations: Preparations, ask: Ask) -> Any:
    """Start a run. Its id is made of the task's place, so that a repeated start is the same run."""
    given = _parameters(ask, "JobName")
    run_id = "jr_" + hashlib.sha256(ask.token.encode()).hexdigest()
    try:
        preparations.start(run_id, given["JobName"], given.get("Arguments") or {})
    except NoSuchJob as error:
        raise StateFailed("Glue.EntityNotFoundException", str(error)) from None
    return {"JobRunId": run_id}


def get_job_run(preparations: Preparations, ask: Ask) -> Any:
    """Return a run as ``JobRun``."""
    given = _parameters(ask, "JobName", "RunId")
    run = preparations.find(given["JobName"], given["RunId"])
    if run is None:
        raise StateFailed("Glue.EntityNotFoundException", f"There is no run {given['RunId']}.")
    return {"JobRun": _written(run)}


def run_job(preparations: Preparations, is_ending: Callable[[], bool], ask: Ask) -> Any:
    """Start a run, wait for its end and return it; a failed one is States.TaskFailed."""
    run_id = start_job_run(preparations, ask)["JobRunId"]
    name = _parameters(ask, "JobName")["JobName"]
    while True:
        if is_ending():
            raise InterruptedError("the service ends; the run is waited for again at its next start")
        run = preparations.find(name, run_id)
        if run is None:
            raise StateFailed("Glue.EntityNotFoundException", f"The run {run_id} is gone.")
        if run["JobRunState"] == "SUCCEEDED":
            return _written(run)
        if run["JobRunState"] == "FAILED":
            raise StateFailed("States.TaskFailed", run.get("ErrorMessage", ""))
        time.sleep(_POLL_S)


def _written(run: dict[str, Any]) -> dict[str, Any]:
    times = {name: time_text(run[name]) for name in ("StartedOn", "CompletedOn") if name in run}
    return {**run, **times}

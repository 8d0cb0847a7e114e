"""Evaluation job: how good what a version was trained with would have been, had it been trained a while ago.

It reads the version's own snapshot and leaves the version as it is; what it finds is the job's report.
"""

import logging
import time
from typing import Any

from nextpick.data.failure import DataFailure
from nextpick.jobs.choice import Choice, prepared
from nextpick.jobs.choose import chosen
from nextpick.jobs.work import JobFailure, Outcome, Work
from nextpick.recipes import catalogue
from nextpick.recipes.backtest import backtest
from nextpick.resources.kinds import RECOMMENDER
from nextpick.store.records import Resource, Transaction

log = logging.getLogger(__name__)


def perform(work: Work) -> Outcome:
    """Evaluate a solution version or recommender. Raises JobFailure when it has nothing that could be."""
    started = time.perf_counter()
    while True:
        directory = _directory(work.resource)
        try:
            found = _evaluate(work, directory)
            break
        except (DataFailure, OSError):
            with work.records.read() as tx:
                fresh = tx.get(work.resource.arn)
            if fresh is None or fresh.deleted_at is not None or _directory(fresh) == directory:
                raise
            work = _with(
                work, fresh
            )  # its users were deleted, or it was trained anew: under another name now
    report = {**found, "resourceArn": work.resource.arn, "seconds": round(time.perf_counter() - started, 3)}
    for warning in found["warnings"]:
        log.warning("%s: %s", work.resource.arn, warning)
    return Outcome(_nothing, report)


def _nothing(tx: Transaction, resource: Resource, now: float) -> None:
    """Leave the resource as it is."""


def _with(work: Work, resource: Resource) -> Work:
    return Work(work.job, resource, work.records, work.settings, work.clock, work.run)


def _directory(resource: Resource) -> str:
    name = resource.internal.get("serving", resource.internal).get("dir")
    if name is None:
        raise JobFailure(f"{resource.arn} is {resource.status} and has no model to evaluate.")
    return name


def _evaluate(work: Work, directory: str) -> dict[str, Any]:
    body, event_type = work.resource.body, work.resource.body.get("eventType")
    if work.resource.kind == RECOMMENDER.arn_kind:
        info = catalogue.find(body["recipeArn"].rpartition("/")[2])
        assert info is not None
        choice, event_type = Choice(info, {}), info.event_type
    else:
        choice = chosen(body)
    data = prepared(work.versions / directory / "snapshot", body.get("solutionConfig", {}), event_type)
    module, params = choice.load()
    return backtest(module, params, choice.info, data, work.run, choice.featurized)

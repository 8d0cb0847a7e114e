"""Automatic training: solutions and recommenders trained on their schedule, without a request.

Source: developer guide, "Configuring automatic training": the first version comes within an hour of the
solution's creation unless one was made by hand; later ones every ``schedulingExpression`` (default 7 days,
counted from the start of the last training), and only if there is new interactions data.
"""

import re
from typing import Any

from nextpick.errors import ServiceError
from nextpick.jobs.folding import stream_of
from nextpick.resources import lifecycle, recommenders, updates, versions
from nextpick.resources.datasets import PUT
from nextpick.resources.kinds import DATASET_IMPORT_JOB, RECOMMENDER, SOLUTION, SOLUTION_VERSION
from nextpick.settings import Settings
from nextpick.store import log as event_log
from nextpick.store.records import Records, Resource, Transaction

_DAY_S = 86400.0
_RATE = re.compile(r"rate\((\d+) days?\)")
_RETRY_S = 3600.0


def tick(records: Records, settings: Settings, now: float) -> None:
    """Start every automatic training that is due."""
    if not settings.auto_training:
        return
    with records.read() as tx:
        due = [s.arn for s in tx.find(SOLUTION.arn_kind) if is_due(tx, s, settings, now)]
        old = [r.arn for r in tx.find(RECOMMENDER.arn_kind) if _is_old(tx, r, settings, now)]
    for arn in old:
        with records.write() as tx:
            recommender = tx.get(arn)
            if recommender is not None and _is_old(tx, recommender, settings, now):
                lifecycle.queue_job(tx, "recommender", recommender, now)
    for arn in due:
        with records.write() as tx:
            solution = tx.get(arn)
            if solution is None or not is_due(tx, solution, settings, now):
                continue
            try:
                versions.create_version(
                    tx, solution, now, training_type="AUTOMATIC", quotas=settings.count_quotas
                )
            except ServiceError:
                # tried again later: the reason may pass, and there is nobody to tell
                solution.internal = {**solution.internal, "auto_training_after": now + _RETRY_S}
                tx.save(solution)


def is_due(tx: Transaction, solution: Resource, settings: Settings, now: float) -> bool:
    """Tell whether a solution is to be trained now."""
    if not solution.body.get("performAutoTraining") or solution.status != lifecycle.ACTIVE:
        return False
    if now < solution.internal.get("auto_training_after", 0.0):
        return False
    made = tx.find(SOLUTION_VERSION.arn_kind, parent=solution.arn)
    since = max(made[-1].created_at if made else 0.0, solution.internal.get("auto_training_since", 0.0))
    wait = interval_s(solution) if made else settings.auto_training_delay_s
    if now < (since or solution.created_at) + wait:
        return False
    if any(v.status in lifecycle.UNSETTLED for v in made):
        return False
    dataset = versions.events_dataset(tx, solution)
    log_dir = settings.home / "log"
    if dataset is None or not (
        dataset.internal["parts"] or event_log.has_events(log_dir, stream_of(dataset), {})
    ):
        return False
    if tx.find(DATASET_IMPORT_JOB.arn_kind, parent=dataset.arn, status=lifecycle.UNSETTLED):
        return False
    if not made or "trained_on" not in made[-1].internal:
        return True
    return _has_new_interactions(dataset, made[-1].internal["trained_on"], settings)


def _is_old(tx: Transaction, recommender: Resource, settings: Settings, now: float) -> bool:
    """Tell whether a recommender is to be trained again: a week after its last training began."""
    if recommender.status != lifecycle.ACTIVE or updates.is_running(recommender):
        return False
    trained_on = recommender.internal["serving"]["trained_on"]
    if now < trained_on["started_at"] + recommenders.RETRAIN_EVERY_S:
        return False
    jobs = tx.find_jobs(arn=recommender.arn)
    if jobs and (jobs[-1].finished_at is None or now < jobs[-1].created_at + _RETRY_S):
        return False
    dataset = versions.interactions_dataset(tx, recommender.parent)
    return dataset is not None and _has_new_interactions(dataset, trained_on, settings)


def interval_s(solution: Resource) -> float:
    """Return the seconds between automatic trainings of a solution."""
    config = solution.body.get("solutionConfig", {}).get("autoTrainingConfig", {})
    match = _RATE.fullmatch(config.get("schedulingExpression", "rate(7 days)"))
    return (int(match[1]) if match else 7) * _DAY_S


def _has_new_interactions(dataset: Resource, trained_on: dict[str, Any], settings: Settings) -> bool:
    known = trained_on["positions"]
    imported = [[p for p in of["parts"] if not p.startswith(PUT)] for of in (trained_on, dataset.internal)]
    folded = dataset.internal.get("folded", {})
    if imported[0] != imported[1] or any(seq > known.get(name, 0) for name, seq in folded.items()):
        return True
    newer = event_log.positions(settings.home / "log")
    return any(seq > known.get(name, 0) for name, seq in newer.items()) and event_log.has_events(
        settings.home / "log", stream_of(dataset), known
    )

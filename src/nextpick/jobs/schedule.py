"""Automatic training: solutions and recommenders trained on their schedule, without a request.

Source: developer guide, "Configuring automatic training": the first version comes within an hour of the
solution's creation unless one was made by hand; later ones every ``schedulingExpression`` (default 7 days,
counted from the start of the last training), and only if there is new interactions data.
"""

import re
from typing import Any

from nextpick.errors import ServiceError
from nextpick.jobs.folding import stream_of
from nextpick.recipes import catalogue
from nextpick.resources import lifecycle, recommenders, reports, updates, versions
from nextpick.resources.datasets import PUT
from nextpick.resources.kinds import (
    CAMPAIGN,
    DATASET_IMPORT_JOB,
    RECOMMENDER,
    SOLUTION,
    SOLUTION_VERSION,
)
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
        stale = [v.arn for s in tx.find(SOLUTION.arn_kind) for v in _stale(tx, s, settings, now)]
        old = [r.arn for r in tx.find(RECOMMENDER.arn_kind) if _is_old(tx, r, settings, now)]
    for arn in old:
        with records.write() as tx:
            recommender = tx.get(arn)
            if recommender is not None and _is_old(tx, recommender, settings, now):
                lifecycle.queue_job(tx, "recommender", recommender, now)
    for arn in stale:
        with records.write() as tx:
            version = tx.get(arn)
            solution = tx.get(version.parent or "") if version else None
            if version and solution and arn in (v.arn for v in _stale(tx, solution, settings, now)):
                lifecycle.queue_job(tx, "refresh", version, now)
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


def _stale(tx: Transaction, solution: Resource, settings: Settings, now: float) -> list[Resource]:
    """Return the versions of a solution that follow their data, serve, and are behind it."""
    info = catalogue.find((solution.body.get("recipeArn") or "").rpartition("/")[2])
    if info is None or not info.refreshes or solution.status != lifecycle.ACTIVE:
        return []
    if info.reads_texts and not solution.body.get("performIncrementalUpdate"):
        return []
    dataset = versions.events_dataset(tx, solution)
    campaigns = tx.find(CAMPAIGN.arn_kind, parent=solution.arn, status=(lifecycle.ACTIVE,))
    served = {campaign.internal["serving"]["version"] for campaign in campaigns}
    found = []
    for version in tx.find(SOLUTION_VERSION.arn_kind, parent=solution.arn, status=(lifecycle.ACTIVE,)):
        trained_on = version.internal["trained_on"]
        if dataset is None or version.arn not in served:
            continue
        if now < trained_on["started_at"] + settings.refresh_after_s or _waits(tx, version, now):
            continue
        if _has_new_interactions(dataset, trained_on, settings):
            found.append(version)
    return found


def _waits(tx: Transaction, resource: Resource, now: float) -> bool:
    """Tell whether a job of a resource has not ended, or has failed not long ago."""
    jobs = reports.without(tx.find_jobs(arn=resource.arn))
    if not jobs:
        return False
    last = jobs[-1]
    return last.finished_at is None or (last.state != "DONE" and now < last.created_at + _RETRY_S)


def _is_old(tx: Transaction, recommender: Resource, settings: Settings, now: float) -> bool:
    """Tell whether a recommender is to be trained again: a week after its last training began, or sooner where its
    use case follows the data."""
    if recommender.status != lifecycle.ACTIVE or updates.is_running(recommender):
        return False
    trained_on = recommender.internal["serving"]["trained_on"]
    info = catalogue.find(recommender.body["recipeArn"].rpartition("/")[2])
    follows = info is not None and info.refreshes
    wait = settings.refresh_after_s if follows else recommenders.RETRAIN_EVERY_S
    if now < trained_on["started_at"] + wait or _waits(tx, recommender, now):
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

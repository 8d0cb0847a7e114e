"""Recommenders: a use case of a domain, trained and served by itself.

``internal``: ``serving`` names what answers: directory of the version, recipe, dataset group, the time its training
began; ``metrics`` are in the body. Source: developer guide, "Creating recommenders", "Stopping and starting a
recommender".
"""

from typing import Any

from nextpick.errors import InvalidInput, ResourceInUse
from nextpick.resources import campaigns, lifecycle, updates, usage
from nextpick.store.records import Resource, Transaction

_UPDATED = ("recommenderConfig",)
RETRAIN_EVERY_S = 7 * 86_400.0


def config_of(given: dict[str, Any], *, explores: bool) -> dict[str, Any]:
    """Return a recommenderConfig with its defaults; raises InvalidInput naming what cannot be."""
    exploration = given.get("itemExplorationConfig", {})
    campaigns.check_exploration(exploration)
    if exploration and not explores:
        raise InvalidInput("itemExplorationConfig is for use cases that try out new items.")
    return {"minRecommendationRequestsPerSecond": 1, **given}


def request_update(tx: Transaction, recommender: Resource, config: dict[str, Any], now: float) -> None:
    """Begin an update: with a training when what is trained on changes, else at once.

    Raises ResourceInUse while another update runs, or unless the recommender is ACTIVE or CREATE FAILED.
    """
    before = recommender.body.get("recommenderConfig", {})
    updates.request(tx, recommender, _UPDATED, {"recommenderConfig": {**before, **config}}, now)
    trains = config.get("trainingDataConfig", {}) != before.get("trainingDataConfig", {})
    if "trainingDataConfig" in config and recommender.internal.get("excluded"):
        recommender.internal = {**recommender.internal, "excluded": {}}  # it speaks of the newer columns too
        tx.save(recommender)
        trains = True
    if recommender.status == lifecycle.CREATE_FAILED or ("trainingDataConfig" in config and trains):
        lifecycle.queue_job(tx, "recommender", recommender, now)
    else:
        updates.finish(tx, recommender, _UPDATED, now)
        _provision(tx, recommender, now)


def stop(tx: Transaction, recommender: Resource, now: float) -> None:
    """Let a recommender no longer answer, nor be trained; raises ResourceInUse unless it is ACTIVE."""
    lifecycle.require_active(recommender, "StopRecommender")
    if updates.is_running(recommender):
        raise ResourceInUse(f"{recommender.arn} has an update that has not ended.")
    lifecycle.move(tx, recommender, lifecycle.INACTIVE, now)
    usage.provision(tx, recommender, 0, now)


def start(tx: Transaction, recommender: Resource, now: float) -> None:
    """Let a stopped recommender answer again; raises ResourceInUse unless it is INACTIVE."""
    if recommender.status != lifecycle.INACTIVE:
        raise ResourceInUse(f"{recommender.arn} is {recommender.status}; StartRecommender needs it INACTIVE.")
    lifecycle.move(tx, recommender, lifecycle.START_PENDING, now)
    lifecycle.queue_job(tx, "recommender", recommender, now)


def begin(tx: Transaction, recommender: Resource, now: float) -> None:
    """Mark a creation, start or update as running."""
    if recommender.status == lifecycle.START_PENDING:
        lifecycle.move(tx, recommender, lifecycle.START_IN_PROGRESS, now)
    else:
        updates.begin(tx, recommender, now)


def started(tx: Transaction, recommender: Resource, now: float) -> None:
    """End a start well."""
    lifecycle.move(tx, recommender, lifecycle.ACTIVE, now)
    _provision(tx, recommender, now)


def trained(
    tx: Transaction,
    recommender: Resource,
    now: float,
    *,
    serving: dict[str, Any],
    metrics: dict[str, float],
    hours: float,
) -> None:
    """End a training of ``hours`` well: the recommender answers with ``serving`` from now on."""
    recommender.internal = {**recommender.internal, "serving": serving}
    recommender.body = {**recommender.body, "modelMetrics": metrics}
    if recommender.status == lifecycle.CREATE_IN_PROGRESS:
        lifecycle.move(tx, recommender, lifecycle.ACTIVE, now)
    elif updates.is_running(recommender):
        updates.finish(tx, recommender, _UPDATED, now)
    else:  # trained on the schedule
        recommender.updated_at = now
        tx.save(recommender)
    usage.use(tx, recommender, usage.TRAINING_HOURS, hours, now)
    _provision(tx, recommender, now)


def fail(tx: Transaction, recommender: Resource, now: float, reason: str) -> None:
    """End a creation, start or update badly; what served before goes on serving."""
    if recommender.status in (lifecycle.START_PENDING, lifecycle.START_IN_PROGRESS):
        lifecycle.move(tx, recommender, lifecycle.INACTIVE, now, reason)
    else:
        updates.fail(tx, recommender, now, reason)


def _provision(tx: Transaction, recommender: Resource, now: float) -> None:
    least = recommender.body.get("recommenderConfig", {}).get("minRecommendationRequestsPerSecond", 1)
    usage.provision(tx, recommender, least, now)


def target_config(recommender: Resource) -> dict[str, Any]:
    """Return the recommenderConfig that a running creation or update is to serve."""
    update = updates.of(recommender)
    running = update if update and updates.is_running(recommender) else recommender.body
    return running.get("recommenderConfig", {})

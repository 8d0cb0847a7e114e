"""What keeps a resource from being created or deleted.

Sources: developer guide, "Endpoints and quotas" and the Delete operations.
"""

from nextpick.errors import LimitExceeded, ResourceInUse
from nextpick.resources import lifecycle, updates
from nextpick.resources.kinds import (
    BATCH_INFERENCE_JOB,
    BATCH_SEGMENT_JOB,
    CAMPAIGN,
    DATASET,
    DATASET_GROUP,
    DATASET_IMPORT_JOB,
    EVENT_TRACKER,
    FILTER,
    RECOMMENDER,
    SCHEMA,
    SOLUTION,
    SOLUTION_VERSION,
    Kind,
)
from nextpick.store.records import Resource, Transaction

_PER_REGION = {SCHEMA: 500, DATASET_GROUP: 5}
_PER_GROUP = {SOLUTION: 10, RECOMMENDER: 5, FILTER: 30}
_ACTIVE_CAMPAIGNS = 5
_RUNNING = {DATASET_IMPORT_JOB: 5, SOLUTION_VERSION: 20, BATCH_INFERENCE_JOB: 5, BATCH_SEGMENT_JOB: 5}
_IN_PROGRESS = (lifecycle.CREATE_PENDING, lifecycle.CREATE_IN_PROGRESS)


def check_quota(tx: Transaction, kind: Kind, *, account: str, region: str, parent: str | None = None) -> None:
    """Raise LimitExceeded when one more resource of this kind would be too many."""
    if kind in _PER_REGION:
        count, most = len(tx.find(kind.arn_kind, account=account, region=region)), _PER_REGION[kind]
        if count >= most:
            raise LimitExceeded(f"More than {most} {kind.words}s are not allowed in one region.")
    if kind in _PER_GROUP:
        count, most = len(tx.find(kind.arn_kind, parent=parent)), _PER_GROUP[kind]
        if count >= most:
            raise LimitExceeded(f"More than {most} {kind.words}s are not allowed in one dataset group.")
    if kind in _RUNNING:
        most = _RUNNING[kind]
        if len(tx.find(kind.arn_kind, account=account, region=region, status=_IN_PROGRESS)) >= most:
            raise LimitExceeded(f"More than {most} resources with PENDING or IN_PROGRESS status.")


def check_campaign_quota(tx: Transaction, solution: Resource) -> None:
    """Raise LimitExceeded when the solution's dataset group has as many campaigns as it may have."""
    solutions = tx.find(SOLUTION.arn_kind, parent=solution.parent)
    campaigns = [c for s in solutions for c in tx.find(CAMPAIGN.arn_kind, parent=s.arn)]
    if len(campaigns) >= _ACTIVE_CAMPAIGNS:
        raise LimitExceeded(
            f"Cannot create a campaign. More than {_ACTIVE_CAMPAIGNS} resources in ACTIVE state. "
            "Please delete some and try again."
        )


def delete(tx: Transaction, resource: Resource, now: float) -> None:
    """Delete a resource and what goes with it; raises ResourceInUse naming what stands in the way."""
    if resource.status in lifecycle.UNSETTLED:
        raise ResourceInUse(f"{resource.arn} is {resource.status}; it can be deleted when that has ended.")
    if updates.is_running(resource):
        raise ResourceInUse(f"{resource.arn} has an update that has not ended.")
    blocker = _blocker(tx, resource)
    if blocker is not None:
        state = f", which is {blocker.status}" if blocker.status in lifecycle.UNSETTLED else ""
        raise ResourceInUse(f"{resource.arn} is in use by {blocker.arn}{state}.")
    for child in _goes_along(tx, resource):
        tx.remove(child)
    lifecycle.bury(tx, resource, now)


def _blocker(tx: Transaction, resource: Resource) -> Resource | None:
    """Return a resource that keeps this one from being deleted; one being deleted itself does not."""
    match resource.kind:
        case DATASET_GROUP.arn_kind:
            held = [
                tx.find(k.arn_kind, parent=resource.arn) for k in (EVENT_TRACKER, SOLUTION, FILTER, DATASET)
            ]
            return next((child for children in held for child in children), None)
        case SCHEMA.arn_kind:
            datasets = tx.find(DATASET.arn_kind, account=resource.account, region=resource.region)
            return next((d for d in datasets if d.body["schemaArn"] == resource.arn), None)
        case DATASET.arn_kind:
            imports = tx.find(DATASET_IMPORT_JOB.arn_kind, parent=resource.arn, status=_IN_PROGRESS)
            trainings = [
                version
                for solution in tx.find(SOLUTION.arn_kind, parent=resource.parent)
                for version in tx.find(SOLUTION_VERSION.arn_kind, parent=solution.arn, status=_IN_PROGRESS)
            ]
            return next(iter(imports + trainings), None)
        case SOLUTION.arn_kind:
            campaigns = tx.find(CAMPAIGN.arn_kind, parent=resource.arn)
            versions = tx.find(SOLUTION_VERSION.arn_kind, parent=resource.arn, status=lifecycle.UNSETTLED)
            return next(iter(campaigns + versions + _batches(tx, resource)), None)
        case FILTER.arn_kind:
            return next((b for b in _batches(tx, resource) if b.body.get("filterArn") == resource.arn), None)
    return None


def _batches(tx: Transaction, of: Resource) -> list[Resource]:
    """Return the batch jobs that run, of the resource's account and region or of a solution's versions."""
    owner = {"account": of.account, "region": of.region, "status": _IN_PROGRESS}
    running = [b for k in (BATCH_INFERENCE_JOB, BATCH_SEGMENT_JOB) for b in tx.find(k.arn_kind, **owner)]
    if of.kind == SOLUTION.arn_kind:
        return [b for b in running if (b.parent or "").startswith(f"{of.arn}/")]
    return running


def _goes_along(tx: Transaction, resource: Resource) -> list[Resource]:
    match resource.kind:
        case DATASET.arn_kind:
            return tx.find(DATASET_IMPORT_JOB.arn_kind, parent=resource.arn)
        case SOLUTION.arn_kind:
            return tx.find(SOLUTION_VERSION.arn_kind, parent=resource.arn)
    return []

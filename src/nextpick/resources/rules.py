"""What keeps a resource from being created or deleted.

Kinds are named as in ARNs. Sources: developer guide, "Endpoints and quotas" and the Delete operations.
"""

from typing import NamedTuple

from nextpick.errors import LimitExceeded, ResourceInUse
from nextpick.names import resource_arn
from nextpick.resources import lifecycle, reports, updates, usage
from nextpick.resources.kinds import (
    CAMPAIGN,
    DATASET,
    DATASET_GROUP,
    SCHEMA,
    SOLUTION,
    SOLUTION_VERSION,
    Kind,
)
from nextpick.store.records import Resource, Transaction


class Quota(NamedTuple):
    """At most ``most`` resources of a kind within one ``region`` of an account, or one dataset ``group``.

    ``running``: only those count whose work has not ended.
    """

    most: int
    within: str
    running: bool = False


QUOTAS = {
    "schema": Quota(500, "region"),
    "dataset-group": Quota(5, "region"),
    "solution": Quota(10, "group"),
    "campaign": Quota(5, "group"),
    "recommender": Quota(5, "group"),
    "filter": Quota(30, "group"),
    "metric-attribution": Quota(1, "group"),
    "dataset-import-job": Quota(5, "region", running=True),
    "solution-version": Quota(20, "region", running=True),
    "batch-inference-job": Quota(5, "region", running=True),
    "batch-segment-job": Quota(5, "region", running=True),
    "data-deletion-job": Quota(5, "group", running=True),
}
_DEPLOYED = ("campaign", "recommender")  # of which the service says that there are too many in ACTIVE state

_BATCH_JOBS = ("batch-inference-job", "batch-segment-job")
_HELD_BY_GROUP = ("event-tracker", "solution", "recommender", "dataset", "filter", "metric-attribution")
_GO_ALONG = {
    "dataset-group": ("data-deletion-job",),
    "dataset": ("dataset-import-job", "dataset-export-job"),
    "solution": ("solution-version",),
}
_IN_PROGRESS = (lifecycle.CREATE_PENDING, lifecycle.CREATE_IN_PROGRESS, "PENDING", "IN_PROGRESS")
_IN_TRANSITION = (
    *lifecycle.UNSETTLED,
    *(f"{verb} {state}" for verb in ("START", "STOP", "UPDATE") for state in ("PENDING", "IN_PROGRESS")),
)


def check_quota(
    tx: Transaction,
    kind: Kind,
    *,
    account: str,
    region: str,
    parent: str | None = None,
    name: str | None = None,
) -> None:
    """Raise LimitExceeded when one more resource of this kind would be too many.

    ``parent`` is the ARN of the dataset group, for kinds that are counted in one. Where ``name`` is taken nothing
    is raised: that it is taken is the better answer.
    """
    quota = QUOTAS.get(kind.arn_kind)
    if quota is None or (
        name is not None and _is_taken(tx, resource_arn(region, account, kind.arn_kind, name))
    ):
        return
    status = _IN_PROGRESS if quota.running else None
    if quota.within == "region":
        count = len(tx.find(kind.arn_kind, account=account, region=region, status=status))
    else:
        count = len(_of_group(tx, kind, parent or "", status))
    if count < quota.most:
        return
    if quota.running:
        raise LimitExceeded(f"More than {quota.most} resources with PENDING or IN_PROGRESS status.")
    if kind.arn_kind in _DEPLOYED:
        raise LimitExceeded(
            f"Cannot create a {kind.words}. More than {quota.most} resources in ACTIVE state. "
            "Please delete some and try again."
        )
    where = "region" if quota.within == "region" else "dataset group"
    raise LimitExceeded(f"More than {quota.most} {kind.words}s are not allowed in one {where}.")


def _is_taken(tx: Transaction, arn: str) -> bool:
    found = tx.get(arn)
    return found is not None and found.deleted_at is None


def _of_group(tx: Transaction, kind: Kind, group: str, status: tuple[str, ...] | None) -> list[Resource]:
    """Return resources of a kind in a dataset group; a campaign is in that of its solution."""
    parents = [s.arn for s in tx.find(SOLUTION.arn_kind, parent=group)] if kind is CAMPAIGN else [group]
    return [found for parent in parents for found in tx.find(kind.arn_kind, parent=parent, status=status)]


def delete(tx: Transaction, resource: Resource, now: float) -> None:
    """Delete a resource and what goes with it; raises ResourceInUse naming what stands in the way."""
    if resource.status in _IN_TRANSITION:
        raise ResourceInUse(f"{resource.arn} is {resource.status}; it can be deleted when that has ended.")
    if updates.is_running(resource):
        raise ResourceInUse(f"{resource.arn} has an update that has not ended.")
    blocker = _blocker(tx, resource)
    if blocker is not None:
        state = f", which is {blocker.status}" if blocker.status in (*_IN_TRANSITION, *_IN_PROGRESS) else ""
        raise ResourceInUse(f"{resource.arn} is in use by {blocker.arn}{state}.")
    for kind in _GO_ALONG.get(resource.kind, ()):
        for child in tx.find(kind, parent=resource.arn):
            reports.stop(tx, child.arn, now)
            tx.remove(child)
    reports.stop(tx, resource.arn, now)
    if resource.kind in _DEPLOYED:
        usage.provision(tx, resource, 0, now)
    lifecycle.bury(tx, resource, now)


def _blocker(tx: Transaction, resource: Resource) -> Resource | None:
    """Return a resource that keeps this one from being deleted; one being deleted itself does not."""
    match resource.kind:
        case DATASET_GROUP.arn_kind:
            found = [tx.find(kind, parent=resource.arn) for kind in _HELD_BY_GROUP]
            found += [tx.find("data-deletion-job", parent=resource.arn, status=_IN_PROGRESS)]
        case SCHEMA.arn_kind:
            datasets = tx.find(DATASET.arn_kind, account=resource.account, region=resource.region)
            found = [[d for d in datasets if d.body["schemaArn"] == resource.arn]]
        case DATASET.arn_kind:
            found = [tx.find(kind, parent=resource.arn, status=_IN_PROGRESS) for kind in _GO_ALONG["dataset"]]
            solutions = tx.find(SOLUTION.arn_kind, parent=resource.parent)
            found += [
                tx.find(SOLUTION_VERSION.arn_kind, parent=s.arn, status=_IN_PROGRESS) for s in solutions
            ]
            found += [tx.find("recommender", parent=resource.parent, status=_IN_PROGRESS)]
        case SOLUTION.arn_kind:
            versions = tx.find(SOLUTION_VERSION.arn_kind, parent=resource.arn)
            found = [
                tx.find(CAMPAIGN.arn_kind, parent=resource.arn),
                [version for version in versions if version.status in lifecycle.UNSETTLED],
                *(tx.find(job, parent=v.arn, status=_IN_PROGRESS) for v in versions for job in _BATCH_JOBS),
            ]
        case "filter":
            jobs = [
                job
                for kind in _BATCH_JOBS
                for job in tx.find(
                    kind, account=resource.account, region=resource.region, status=_IN_PROGRESS
                )
            ]
            found = [[job for job in jobs if job.body.get("filterArn") == resource.arn]]
        case _:
            found = []
    return next((blocker for blockers in found for blocker in blockers), None)

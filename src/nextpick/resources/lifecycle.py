"""A resource's life: created, moved from status to status, deleted. The only writer of a status.

Statuses and their order: developer guide, the Describe operations of each resource; a deleted resource stays
describable until it was described once or ``tombstone_s`` have passed, since clients poll for its end.
"""

import uuid
from typing import Any

from nextpick.errors import ResourceAlreadyExists, ResourceInUse, ResourceNotFound
from nextpick.names import parse_arn, resource_arn
from nextpick.resources.kinds import DATA_DELETION_JOB, DATASET_GROUP, SOLUTION, SOLUTION_VERSION, Kind
from nextpick.store import outbox
from nextpick.store.records import Job, Resource, Transaction

CREATE_PENDING = "CREATE PENDING"
CREATE_IN_PROGRESS = "CREATE IN_PROGRESS"
CREATE_STOPPING = "CREATE STOPPING"
CREATE_STOPPED = "CREATE STOPPED"
CREATE_FAILED = "CREATE FAILED"
ACTIVE = "ACTIVE"
INACTIVE = "INACTIVE"
PENDING, IN_PROGRESS, COMPLETED, FAILED = "PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"  # of data deletion
START_PENDING = "START PENDING"
START_IN_PROGRESS = "START IN_PROGRESS"

UNSETTLED = (
    CREATE_PENDING,
    CREATE_IN_PROGRESS,
    CREATE_STOPPING,
    START_PENDING,
    START_IN_PROGRESS,
    PENDING,
    IN_PROGRESS,
)

_NEXT = {
    CREATE_PENDING: {CREATE_IN_PROGRESS, CREATE_STOPPED, CREATE_FAILED},
    CREATE_IN_PROGRESS: {ACTIVE, CREATE_FAILED, CREATE_STOPPING},
    CREATE_STOPPING: {CREATE_STOPPED, CREATE_FAILED},
    CREATE_STOPPED: set(),
    CREATE_FAILED: set(),
    ACTIVE: {INACTIVE},
    PENDING: {IN_PROGRESS, FAILED},
    IN_PROGRESS: {COMPLETED, FAILED},
    COMPLETED: set(),
    FAILED: set(),
    INACTIVE: {START_PENDING},
    START_PENDING: {START_IN_PROGRESS, INACTIVE},
    START_IN_PROGRESS: {ACTIVE, INACTIVE},
}


def create(
    tx: Transaction,
    kind: Kind,
    *,
    account: str,
    region: str,
    name: str,
    body: dict[str, Any],
    now: float,
    path: str | None = None,
    parent: str | None = None,
    internal: dict[str, Any] | None = None,
    job: str | None = None,
) -> Resource:
    """Insert a resource: CREATE PENDING with its ``job`` queued, or ACTIVE at once when it needs none.

    Raises ResourceAlreadyExists when the ARN is taken.
    """
    arn_kind = SOLUTION.arn_kind if kind is SOLUTION_VERSION else kind.arn_kind
    arn = resource_arn(region, account, arn_kind, path or name)
    taken = tx.get(arn)
    if taken is not None and taken.deleted_at is None:
        raise ResourceAlreadyExists(f"Another {kind.words} with Arn {arn} already exists.")
    waiting = PENDING if kind is DATA_DELETION_JOB else CREATE_PENDING
    status = None if not kind.has_status else waiting if job else ACTIVE
    resource = Resource(
        arn=arn,
        account=account,
        region=region,
        kind=kind.arn_kind,
        name=name,
        parent=parent,
        status=status,
        body=body,
        internal=internal or {},
        created_at=now,
        updated_at=now,
    )
    tx.insert(resource)
    if status:
        tell(tx, resource, status, now)
    if job:
        queue_job(tx, job, resource, now)
    return resource


def tell(tx: Transaction, resource: Resource, status: str, now: float, reason: str | None = None) -> None:
    """Tell whoever listens that a resource, or its update, has a new status."""
    kind = resource.kind.replace("-", " ").title()
    seconds = round(max(now - resource.created_at, 0.0), 3)
    outbox.append(tx, kind, resource.arn, status, now, name=resource.name, seconds=seconds, reason=reason)


def queue_job(tx: Transaction, kind: str, resource: Resource, now: float) -> Job:
    """Queue work for a resource."""
    job = Job(
        id=uuid.uuid4().hex,
        account=resource.account,
        region=resource.region,
        kind=kind,
        arn=resource.arn,
        created_at=now,
    )
    tx.add_job(job)
    return job


def get(tx: Transaction, kind: Kind, arn: str, *, account: str, region: str) -> Resource:
    """Return a live resource of the caller; raises ResourceNotFound."""
    resource = tx.get(arn)
    if (
        resource is None
        or resource.deleted_at is not None
        or resource.kind != kind.arn_kind
        or (resource.account, resource.region) != (account, region)
    ):
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    return resource


def require_active(resource: Resource, purpose: str) -> None:
    """Raise ResourceInUse unless the resource is ACTIVE; ``purpose`` says what needs it."""
    if resource.status != ACTIVE:
        raise ResourceInUse(f"{resource.arn} is {resource.status}; {purpose} needs it ACTIVE.")


def move(tx: Transaction, resource: Resource, status: str, now: float, reason: str | None = None) -> None:
    """Give a resource its next status; raises ValueError for one that cannot follow."""
    if status not in _NEXT[resource.status or ""]:
        raise ValueError(f"{resource.arn} cannot go from {resource.status} to {status}")
    resource.status = status
    resource.updated_at = now
    if reason is not None:
        resource.body = {**resource.body, "failureReason": reason}
    tx.save(resource)
    tell(tx, resource, status, now, reason)


def begin(tx: Transaction, resource: Resource, now: float) -> None:
    """Mark work that waits as running."""
    following = {CREATE_PENDING: CREATE_IN_PROGRESS, PENDING: IN_PROGRESS}.get(resource.status or "")
    if following is not None:
        move(tx, resource, following, now)


def fail(tx: Transaction, resource: Resource, now: float, reason: str) -> None:
    """End work that has not ended badly, with a reason."""
    if resource.status in UNSETTLED:
        failed = FAILED if resource.status in (PENDING, IN_PROGRESS) else CREATE_FAILED
        move(tx, resource, failed, now, reason)


def bury(tx: Transaction, resource: Resource, now: float) -> None:
    """Mark a resource deleted: its name is free, but Describe still finds it for a moment."""
    resource.status = "DELETE PENDING" if resource.kind == DATASET_GROUP.arn_kind else "DELETE IN_PROGRESS"
    resource.deleted_at = now
    resource.updated_at = now
    tx.save(resource)
    tell(tx, resource, resource.status, now)


def is_own_kind(arn: str, kind: Kind) -> bool:
    """Tell whether an ARN has the shape of this kind of resource."""
    parts = parse_arn(arn)
    return parts is not None and parts.service == "personalize" and parts.kind == kind.arn_kind

"""Updates of what serves: campaigns and recommenders.

An update lives beside the resource's own values, in ``latestCampaignUpdate`` or ``latestRecommenderUpdate``, with a
status of its own until its job ends; meanwhile what served before answers. Then its values become the resource's.
Source: developer guide, "Updating a campaign", "Updating a recommender".
"""

from collections.abc import Iterable
from typing import Any

from nextpick.errors import ResourceInUse
from nextpick.resources import lifecycle
from nextpick.resources.kinds import CAMPAIGN, RECOMMENDER
from nextpick.store.records import Resource, Transaction

_MEMBERS = {CAMPAIGN.arn_kind: "latestCampaignUpdate", RECOMMENDER.arn_kind: "latestRecommenderUpdate"}


def of(resource: Resource) -> dict[str, Any] | None:
    """Return the latest update of a resource, None when there was none."""
    return resource.body.get(_MEMBERS.get(resource.kind, ""))


def is_running(resource: Resource) -> bool:
    """Tell whether an update of a resource has not ended."""
    return (of(resource) or {}).get("status") in lifecycle.UNSETTLED


def request(
    tx: Transaction, resource: Resource, members: Iterable[str], changes: dict[str, Any], now: float
) -> None:
    """Begin an update: of ``members`` those in ``changes`` change, the others stay.

    Raises ResourceInUse while another update runs, or unless the resource is ACTIVE or CREATE FAILED.
    """
    if is_running(resource):
        raise ResourceInUse(f"{resource.arn} has an update that is {(of(resource) or {})['status']}.")
    if resource.status not in (lifecycle.ACTIVE, lifecycle.CREATE_FAILED):
        raise ResourceInUse(
            f"{resource.arn} is {resource.status}; an update needs it ACTIVE or CREATE FAILED."
        )
    update = {m: changes.get(m, resource.body.get(m)) for m in members}
    update = {m: v for m, v in update.items() if v is not None}
    update |= {"status": lifecycle.CREATE_PENDING, "creationDateTime": now, "lastUpdatedDateTime": now}
    _set(tx, resource, update)


def begin(tx: Transaction, resource: Resource, now: float) -> None:
    """Mark a creation or an update as running."""
    if resource.status == lifecycle.CREATE_PENDING:
        lifecycle.move(tx, resource, lifecycle.CREATE_IN_PROGRESS, now)
    elif is_running(resource):
        started = {"status": lifecycle.CREATE_IN_PROGRESS, "lastUpdatedDateTime": now}
        _set(tx, resource, {**(of(resource) or {}), **started})


def finish(tx: Transaction, resource: Resource, members: Iterable[str], now: float) -> None:
    """End an update well: its values become the resource's own, which is ACTIVE."""
    update = {**(of(resource) or {}), "status": lifecycle.ACTIVE, "lastUpdatedDateTime": now}
    body = {**resource.body, **{m: update[m] for m in members if m in update}}
    body.pop("failureReason", None)
    resource.body, resource.status, resource.updated_at = body, lifecycle.ACTIVE, now
    _set(tx, resource, update)


def fail(tx: Transaction, resource: Resource, now: float, reason: str) -> None:
    """End a creation or an update badly; what served before goes on serving."""
    if is_running(resource):
        ended = {"status": lifecycle.CREATE_FAILED, "failureReason": reason, "lastUpdatedDateTime": now}
        _set(tx, resource, {**(of(resource) or {}), **ended})
    elif resource.status in lifecycle.UNSETTLED:
        lifecycle.move(tx, resource, lifecycle.CREATE_FAILED, now, reason)


def _set(tx: Transaction, resource: Resource, update: dict[str, Any]) -> None:
    resource.body = {**resource.body, _MEMBERS[resource.kind]: update}
    tx.save(resource)
    now = update["lastUpdatedDateTime"]
    lifecycle.tell(tx, resource, f"UPDATE {update['status']}", now, update.get("failureReason"))

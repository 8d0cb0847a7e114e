"""Campaigns: a pointer to a version; a swap is a new pointer and a revision.

``internal["serving"]`` names what answers now: version ARN, directory of the version, recipe. An update lives
in ``latestCampaignUpdate`` with a status of its own until its deployment ends; meanwhile the old version
answers. Source: developer guide, "Deploying a solution version with a campaign".
"""

from typing import Any

from nextpick.errors import InvalidInput, ResourceInUse
from nextpick.resources import lifecycle, usage
from nextpick.resources.kinds import CAMPAIGN
from nextpick.store.records import Resource, Transaction

_UPDATED = ("solutionVersionArn", "minProvisionedTPS", "campaignConfig")
_EXPLORATION = {"explorationWeight": (0.0, 1.0), "explorationItemAgeCutOff": (1.0, 36500.0)}


def check_config(config: dict[str, Any], version_arn: str) -> None:
    """Raise InvalidInput, naming the member, for a campaignConfig that cannot be."""
    for name, text in config.get("itemExplorationConfig", {}).items():
        if name not in _EXPLORATION:
            raise InvalidInput(
                f"itemExplorationConfig has no parameter {name}; it has {', '.join(_EXPLORATION)}."
            )
        low, high = _EXPLORATION[name]
        try:
            ok = low <= float(text) <= high
        except ValueError:
            ok = False
        if not ok:
            raise InvalidInput(
                f"itemExplorationConfig {name} is {text!r}; it must be a number from {low} to {high}."
            )
    if config.get("syncWithLatestSolutionVersion") and not version_arn.endswith("/$LATEST"):
        raise InvalidInput(
            "syncWithLatestSolutionVersion needs the solutionVersionArn to be the solution's ARN with /$LATEST."
        )


def request_update(
    tx: Transaction, campaign: Resource, changes: dict[str, Any], now: float, *, deploys: bool
) -> None:
    """Begin an update: at once when nothing has to be deployed, else with a job.

    Raises ResourceInUse while another update runs or while the campaign is not ACTIVE or CREATE FAILED.
    """
    running = campaign.body.get("latestCampaignUpdate", {}).get("status")
    if running in lifecycle.UNSETTLED:
        raise ResourceInUse(f"{campaign.arn} has an update that is {running}.")
    if campaign.status not in (lifecycle.ACTIVE, lifecycle.CREATE_FAILED):
        raise ResourceInUse(
            f"{campaign.arn} is {campaign.status}; an update needs it ACTIVE or CREATE FAILED."
        )
    update = {m: changes.get(m, campaign.body.get(m)) for m in _UPDATED}
    update = {m: v for m, v in update.items() if v is not None}
    update |= {"status": lifecycle.CREATE_PENDING, "creationDateTime": now, "lastUpdatedDateTime": now}
    campaign.body = {**campaign.body, "latestCampaignUpdate": update}
    tx.save(campaign)
    if deploys or campaign.status == lifecycle.CREATE_FAILED:
        lifecycle.queue_job(tx, "deploy", campaign, now)
    else:
        finish_update(tx, campaign, now, serving=campaign.internal["serving"])


def begin(tx: Transaction, campaign: Resource, now: float) -> None:
    """Mark a campaign's creation or update as running."""
    update = campaign.body.get("latestCampaignUpdate")
    if update is None:
        if campaign.status == lifecycle.CREATE_PENDING:
            lifecycle.move(tx, campaign, lifecycle.CREATE_IN_PROGRESS, now)
        return
    campaign.body = {
        **campaign.body,
        "latestCampaignUpdate": {**update, "status": lifecycle.CREATE_IN_PROGRESS},
    }
    tx.save(campaign)


def finish_creation(tx: Transaction, campaign: Resource, now: float, *, serving: dict[str, Any]) -> None:
    """Let a new campaign answer with ``serving``."""
    campaign.internal = {**campaign.internal, "serving": serving}
    lifecycle.move(tx, campaign, lifecycle.ACTIVE, now)
    usage.provision(tx, campaign, campaign.body.get("minProvisionedTPS", 1), now)


def finish_update(tx: Transaction, campaign: Resource, now: float, *, serving: dict[str, Any]) -> None:
    """Point the campaign at ``serving``; the update's values become the campaign's own."""
    update = {**campaign.body["latestCampaignUpdate"], "status": lifecycle.ACTIVE, "lastUpdatedDateTime": now}
    body = {
        **campaign.body,
        **{m: update[m] for m in _UPDATED if m in update},
        "latestCampaignUpdate": update,
    }
    body.pop("failureReason", None)
    campaign.body = body
    campaign.internal = {**campaign.internal, "serving": serving}
    campaign.parent = serving["version"].rpartition("/")[0]
    campaign.status = lifecycle.ACTIVE
    campaign.updated_at = now
    tx.save(campaign)
    usage.provision(tx, campaign, campaign.body.get("minProvisionedTPS", 1), now)


def fail(tx: Transaction, campaign: Resource, now: float, reason: str) -> None:
    """End a creation or an update badly; what served before goes on serving."""
    update = campaign.body.get("latestCampaignUpdate")
    if update is None:
        lifecycle.move(tx, campaign, lifecycle.CREATE_FAILED, now, reason)
        return
    ended = {"status": lifecycle.CREATE_FAILED, "failureReason": reason, "lastUpdatedDateTime": now}
    campaign.body = {**campaign.body, "latestCampaignUpdate": {**update, **ended}}
    tx.save(campaign)


def target(campaign: Resource) -> str:
    """Return the ARN of the version a campaign's running creation or update is to serve."""
    update = campaign.body.get("latestCampaignUpdate")
    return (update or campaign.body)["solutionVersionArn"]


def follow(tx: Transaction, solution: Resource, version: Resource, now: float) -> None:
    """Move the campaigns that are in step with the solution to its new version."""
    for campaign in tx.find(CAMPAIGN.arn_kind, parent=solution.arn, status=(lifecycle.ACTIVE,)):
        update = campaign.body.get("latestCampaignUpdate", {})
        in_step = campaign.body.get("campaignConfig", {}).get("syncWithLatestSolutionVersion")
        if in_step and update.get("status") not in lifecycle.UNSETTLED:
            request_update(tx, campaign, {"solutionVersionArn": version.arn}, now, deploys=True)

"""Campaigns: a pointer to a version; a swap is a new pointer and a revision.

``internal["serving"]`` names what answers now: version ARN, directory of the version, recipe.
Source: developer guide, "Deploying a solution version with a campaign".
"""

from typing import Any

from nextpick.errors import InvalidInput
from nextpick.recipes import catalogue
from nextpick.resources import lifecycle, updates, usage
from nextpick.resources.kinds import CAMPAIGN
from nextpick.store.records import Resource, Transaction

_UPDATED = ("solutionVersionArn", "minProvisionedTPS", "campaignConfig")
_EXPLORATION = {"explorationWeight": (0.0, 1.0), "explorationItemAgeCutOff": (1.0, 36500.0)}


def check_config(config: dict[str, Any], version_arn: str) -> None:
    """Raise InvalidInput, naming the member, for a campaignConfig that cannot be."""
    check_exploration(config.get("itemExplorationConfig", {}))
    if config.get("syncWithLatestSolutionVersion") and not version_arn.endswith("/$LATEST"):
        raise InvalidInput(
            "syncWithLatestSolutionVersion needs the solutionVersionArn to be the solution's ARN with /$LATEST."
        )


def check_recipe(config: dict[str, Any], recipe_arn: str) -> None:
    """Raise InvalidInput for a rankingInfluence, or an itemExplorationConfig, that a recipe does not take."""
    info = catalogue.find(recipe_arn.rpartition("/")[2])
    name = info.name if info else recipe_arn
    if config.get("rankingInfluence") and (info is None or not info.reads_texts):
        raise InvalidInput(f"{name} takes no rankingInfluence; aws-semantic-similarity does.")
    if config.get("itemExplorationConfig") and (info is None or not info.explores or info.explores_by_itself):
        sets_itself = info is not None and info.explores_by_itself
        why = "it explores by itself" if sets_itself else "it does not explore"
        raise InvalidInput(f"{name} takes no itemExplorationConfig: {why}.")


def check_exploration(config: dict[str, str]) -> None:
    """Raise InvalidInput, naming the parameter, for an itemExplorationConfig that cannot be."""
    for name, text in config.items():
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


def request_update(
    tx: Transaction, campaign: Resource, changes: dict[str, Any], now: float, *, deploys: bool
) -> None:
    """Begin an update: at once when nothing has to be deployed, else with a job.

    Raises ResourceInUse while another update runs or while the campaign is not ACTIVE or CREATE FAILED.
    """
    updates.request(tx, campaign, _UPDATED, changes, now)
    if deploys or campaign.status == lifecycle.CREATE_FAILED:
        lifecycle.queue_job(tx, "deploy", campaign, now)
    else:
        finish(tx, campaign, now, serving=campaign.internal["serving"])


def finish(tx: Transaction, campaign: Resource, now: float, *, serving: dict[str, Any]) -> None:
    """Let a campaign answer with ``serving``: the end of its creation or of its update."""
    campaign.internal = {**campaign.internal, "serving": serving}
    if updates.of(campaign) is None:
        lifecycle.move(tx, campaign, lifecycle.ACTIVE, now)
    else:
        campaign.parent = serving["version"].rpartition("/")[0]
        updates.finish(tx, campaign, _UPDATED, now)
    usage.provision(tx, campaign, campaign.body.get("minProvisionedTPS", 1), now)


def target(campaign: Resource) -> str:
    """Return the ARN of the version a campaign's running creation or update is to serve."""
    return (updates.of(campaign) or campaign.body)["solutionVersionArn"]


def follow(tx: Transaction, solution: Resource, version: Resource, now: float) -> None:
    """Move the campaigns that are in step with the solution to its new version."""
    for campaign in tx.find(CAMPAIGN.arn_kind, parent=solution.arn, status=(lifecycle.ACTIVE,)):
        in_step = campaign.body.get("campaignConfig", {}).get("syncWithLatestSolutionVersion")
        if in_step and not updates.is_running(campaign):
            request_update(tx, campaign, {"solutionVersionArn": version.arn}, now, deploys=True)

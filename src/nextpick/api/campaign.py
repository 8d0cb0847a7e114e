"""CreateCampaign and UpdateCampaign."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.errors import InvalidInput
from nextpick.recipes import catalogue
from nextpick.resources import campaigns, lifecycle, rules, versions
from nextpick.resources.kinds import CAMPAIGN, SOLUTION
from nextpick.store.records import Resource, Transaction


@operation("CreateCampaign")
def create_campaign(ctx: Context, request: Request) -> Answer:
    campaigns.check_config(request.get("campaignConfig", {}), request["solutionVersionArn"])
    with ctx.records.write() as tx:
        version = versions.resolve(tx, request["solutionVersionArn"], **ctx.owner)
        lifecycle.require_active(version, "a campaign")
        campaigns.check_recipe(request.get("campaignConfig", {}), version.body["recipeArn"])
        _check_type(version)
        solution = lifecycle.get(tx, SOLUTION, version.parent or "", **ctx.owner)
        if ctx.settings.count_quotas:
            rules.check_quota(tx, CAMPAIGN, **ctx.owner, parent=solution.parent, name=request["name"])
        defaults = {"minProvisionedTPS": request.get("minProvisionedTPS", 1)}
        campaign = lifecycle.create(
            tx,
            CAMPAIGN,
            **ctx.owner,
            name=request["name"],
            parent=solution.arn,
            body=body_of(request, solutionVersionArn=version.arn, **defaults),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
            job="deploy",
        )
    return {"campaignArn": campaign.arn}


@operation("UpdateCampaign")
def update_campaign(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        campaign = lifecycle.get(tx, CAMPAIGN, request["campaignArn"], **ctx.owner)
        asked = request.get("solutionVersionArn")
        changes = {name: value for name, value in request.items() if name != "campaignArn"}
        config = request.get("campaignConfig", {})
        in_step = campaign.body.get("campaignConfig", {}).get("syncWithLatestSolutionVersion")
        latest = f"{campaign.parent}/$LATEST"
        campaigns.check_config(config, asked or (latest if in_step else campaign.body["solutionVersionArn"]))
        if asked is not None:
            version = versions.resolve(tx, asked, **ctx.owner)
            lifecycle.require_active(version, "a campaign")
            _check_group(tx, campaign, version)
            _check_type(version)
            changes["solutionVersionArn"] = version.arn
        target = tx.get(changes.get("solutionVersionArn", campaign.body["solutionVersionArn"]))
        if target is not None:
            campaigns.check_recipe(config, target.body["recipeArn"])
        served = campaign.internal.get("serving", {}).get("version")
        deploys = changes.get("solutionVersionArn", served) != served
        campaigns.request_update(tx, campaign, changes, ctx.now(), deploys=deploys)
    return {"campaignArn": campaign.arn}


def _check_type(version: Resource) -> None:
    info = catalogue.find(version.body["recipeArn"].rpartition("/")[2])
    if info is not None and info.type == "USER_SEGMENTATION":
        raise InvalidInput(f"{version.arn} is of {info.name}, which is for batch segment jobs.")


def _check_group(tx: Transaction, campaign: Resource, version: Resource) -> None:
    solution = tx.get(campaign.parent or "")
    if solution is not None and version.body["datasetGroupArn"] != solution.parent:
        raise InvalidInput(f"{version.arn} is not of the campaign's dataset group {solution.parent}.")

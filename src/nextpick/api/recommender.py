"""CreateRecommender, UpdateRecommender, StartRecommender and StopRecommender."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.api.solution_config import find_recipe
from nextpick.errors import InvalidInput
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.resources import lifecycle, recommenders, rules, training_data, versions
from nextpick.resources.kinds import DATASET_GROUP, RECOMMENDER
from nextpick.store.records import Resource


@operation("CreateRecommender")
def create_recommender(ctx: Context, request: Request) -> Answer:
    info = find_recipe(request["recipeArn"])
    config = recommenders.config_of(request.get("recommenderConfig", {}), explores=info.explores)
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        lifecycle.require_active(group, "a recommender")
        _check_domain(info, group)
        training_data.check(tx, group.arn, config.get("trainingDataConfig", {}))
        if versions.interactions_dataset(tx, group.arn) is None:
            raise InvalidInput(f"{group.arn} has no Interactions dataset; create one and import data first.")
        if ctx.settings.count_quotas:
            rules.check_quota(tx, RECOMMENDER, **ctx.owner, parent=group.arn, name=request["name"])
        recommender = lifecycle.create(
            tx,
            RECOMMENDER,
            **ctx.owner,
            name=request["name"],
            parent=group.arn,
            body=body_of(request, recommenderConfig=config),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
            job="recommender",
        )
    return {"recommenderArn": recommender.arn}


@operation("UpdateRecommender")
def update_recommender(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        recommender = lifecycle.get(tx, RECOMMENDER, request["recommenderArn"], **ctx.owner)
        config = request["recommenderConfig"]
        info = find_recipe(recommender.body["recipeArn"])
        recommenders.config_of(config, explores=info.explores)
        group = lifecycle.get(tx, DATASET_GROUP, recommender.parent or "", **ctx.owner)
        training_data.check(tx, group.arn, config.get("trainingDataConfig", {}))
        recommenders.request_update(tx, recommender, config, ctx.now())
    return {"recommenderArn": recommender.arn}


@operation("StartRecommender")
def start_recommender(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        recommender = lifecycle.get(tx, RECOMMENDER, request["recommenderArn"], **ctx.owner)
        recommenders.start(tx, recommender, ctx.now())
    return {"recommenderArn": recommender.arn}


@operation("StopRecommender")
def stop_recommender(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        recommender = lifecycle.get(tx, RECOMMENDER, request["recommenderArn"], **ctx.owner)
        recommenders.stop(tx, recommender, ctx.now())
    return {"recommenderArn": recommender.arn}


def _check_domain(info: RecipeInfo, group: Resource) -> None:
    domain = group.body.get("domain")
    if domain is None:
        raise InvalidInput(f"{group.arn} has no domain; recommenders are for groups of a domain.")
    if info.domain != domain:
        raise InvalidInput(
            f"{info.name} is of domain {info.domain or 'none'}, {group.arn} of domain {domain}."
        )

"""CreateSolution and UpdateSolution."""

import re
from types import ModuleType
from typing import Any

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.data import featurize, kinds
from nextpick.data.avro import parse_schema
from nextpick.errors import InvalidInput, ResourceNotFound
from nextpick.jobs.choose import MOST_TRIALS
from nextpick.names import parse_arn
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.resources import lifecycle, rules
from nextpick.resources.kinds import DATASET, DATASET_GROUP, SOLUTION
from nextpick.store.records import Resource, Transaction

_RATE = re.compile(r"rate\((\d+) days?\)")


@operation("CreateSolution")
def create_solution(ctx: Context, request: Request) -> Answer:
    automl, recipe_arn = request.get("performAutoML", False), request.get("recipeArn")
    if automl and recipe_arn:
        raise InvalidInput("recipeArn and performAutoML true exclude each other: AutoML chooses the recipe.")
    if not automl and not recipe_arn:
        raise InvalidInput("recipeArn is required unless performAutoML is true.")
    config = request.get("solutionConfig", {})
    if recipe_arn:
        info = find_recipe(recipe_arn)
        _check_config(config, info)
        if request.get("performHPO") and not info.tunes:
            raise InvalidInput(f"{info.name} has no hyperparameters to optimize; leave performHPO out.")
    _refuse_incremental(request)
    for arn in config.get("autoMLConfig", {}).get("recipeList", []):
        _refuse_domain(find_recipe(arn))
    _check_schedule(config)
    defaults: dict[str, Any] = {
        "performHPO": request.get("performHPO", False),
        "performAutoML": automl,
        "performAutoTraining": request.get("performAutoTraining", True),
    }
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        lifecycle.require_active(group, "a solution")
        check_excluded(tx, group, config.get("trainingDataConfig", {}).get("excludedDatasetColumns", {}))
        if ctx.settings.count_quotas:
            rules.check_quota(tx, SOLUTION, **ctx.owner, parent=group.arn, name=request["name"])
        solution = lifecycle.create(
            tx,
            SOLUTION,
            **ctx.owner,
            name=request["name"],
            parent=group.arn,
            body=body_of(request, **defaults),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
        )
    return {"solutionArn": solution.arn}


@operation("UpdateSolution")
def update_solution(ctx: Context, request: Request) -> Answer:
    """The switches and the schedule; nothing has to be deployed, so the update is ACTIVE at once."""
    changes = {name: value for name, value in request.items() if name != "solutionArn"}
    if not changes:
        raise InvalidInput("Give at least one value to update.")
    config = changes.get("solutionUpdateConfig", {})
    _refuse_unavailable(config)
    _check_schedule(config)
    _refuse_incremental(changes)
    with ctx.records.write() as tx:
        solution = lifecycle.get(tx, SOLUTION, request["solutionArn"], **ctx.owner)
        lifecycle.require_active(solution, "an update")
        now = ctx.now()
        update = changes | {"status": lifecycle.ACTIVE, "creationDateTime": now, "lastUpdatedDateTime": now}
        body = {**solution.body, "latestSolutionUpdate": update}
        if "autoTrainingConfig" in config:
            body["solutionConfig"] = {
                **body.get("solutionConfig", {}),
                "autoTrainingConfig": config["autoTrainingConfig"],
            }
        for switch in ("performAutoTraining", "performIncrementalUpdate"):
            if switch in changes:
                body[switch] = changes[switch]
        if changes.get("performAutoTraining") and not solution.body["performAutoTraining"]:
            solution.internal = {**solution.internal, "auto_training_since": now}
        solution.body, solution.updated_at = body, now
        tx.save(solution)
    return {"solutionArn": solution.arn}


def find_recipe(arn: str) -> RecipeInfo:
    """Return the recipe of an ARN; raises ResourceNotFound naming those that can be trained."""
    parts = parse_arn(arn)
    info = catalogue.find(parts.path) if parts and parts.kind == "recipe" else None
    if info is None:
        names = ", ".join(recipe.name for recipe in catalogue.RECIPES)
        raise ResourceNotFound(f"{arn} is not a recipe of this nextpick; it has {names}.")
    return info


def _check_config(config: dict[str, Any], info: RecipeInfo) -> None:
    _refuse_unavailable(config)
    _refuse_domain(info)
    module = catalogue.load(info)
    features = config.get("featureTransformationParameters", {})
    catalogue.parse_params(module, config.get("algorithmHyperParameters", {}), features)
    featurize.parse(features, info.percentiles, info.name, catalogue.features_of(module))
    _check_ranges(module, config.get("hpoConfig", {}))
    threshold = config.get("eventValueThreshold")
    if threshold is not None:
        try:
            float(threshold)
        except ValueError:
            raise InvalidInput(f"eventValueThreshold is {threshold!r}; it must be a number.") from None


def _check_ranges(module: ModuleType, config: dict[str, Any]) -> None:
    """See that HPO can draw from every range: known names, ends that the recipe takes, the lower one first."""
    for ranges in config.get("algorithmHyperParameterRanges", {}).values():
        for given in ranges:
            ends = given.get("values") or [given.get("minValue"), given.get("maxValue")]
            for end in ends:
                catalogue.parse_params(module, {given["name"]: str(end)})
            if "values" not in given and given["minValue"] > given["maxValue"]:
                raise InvalidInput(f"The range of {given['name']} begins above its end.")
    jobs = config.get("hpoResourceConfig", {}).get("maxNumberOfTrainingJobs")
    if jobs is not None and not (jobs.isdigit() and 1 <= int(jobs) <= MOST_TRIALS):
        raise InvalidInput(
            f"maxNumberOfTrainingJobs is {jobs!r}; it must be a number from 1 to {MOST_TRIALS}."
        )


def check_excluded(tx: Transaction, group: Resource, excluded: dict[str, list[str]]) -> None:
    """Raise InvalidInput, naming it, for a column to leave out that is not there, or may not be."""
    datasets = {
        dataset.body["datasetType"]: dataset for dataset in tx.find(DATASET.arn_kind, parent=group.arn)
    }
    for dataset_type, columns in excluded.items():
        kind = kinds.find(dataset_type.upper(), group.body.get("domain"))
        if kind is None:
            raise InvalidInput(f"excludedDatasetColumns names {dataset_type}, which is no type of dataset.")
        dataset = datasets.get(dataset_type.upper())
        schema = tx.get(dataset.body["schemaArn"]) if dataset else None
        known = [field.name for field in parse_schema(schema.body["schema"]).fields] if schema else None
        for column in columns:
            if column == "EVENT_TYPE" or column in kind.required:
                raise InvalidInput(f"The column {column} of {dataset_type} cannot be excluded from training.")
            if known is not None and column not in known:
                raise InvalidInput(
                    f"excludedDatasetColumns names {column}, which {dataset_type} does not have."
                )


def _refuse_domain(info: RecipeInfo) -> None:
    if info.domain is not None:
        raise InvalidInput(f"{info.name} is a use case of {info.domain}; create a recommender with it.")


def _refuse_incremental(request: Request) -> None:
    if request.get("performIncrementalUpdate"):
        raise InvalidInput("performIncrementalUpdate is for the recipe aws-semantic-similarity only.")


def _refuse_unavailable(config: dict[str, Any]) -> None:
    for member in ("optimizationObjective", "eventsConfig"):
        if member in config:
            raise InvalidInput(
                f"{member} is not available in this nextpick; leave it out to train without it."
            )


def _check_schedule(config: dict[str, Any]) -> None:
    text = config.get("autoTrainingConfig", {}).get("schedulingExpression")
    if text is None:
        return
    match = _RATE.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= 30:
        raise InvalidInput(f"schedulingExpression is {text!r}; it must be rate(n days) with n from 1 to 30.")

"""CreateBatchInferenceJob and CreateBatchSegmentJob."""

import re
from typing import Any

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.data.avro import parse_schema
from nextpick.data.filters.grammar import parse
from nextpick.errors import InvalidInput
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.resources import campaigns, lifecycle, rules
from nextpick.resources.kinds import (
    BATCH_INFERENCE_JOB,
    BATCH_SEGMENT_JOB,
    DATASET,
    FILTER,
    SOLUTION_VERSION,
    Kind,
)
from nextpick.store.records import Resource, Transaction

_DEFAULT_RESULTS, _MOST_RESULTS, _MOST_USERS = 25, 500, 5_000_000
_LOCATION = re.compile(r"s3://[^/]+(/.*)?")
_SEGMENTATION = "USER_SEGMENTATION"
_BY_ATTRIBUTES = "aws-item-attribute-affinity"
_WITHOUT_BATCH = ("aws-trending-now", "aws-next-best-action")
_THEMES = "THEME_GENERATION"


@operation("CreateBatchInferenceJob")
def create_batch_inference_job(ctx: Context, request: Request) -> Answer:
    mode = request.get("batchInferenceJobMode", "BATCH_INFERENCE")
    config = request.get("batchInferenceJobConfig", {})
    campaigns.check_exploration(config.get("itemExplorationConfig", {}))
    if (mode == _THEMES) != ("themeGenerationConfig" in request):
        raise InvalidInput(
            f"themeGenerationConfig goes with batchInferenceJobMode {_THEMES}, and only with it."
        )
    job = _create(ctx, request, BATCH_INFERENCE_JOB, _MOST_RESULTS, batchInferenceJobMode=mode)
    return {"batchInferenceJobArn": job.arn}


@operation("CreateBatchSegmentJob")
def create_batch_segment_job(ctx: Context, request: Request) -> Answer:
    return {"batchSegmentJobArn": _create(ctx, request, BATCH_SEGMENT_JOB, _MOST_USERS).arn}


def _create(ctx: Context, request: Request, kind: Kind, most: int, **more: Any) -> Resource:
    _check_locations(request)
    results = request.get("numResults", _DEFAULT_RESULTS)
    if results > most:
        raise InvalidInput(f"numResults is {results}; it must be at most {most}.")
    with ctx.records.write() as tx:
        version = lifecycle.get(tx, SOLUTION_VERSION, request["solutionVersionArn"], **ctx.owner)
        lifecycle.require_active(version, f"a {kind.words}")
        info = catalogue.find(version.body["recipeArn"].rpartition("/")[2])
        _check_recipe(version, info, kind)
        campaigns.check_recipe(request.get("batchInferenceJobConfig", {}), version.body["recipeArn"])
        if more.get("batchInferenceJobMode") == _THEMES:
            _check_themes(tx, version, request["themeGenerationConfig"])
        if "filterArn" in request:
            filter = lifecycle.get(tx, FILTER, request["filterArn"], **ctx.owner)
            lifecycle.require_active(filter, f"a {kind.words}")
            _check_filter(filter, version, info)
        if ctx.settings.count_quotas:
            rules.check_quota(tx, kind, **ctx.owner, name=request["jobName"])
        return lifecycle.create(
            tx,
            kind,
            **ctx.owner,
            name=request["jobName"],
            parent=version.arn,
            body=body_of(request, numResults=results, **more),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
            job="batch",
        )


def _check_locations(request: Request) -> None:
    source = request["jobInput"]["s3DataSource"]["path"]
    target = request["jobOutput"]["s3DataDestination"]["path"]
    if not _LOCATION.fullmatch(source):
        raise InvalidInput("Invalid S3 input path")
    if not _LOCATION.fullmatch(target) or target.rstrip("/") == source.rstrip("/"):
        raise InvalidInput("Invalid S3 output path")


def _check_recipe(version: Resource, info: RecipeInfo | None, kind: Kind) -> None:
    name = info.name if info else version.body["recipeArn"]
    segments = info is not None and info.type == _SEGMENTATION
    if info is None or info.name in _WITHOUT_BATCH:
        raise InvalidInput(f"{version.arn} is of {name}, which has no batch jobs.")
    if segments != (kind is BATCH_SEGMENT_JOB):
        other = BATCH_SEGMENT_JOB if segments else BATCH_INFERENCE_JOB
        raise InvalidInput(f"{version.arn} is of {name} ({info.type}), which is for a {other.words}.")


def _check_filter(filter: Resource, version: Resource, info: RecipeInfo | None) -> None:
    if filter.parent != version.body["datasetGroupArn"]:
        raise InvalidInput(f"{filter.arn} is not of {version.body['datasetGroupArn']}.")
    read = parse(filter.body["filterExpression"])
    segments = info is not None and info.type == _SEGMENTATION
    if (read.subject == "USERID") != segments:
        wanted = "UserID" if segments else "ItemID"
        raise InvalidInput(
            f"{filter.arn} is a filter about {read.subject}; the job needs one about {wanted}."
        )
    if info is not None and info.name == _BY_ATTRIBUTES and "INTERACTIONS" in read.datasets:
        raise InvalidInput(f"{filter.arn} is about interactions, which {_BY_ATTRIBUTES} cannot filter by.")


def _check_themes(tx: Transaction, version: Resource, config: dict[str, Any]) -> None:
    if not version.body["recipeArn"].endswith("/aws-similar-items"):
        raise InvalidInput(
            f"Themes are generated for aws-similar-items, not for {version.body['recipeArn']}."
        )
    name = config["fieldsForThemeGeneration"]["itemName"]
    datasets = tx.find(DATASET.arn_kind, parent=version.body["datasetGroupArn"])
    items = [d for d in datasets if d.body["datasetType"] == "ITEMS"]
    schema = tx.get(items[0].body["schemaArn"]) if items else None
    fields = parse_schema(schema.body["schema"]).fields if schema else ()
    if not any(field.name.upper() == name.upper() and field.type == "string" for field in fields):
        raise InvalidInput(
            f"fieldsForThemeGeneration names {name}, which is no text column of the Items dataset."
        )

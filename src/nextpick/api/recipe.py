"""Recipes, algorithms and feature transformations: the catalogue, which is the same for every caller."""

from typing import Any

from nextpick.api.context import Answer, Context, Request, operation
from nextpick.api.solution_config import find_recipe
from nextpick.errors import ResourceNotFound
from nextpick.names import builtin_arn, parse_arn
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.wire import paging

_LISTED_AT_MOST = 100
_SINCE = 1542392161.262  # the creationDateTime that Personalize itself reports for its first recipes


@operation("ListRecipes")
def list_recipes(ctx: Context, request: Request) -> Answer:
    domain = request.get("domain")
    scope, secret = f"ListRecipes {domain or ''}", ctx.services.page_secret
    size = request.get("maxResults", _LISTED_AT_MOST)
    after = paging.position(request.get("nextToken"), scope=scope, secret=secret)
    chosen = sorted(r for r in catalogue.RECIPES if domain is None or r.domain == domain)
    rows = chosen[after : after + size]
    answer: dict[str, Any] = {"recipes": [_summary(info) for info in rows]}
    is_asked_plainly = domain is not None and "maxResults" not in request and after == 0
    if (
        after + size < len(chosen) or is_asked_plainly
    ):  # Personalize's first page of a domain says that more follows
        answer["nextToken"] = paging.token(min(after + size, len(chosen)), scope=scope, secret=secret)
    return answer


@operation("DescribeRecipe")
def describe_recipe(ctx: Context, request: Request) -> Answer:
    info = find_recipe(request["recipeArn"])
    summary = _summary(info)
    summary.pop("domain", None)
    return {
        "recipe": {
            **summary,
            "algorithmArn": builtin_arn("algorithm", info.name),
            "featureTransformationArn": builtin_arn("feature-transformation", info.feature_transformation),
            "description": info.description,
            "recipeType": info.type,
        }
    }


@operation("DescribeAlgorithm")
def describe_algorithm(ctx: Context, request: Request) -> Answer:
    arn = request["algorithmArn"]
    parts = parse_arn(arn)
    info = catalogue.find(parts.path) if parts and parts.kind == "algorithm" else None
    if info is None:
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    return {
        "algorithm": {
            "name": info.name,
            "algorithmArn": arn,
            "defaultHyperParameters": catalogue.default_params(info),
            "defaultHyperParameterRanges": _ranges(info),
            "creationDateTime": _SINCE,
            "lastUpdatedDateTime": _SINCE,
        }
    }


@operation("DescribeFeatureTransformation")
def describe_feature_transformation(ctx: Context, request: Request) -> Answer:
    arn = request["featureTransformationArn"]
    parts = parse_arn(arn)
    names = {info.feature_transformation for info in catalogue.RECIPES}
    if parts is None or parts.kind != "feature-transformation" or parts.path not in names:
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    return {
        "featureTransformation": {
            "name": parts.path,
            "featureTransformationArn": arn,
            "defaultParameters": catalogue.default_features(parts.path),
            "creationDateTime": _SINCE,
            "lastUpdatedDateTime": _SINCE,
            "status": "ACTIVE",
        }
    }


def _summary(info: RecipeInfo) -> dict[str, Any]:
    summary = {
        "name": info.name,
        "recipeArn": builtin_arn("recipe", info.name),
        "status": "ACTIVE",
        "creationDateTime": _SINCE,
        "lastUpdatedDateTime": _SINCE,
    }
    return summary | ({"domain": info.domain} if info.domain else {})


def _ranges(info: RecipeInfo) -> dict[str, Any]:
    """Return the ranges in which HPO looks; what is listed is tunable."""
    ranges = catalogue.tunable_ranges(info)
    return {name: [{**entry, "isTunable": True} for entry in entries] for name, entries in ranges.items()}

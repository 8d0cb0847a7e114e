"""What a solutionConfig may say: recipes, hyperparameters, columns, events, schedules.

Source: developer guide, "Creating and configuring a solution"; API reference, SolutionConfig.
"""

import math
import re
from types import ModuleType
from typing import Any

from nextpick.data import featurize
from nextpick.data.avro import Schema, parse_schema
from nextpick.data.metrics import METRICS
from nextpick.errors import InvalidInput, ResourceNotFound
from nextpick.names import parse_arn
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.resources import training_data
from nextpick.resources.kinds import DATASET
from nextpick.store.records import Resource, Transaction

_MOST_JOBS = {"maxNumberOfTrainingJobs": 40, "maxParallelTrainingJobs": 10}
_COMPARABLE = ("USER_PERSONALIZATION", "PERSONALIZED_RANKING")
_RATE = re.compile(r"rate\((\d+) days?\)")


def find_recipe(arn: str) -> RecipeInfo:
    """Return the recipe of an ARN; raises ResourceNotFound naming those that can be trained."""
    parts = parse_arn(arn)
    info = catalogue.find(parts.path) if parts and parts.kind == "recipe" else None
    if info is None:
        names = ", ".join(recipe.name for recipe in catalogue.RECIPES)
        raise ResourceNotFound(f"{arn} is not a recipe of this nextpick; it has {names}.")
    return info


def check_config(config: dict[str, Any], info: RecipeInfo, event_type: str | None) -> None:
    """Raise InvalidInput for what the recipe does not take, or takes in another form."""
    refuse_domain(info)
    check_events(config, info, event_type)
    if "optimizationObjective" in config and not info.optimizes:
        raise InvalidInput(f"{info.name} takes no optimizationObjective; {_those('optimizes')} do.")
    module = catalogue.load(info)
    features = config.get("featureTransformationParameters", {})
    catalogue.parse_params(module, config.get("algorithmHyperParameters", {}), features)
    featurize.parse(features, info.percentiles, info.name, catalogue.features_of(module))
    _check_ranges(module, config.get("hpoConfig", {}))
    _check_threshold(config)


def check_auto_ml(config: dict[str, Any]) -> None:
    """Raise InvalidInput for what AutoML cannot compare, or compare by; ResourceNotFound for an unknown recipe."""
    check_events(config, None, None)
    _check_threshold(config)
    asked = config.get("autoMLConfig", {})
    for arn in asked.get("recipeList", []):
        info = find_recipe(arn)
        refuse_domain(info)
        if info.type not in _COMPARABLE:
            raise InvalidInput(
                f"AutoML compares recipes that recommend items to users; {info.name} does not."
            )
    metric = asked.get("metricName", METRICS[0])
    if metric not in METRICS:
        raise InvalidInput(
            f"The metricName of autoMLConfig is {metric}; it must be one of {', '.join(METRICS)}."
        )


def _check_threshold(config: dict[str, Any]) -> None:
    text = config.get("eventValueThreshold")
    if text is None:
        return
    try:
        is_number = math.isfinite(float(text))
    except ValueError:
        is_number = False
    if not is_number:
        raise InvalidInput(f"eventValueThreshold is {text!r}; it must be a number.")


def check_events(config: dict[str, Any], info: RecipeInfo | None, event_type: str | None) -> None:
    """Raise InvalidInput for an eventsConfig that the recipe does not take, or that says a thing twice."""
    if "eventsConfig" not in config:
        return
    if info is None or not info.weighs_events:
        raise InvalidInput(
            f"{info.name if info else 'AutoML'} takes no eventsConfig; {_those('weighs_events')} do."
        )
    if event_type is not None or "eventValueThreshold" in config:
        raise InvalidInput(
            "eventsConfig names event types and thresholds itself; leave out eventType and eventValueThreshold."
        )
    listed = config["eventsConfig"].get("eventParametersList", [])
    names = [given.get("eventType", "").casefold() for given in listed]
    if "" in names:
        raise InvalidInput("Each entry of eventParametersList must have an eventType.")
    if len(set(names)) < len(names):
        raise InvalidInput("eventParametersList names an eventType twice; give each once.")
    if listed and not any(given.get("weight", 1.0) for given in listed):
        raise InvalidInput("All weights of eventParametersList are 0; at least one must be greater.")


def _those(flag: str) -> str:
    return " and ".join(recipe.name for recipe in catalogue.RECIPES if getattr(recipe, flag))


def _check_ranges(module: ModuleType, config: dict[str, Any]) -> None:
    """See that HPO can draw from every range: known names, ends that the recipe takes, the lower one first."""
    for kind, ranges in config.get("algorithmHyperParameterRanges", {}).items():
        for given in ranges:
            name = given.get("name")
            ends = given.get("values") or [given[end] for end in ("minValue", "maxValue") if end in given]
            if name is None or (len(ends) != 2 and not given.get("values")):
                wanted = "values" if kind.startswith("categorical") else "minValue and maxValue"
                raise InvalidInput(f"Each of {kind} must have a name and {wanted}; one is {given}.")
            for end in ends:
                catalogue.parse_params(module, {name: str(end)})
            if not given.get("values") and ends[0] > ends[1]:
                raise InvalidInput(f"The range of {name} begins above its end.")
    for name, most in _MOST_JOBS.items():
        jobs = config.get("hpoResourceConfig", {}).get(name)
        if jobs is not None and not (jobs.isdecimal() and 1 <= int(jobs) <= most):
            raise InvalidInput(f"{name} is {jobs!r}; it must be a number from 1 to {most}.")


def check_columns(tx: Transaction, group: Resource, config: dict[str, Any]) -> None:
    """Raise InvalidInput, naming it, for a column that is to be left out or to be optimized and cannot be."""
    chosen = config.get("trainingDataConfig", {})
    training_data.check(tx, group.arn, chosen)
    name = config.get("optimizationObjective", {}).get("itemAttribute")
    if "optimizationObjective" not in config:
        return
    if name is None:
        raise InvalidInput("optimizationObjective must name an itemAttribute.")
    schema = _items_schema(tx, group)
    fields = schema.fields if schema else ()
    field = next((field for field in fields if field.name == name), None)
    if field is None:
        raise InvalidInput(f"The Items dataset of {group.arn} has no column {name}, the itemAttribute.")
    if field.type not in ("int", "long", "float", "double") or field.nullable:
        raise InvalidInput(f"The itemAttribute {name} must be of a numeric type, in a schema without null.")
    if name in training_data.left_out(tx, group.arn, chosen).get("ITEMS", []):
        raise InvalidInput(f"{name} cannot be both the itemAttribute and excluded from training.")


def check_texts(tx: Transaction, group: Resource) -> None:
    """Raise InvalidInput unless the items have a name and a text, or there is no Items dataset yet."""
    schema = _items_schema(tx, group)
    for flag, word in (("item_name", "itemName"), ("textual", "textual")):
        if schema is not None and not any(getattr(field, flag) for field in schema.fields):
            raise InvalidInput(f"aws-semantic-similarity needs a field with {word} true in the Items schema.")


def _items_schema(tx: Transaction, group: Resource) -> Schema | None:
    datasets = tx.find(DATASET.arn_kind, parent=group.arn)
    items = next((d for d in datasets if d.body["datasetType"] == "ITEMS"), None)
    found = tx.get(items.body["schemaArn"]) if items else None
    return parse_schema(found.body["schema"]) if found else None


def refuse_domain(info: RecipeInfo) -> None:
    """Raise InvalidInput for a use case, which is for recommenders."""
    if info.domain is not None:
        raise InvalidInput(f"{info.name} is a use case of {info.domain}; create a recommender with it.")


def check_schedule(config: dict[str, Any]) -> None:
    """Raise InvalidInput for an automatic training at other than a number of days."""
    text = config.get("autoTrainingConfig", {}).get("schedulingExpression")
    if text is None:
        return
    match = _RATE.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= 30:
        raise InvalidInput(f"schedulingExpression is {text!r}; it must be rate(n days) with n from 1 to 30.")

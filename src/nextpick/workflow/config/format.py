"""What a configuration may say: the keys, and what each of them holds. All that is wrong is told at once."""

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from nextpick.errors import ServiceError
from nextpick.wire import shapes
from nextpick.workflow import cron
from nextpick.workflow.config import durations

Errors = Iterator[str]
KINDS = ("interactions", "users", "items")

_ANY = object()  # a value that has checks of its own
_SERVED = {"serviceConfig": _ANY}
_DATASET = {"dataset": _SERVED, "schema": _SERVED}
_BATCH = {**_SERVED, "workflowConfig": {"schedule": _ANY, "maxAge": _ANY}}
_TREE: dict[str, Any] = {
    "tags": _ANY,
    "datasetGroup": {**_SERVED, "workflowConfig": {"schedules": {"import": _ANY}, "maxAge": _ANY}},
    "datasets": {**_SERVED, **dict.fromkeys(KINDS, _DATASET)},
    "eventTracker": _SERVED,
    "filters": [_SERVED],
    "recommenders": [_SERVED],
    "solutions": [
        {
            **_SERVED,
            "workflowConfig": {"schedules": {"full": _ANY, "update": _ANY, "maxAge": _ANY}, "maxAge": _ANY},
            "campaigns": [_SERVED],
            "batchInferenceJobs": [_BATCH],
            "batchSegmentJobs": [_BATCH],
        }
    ],
}
_UPDATABLE = ("aws-user-personalization", "aws-hrnn-coldstart")
_ARN = "arn:aws:personalize:us-east-1:000000000000:{}/name"
_ROLE = "arn:aws:iam::000000000000:role/name"
# What is filled in by apply, so that it need not be written, and what the operation is called.
_FILLED: dict[str, dict[str, Any]] = {
    "CreateDatasetGroup": {},
    "CreateSchema": {},
    "CreateDataset": {
        "datasetGroupArn": _ARN.format("dataset-group"),
        "schemaArn": _ARN.format("schema"),
        "datasetType": "interactions",
    },
    "CreateDatasetImportJob": {
        "jobName": "name",
        "datasetArn": _ARN.format("dataset"),
        "dataSource": {"dataLocation": "s3://bucket/key"},
        "roleArn": _ROLE,
    },
    "CreateEventTracker": {"datasetGroupArn": _ARN.format("dataset-group")},
    "CreateFilter": {"datasetGroupArn": _ARN.format("dataset-group")},
    "CreateRecommender": {"datasetGroupArn": _ARN.format("dataset-group")},
    "CreateSolution": {"datasetGroupArn": _ARN.format("dataset-group")},
    "CreateSolutionVersion": {"solutionArn": _ARN.format("solution")},
    "CreateCampaign": {"solutionVersionArn": _ARN.format("solution")},
    "CreateBatchInferenceJob": {
        "jobName": "name",
        "solutionVersionArn": _ARN.format("solution"),
        "jobInput": {"s3DataSource": {"path": "s3://bucket/key"}},
        "jobOutput": {"s3DataDestination": {"path": "s3://bucket/key/"}},
        "roleArn": _ROLE,
    },
}
_FILLED["CreateBatchSegmentJob"] = _FILLED["CreateBatchInferenceJob"]


def problems(config: Any) -> list[str]:
    """Return everything that is wrong with a configuration."""
    if not isinstance(config, dict) or not config:
        return ["the configuration is empty or no object"]
    shape = [*_keys(config, _TREE, "")]
    return shape or [*_meaning(config)]


def _keys(value: Any, tree: Any, at: str) -> Errors:
    if tree is _ANY:
        return
    if isinstance(tree, list):
        if not isinstance(value, list):
            yield f"{at} must be a list"
            return
        for number, one in enumerate(value):
            yield from _keys(one, tree[0], f"{at}[{number}]")
        return
    if not isinstance(value, dict):
        yield f"{at} must be an object"
        return
    for key, inner in value.items():
        here = f"{at}.{key}" if at else key
        if key not in tree:
            yield f"key {here} is not an allowed key"
        else:
            yield from _keys(inner, tree[key], here)


def _meaning(config: dict[str, Any]) -> Errors:
    yield from _tags(config.get("tags", []), "tags")
    group = config.get("datasetGroup", {})
    if not group.get("serviceConfig"):
        yield "a datasetGroup must be provided at datasetGroup.serviceConfig"
    else:
        yield from _service(group["serviceConfig"], "datasetGroup.serviceConfig", "CreateDatasetGroup")
    workflow = group.get("workflowConfig", {})
    yield from _cron(
        workflow.get("schedules", {}).get("import"), "datasetGroup.workflowConfig.schedules.import"
    )
    yield from _duration(workflow.get("maxAge"), "datasetGroup.workflowConfig.maxAge")
    if "datasets" in config:
        yield from _datasets(config["datasets"])
    if "eventTracker" in config:
        yield from _served(config["eventTracker"], "eventTracker", "CreateEventTracker")
    for name, operation in (("filters", "CreateFilter"), ("recommenders", "CreateRecommender")):
        for number, one in enumerate(config.get(name, [])):
            yield from _served(one, f"{name}[{number}]", operation)
    for number, one in enumerate(config.get("solutions", [])):
        yield from _solution(one, f"solutions[{number}]")
    yield from _names(config)


def _served(holder: dict[str, Any], at: str, operation: str, optional: bool = False) -> Errors:
    if "serviceConfig" not in holder:
        if not optional:
            yield f"{at}.serviceConfig is missing"
        return
    yield from _service(holder["serviceConfig"], f"{at}.serviceConfig", operation)


def _service(given: Any, at: str, operation: str) -> Errors:
    """Yield what botocore, and the patterns and limits of the service's model, say against parameters."""
    if not isinstance(given, dict):
        yield f"{at} must be an object"
        return
    parameters = {**_FILLED[operation], **given}
    told = [line for line in _validator(operation)(parameters).splitlines() if line]
    yield from (f"{at}: {line}" for line in told)
    if not told:
        try:
            shapes.validate("personalize", operation, parameters)
        except ServiceError as error:
            yield f"{at}: {error.message}"
    yield from _tags(given.get("tags", []), f"{at}.tags")


@functools.cache
def _validator(operation: str) -> Callable[[dict[str, Any]], str]:
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.Session().get_service_model("personalize")
    shape = model.operation_model(operation).input_shape
    assert shape is not None, operation
    return lambda parameters: ParamValidator().validate(parameters, shape).generate_report()


def _tags(tags: Any, at: str) -> Errors:
    if not isinstance(tags, list):
        yield f"{at} must be a list"
        return
    for number, tag in enumerate(tags):
        if not isinstance(tag, dict) or set(tag) != {"tagKey", "tagValue"}:
            yield f"{at}[{number}] must have exactly the keys tagKey and tagValue"


def _cron(text: Any, at: str) -> Errors:
    if text is None:
        return
    try:
        if not isinstance(text, str) or not text.strip().startswith("cron("):
            raise ValueError(f"'{text}' is no cron expression")
        cron.parse(text)
    except ValueError as error:
        yield f"{at}: {error}"


def _duration(text: Any, at: str) -> Errors:
    if text is None:
        return
    try:
        if not isinstance(text, str):
            raise ValueError(f"{text!r} is no duration")
        durations.seconds(text)
    except ValueError as error:
        yield f"{at}: {error}"


def _datasets(datasets: dict[str, Any]) -> Errors:
    common = datasets.get("serviceConfig", {})
    yield from _service(common, "datasets.serviceConfig", "CreateDatasetImportJob")
    if "interactions" not in datasets:
        yield "datasets.interactions is missing; it is required when datasets are given"
    for kind in KINDS:
        if kind not in datasets:
            continue
        held, at = datasets[kind], f"datasets.{kind}"
        yield from _served(held.get("dataset", {}), f"{at}.dataset", "CreateDataset")
        schema = held.get("schema", {})
        if "serviceConfig" not in schema or not isinstance(schema["serviceConfig"], dict):
            yield f"{at}.schema.serviceConfig is missing"
            continue
        avro, here = schema["serviceConfig"].get("schema"), f"{at}.schema.serviceConfig"
        written = (
            {**schema["serviceConfig"], "schema": json.dumps(avro)}
            if avro is not None
            else schema["serviceConfig"]
        )
        yield from _service(written, here, "CreateSchema")
        if avro is not None:
            yield from _avro(avro, f"{here}.schema")


def _avro(avro: Any, at: str) -> Errors:
    if not isinstance(avro, dict):
        yield f"{at} must be an Avro schema as an object"
        return
    if avro.get("type") != "record" or not isinstance(avro.get("name"), str):
        yield f"{at} must be an Avro record with a name"
    fields = avro.get("fields")
    if not isinstance(fields, list) or not all(
        isinstance(f, dict) and "name" in f and "type" in f for f in fields
    ):
        yield f"{at}.fields must be a list of fields with name and type"


def _solution(solution: dict[str, Any], at: str) -> Errors:
    service = solution.get("serviceConfig")
    if not isinstance(service, dict):
        yield f"{at}.serviceConfig is missing"
        return
    own = {key: value for key, value in service.items() if key not in ("solutionVersion", "performAutoML")}
    yield from _service(own, f"{at}.serviceConfig", "CreateSolution")
    version = service.get("solutionVersion", {})
    yield from _service(version, f"{at}.serviceConfig.solutionVersion", "CreateSolutionVersion")
    workflow = solution.get("workflowConfig", {})
    schedules = workflow.get("schedules", {})
    for name in ("full", "update"):
        yield from _cron(schedules.get(name), f"{at}.workflowConfig.schedules.{name}")
    recipe = str(service.get("recipeArn", "")).rpartition("/")[2]
    if "update" in schedules and recipe not in _UPDATABLE:
        yield f"{at}.workflowConfig.schedules.update: {recipe} cannot be updated; {' and '.join(_UPDATABLE)} can"
    for holder, where in ((workflow, "workflowConfig"), (schedules, "workflowConfig.schedules")):
        yield from _duration(holder.get("maxAge"), f"{at}.{where}.maxAge")
    for number, one in enumerate(solution.get("campaigns", [])):
        yield from _served(one, f"{at}.campaigns[{number}]", "CreateCampaign")
    for name, operation in (
        ("batchInferenceJobs", "CreateBatchInferenceJob"),
        ("batchSegmentJobs", "CreateBatchSegmentJob"),
    ):
        for number, one in enumerate(solution.get(name, [])):
            here = f"{at}.{name}[{number}]"
            yield from _served(one, here, operation)
            yield from _cron(one.get("workflowConfig", {}).get("schedule"), f"{here}.workflowConfig.schedule")
            yield from _duration(one.get("workflowConfig", {}).get("maxAge"), f"{here}.workflowConfig.maxAge")
            if not re.fullmatch(r".{1,37}", str(service.get("name", ""))):
                yield f"{here}: the name of its job, batch_<solution>_<time>, would be longer than 63 characters"


def _names(config: dict[str, Any]) -> Errors:
    solutions = config.get("solutions", [])
    lists = {
        "solution": solutions,
        "campaign": [campaign for solution in solutions for campaign in solution.get("campaigns", [])],
        "filter": config.get("filters", []),
        "recommender": config.get("recommenders", []),
    }
    for kind, held in lists.items():
        names = Counter(
            one["serviceConfig"].get("name") for one in held if isinstance(one.get("serviceConfig"), dict)
        )
        yield from (f"there are {n} {kind}s named '{name}'" for name, n in names.items() if n > 1 and name)

"""Every error that the service models list for an operation is raised by what causes it."""

import re

import pytest
from botocore.exceptions import ClientError
from estate import NOWHERE, Estate
from model import ERRORS, OPERATIONS, beyond, placed, sample

from worlds import in_state

# What each operation is about: the member that names it. Of a Create, where the new resource goes.
ABOUT = {
    "CreateBatchInferenceJob": "solutionVersionArn",
    "CreateBatchSegmentJob": "solutionVersionArn",
    "CreateCampaign": "solutionVersionArn",
    "CreateDatasetExportJob": "datasetArn",
    "CreateDatasetImportJob": "datasetArn",
    "CreateSolutionVersion": "solutionArn",
    "ListMetricAttributionMetrics": "metricAttributionArn",
    "GetSolutionMetrics": "solutionVersionArn",
    "StopSolutionVersionCreation": "solutionVersionArn",
    "GetActionRecommendations": "campaignArn",
    "GetPersonalizedRanking": "campaignArn",
    "GetRecommendations": "campaignArn",
    "PutActionInteractions": "trackingId",
    "PutActions": "datasetArn",
    "PutItems": "datasetArn",
    "PutUsers": "datasetArn",
    "ListSolutionVersions": "solutionArn",
}
TAGS = ("TagResource", "UntagResource", "ListTagsForResource")
# Errors of the models that nothing here causes, and why.
NEVER = {
    ("CreateDataset", "LimitExceededException"): "a group has one dataset of each type: a second one exists",
    ("CreateDatasetExportJob", "LimitExceededException"): "exports are not counted",
    ("CreateEventTracker", "LimitExceededException"): "a group has one tracker: a second one exists",
    ("UpdateSolution", "LimitExceededException"): "an update makes nothing new",
    ("TagResource", "LimitExceededException"): "TooManyTagsException says it",
    ("PutActionInteractions", "ResourceInUseException"): "a dataset that has a tracking id is ACTIVE",
    **{(name, "ResourceInUseException"): "tags are written at once, whatever the state" for name in TAGS},
}
MEANT = [pair for pair in ERRORS if pair not in NEVER and pair[1] != "LimitExceededException"]


def about(operation: str) -> str:
    """Return the member that names what an operation is about."""
    if operation in TAGS:
        return "resourceArn"
    if operation in ABOUT:
        return ABOUT[operation]
    if operation.startswith("Create"):
        return "datasetGroupArn"
    kind = re.sub("^(Delete|Describe|Start|Stop|Update)", "", operation)
    return kind[0].lower() + kind[1:] + "Arn"


def unknown(member: str) -> str:
    """Return what a member may say and nothing is."""
    kind = re.sub("(?<!^)([A-Z])", r"-\1", member.removesuffix("Arn")).lower()
    if kind in ("recipe", "algorithm", "feature-transformation"):
        return f"arn:aws:personalize:::{kind}/nothing"
    return f"{NOWHERE}{'campaign' if kind == 'resource' else kind}/nothing"


def cause(estate: Estate, operation: str, error: str) -> None:
    """Do what must raise the error."""
    shape = OPERATIONS[operation].input_shape
    assert shape is not None
    if error == "InvalidInputException":
        path, bad, _ = next(beyond(shape))
        estate.call(operation, placed(shape, path, bad))
    elif error == "InvalidNextTokenException":
        of = {"metricAttributionArn": estate.attribution} if "Metrics" in operation else {}
        estate.call(operation, {**sample(shape), **of, "nextToken": "x"})
    elif error == "ResourceNotFoundException":
        is_small = operation.startswith(("Delete", "Describe", "Start", "Stop", "List", "Tag", "Untag"))
        request = sample(shape) if is_small else estate.good(operation)
        estate.call(operation, {**request, about(operation): unknown(about(operation))})
    elif error in ("TooManyTagsException", "TooManyTagKeysException"):
        keys = [f"key{n}" for n in range(51)]
        tags = {"tags": [{"tagKey": key, "tagValue": ""} for key in keys]}
        request = {"resourceArn": estate.group} if operation in TAGS else estate.good(operation)
        estate.call(operation, {**request, **({"tagKeys": keys} if operation == "UntagResource" else tags)})
    elif error == "ResourceAlreadyExistsException":
        request = estate.good(operation)
        if operation == "CreateMetricAttribution":
            estate.make_room()
        estate.call(operation, request)
        estate.call(operation, request)
    else:
        assert error == "ResourceInUseException"
        disturb(estate, operation)


def disturb(estate: Estate, operation: str) -> None:
    """Call an operation on something that is in use."""
    if operation == "DeleteSchema":
        estate.call(operation, {"schemaArn": f"{NOWHERE}schema/items"})
    elif operation == "DeleteDatasetGroup":
        estate.call(operation, {"datasetGroupArn": estate.group})
    else:
        request = estate.good(operation)
        status = {"StopSolutionVersionCreation": "CREATE STOPPING", "StartRecommender": "STOP IN_PROGRESS"}
        with in_state(estate.api, request[about(operation)], status.get(operation, "CREATE IN_PROGRESS")):
            estate.call(operation, request)


@pytest.mark.parametrize(("operation", "error"), MEANT)
def test_an_error_of_the_model_is_raised_by_what_causes_it(
    estate: Estate, operation: str, error: str
) -> None:
    with pytest.raises(ClientError) as raised:
        cause(estate, operation, error)
    assert raised.value.response["Error"]["Code"] == error, str(raised.value)
    assert raised.value.response["Error"]["Message"]
    is_lookup = error == "ResourceNotFoundException" and not _is_control(operation)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == (
        404 if is_lookup else _status(error, operation)
    )


def _is_control(operation: str) -> bool:
    return OPERATIONS[operation].service_model.service_name == "personalize"


def _status(error: str, operation: str) -> int:
    shape = next(shape for shape in OPERATIONS[operation].error_shapes if shape.name == error)
    return int(shape.metadata.get("error", {}).get("httpStatusCode", 400))

"""Was it done already? What is asked before a call is made again whose answer was lost.

A process may be killed between the call and the record of its answer. What the call would have made is then looked
for: by name, and by a creation time that is not before the time at which the call was written down. Without such a
thing the call is made (again), which is right for what changes nothing, or changes the same thing to the same
value. What adds something each time and cannot be found again is not repeated: the task fails with
``SERVICE.Unknown``, and the author's Retry decides.
"""

import uuid
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from nextpick.workflow.refusal import code_of
from nextpick.workflow.tasks.integration import Ask

_CLOCK_S = 0.002  # times on the wire have milliseconds


class Unknown(Exception):
    """Whether a call was made cannot be found out, and it must not be made twice."""


class Made(NamedTuple):
    """How to find what a Create made: the list it is in, the parameter that narrows the list, the member it is
    named by."""

    list: str
    key: str
    arn: str
    within: str | None = None
    name: str | None = "name"


_CREATES = {
    "CreateDatasetGroup": Made("list_dataset_groups", "datasetGroups", "datasetGroupArn"),
    "CreateSchema": Made("list_schemas", "schemas", "schemaArn"),
    "CreateDataset": Made("list_datasets", "datasets", "datasetArn", "datasetGroupArn"),
    "CreateDatasetImportJob": Made(
        "list_dataset_import_jobs", "datasetImportJobs", "datasetImportJobArn", "datasetArn", "jobName"
    ),
    "CreateDatasetExportJob": Made(
        "list_dataset_export_jobs", "datasetExportJobs", "datasetExportJobArn", "datasetArn", "jobName"
    ),
    "CreateDataDeletionJob": Made(
        "list_data_deletion_jobs", "dataDeletionJobs", "dataDeletionJobArn", "datasetGroupArn", "jobName"
    ),
    "CreateSolution": Made("list_solutions", "solutions", "solutionArn", "datasetGroupArn"),
    "CreateSolutionVersion": Made(
        "list_solution_versions", "solutionVersions", "solutionVersionArn", "solutionArn", None
    ),
    "CreateCampaign": Made("list_campaigns", "campaigns", "campaignArn"),
    "CreateEventTracker": Made("list_event_trackers", "eventTrackers", "eventTrackerArn", "datasetGroupArn"),
    "CreateFilter": Made("list_filters", "Filters", "filterArn", "datasetGroupArn"),
    "CreateRecommender": Made("list_recommenders", "recommenders", "recommenderArn", "datasetGroupArn"),
    "CreateMetricAttribution": Made(
        "list_metric_attributions", "metricAttributions", "metricAttributionArn", "datasetGroupArn"
    ),
    "CreateBatchInferenceJob": Made(
        "list_batch_inference_jobs",
        "batchInferenceJobs",
        "batchInferenceJobArn",
        "solutionVersionArn",
        "jobName",
    ),
    "CreateBatchSegmentJob": Made(
        "list_batch_segment_jobs", "batchSegmentJobs", "batchSegmentJobArn", "solutionVersionArn", "jobName"
    ),
}
_ADDING = (
    "PutEvents",
    "PutActionInteractions",
    "PutRecord",
    "PutRecords",
    "Invoke",
    "InvokeAsync",
    "Publish",
)
_UPDATES = {
    "UpdateCampaign": ("describe_campaign", "campaign", "campaignArn", "latestCampaignUpdate"),
    "UpdateRecommender": ("describe_recommender", "recommender", "recommenderArn", "latestRecommenderUpdate"),
}


def find(client: Any, operation: str, parameters: dict[str, Any], ask: Ask) -> dict[str, Any] | None:
    """Return the answer that a call of an operation has had, None when it has to be made.

    Raises ClientError, and Unknown where neither can be told.
    """
    if operation in _ADDING:
        raise Unknown("The server ended during the call: whether it was made is not known.")
    if operation == "StartExecution":
        return _started(client, parameters)
    if client.meta.service_model.service_name == "personalize":
        if operation in _CREATES:
            return _made(client, _CREATES[operation], parameters, ask)
        if operation in _UPDATES:
            return _updated(client, _UPDATES[operation], parameters, ask)
    if operation.startswith("Delete"):
        return _gone(client, operation, parameters)
    return None


def _made(client: Any, made: Made, parameters: dict[str, Any], ask: Ask) -> dict[str, Any] | None:
    within = {made.within: parameters[made.within]} if made.within in parameters else {}
    token: dict[str, str] = {}
    while True:
        page = getattr(client, made.list)(**within, **token)
        for one in page[made.key]:
            is_named = made.name is None or one[made.name] == parameters[made.name]
            if is_named and one["creationDateTime"].timestamp() >= ask.scheduled_at - _CLOCK_S:
                domain = (
                    {"domain": one["domain"]} if made.arn == "datasetGroupArn" and "domain" in one else {}
                )
                return {made.arn: one[made.arn], **domain}
        if not page.get("nextToken"):
            return None
        token = {"nextToken": page["nextToken"]}


def named(operation: str, parameters: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Return parameters with the name that an execution gets by itself, so that it can be found again."""
    if operation == "StartExecution" and "name" not in parameters:
        return {**parameters, "name": str(uuid.uuid5(uuid.NAMESPACE_URL, ask.token))}
    return parameters


def _started(client: Any, parameters: dict[str, Any]) -> dict[str, Any] | None:
    arn = parameters["stateMachineArn"].replace(":stateMachine:", ":execution:")
    try:
        found = client.describe_execution(executionArn=f"{arn}:{parameters['name']}")
    except ClientError as error:
        if code_of(error) == "ExecutionDoesNotExist":
            return None
        raise
    return {"executionArn": found["executionArn"], "startDate": found["startDate"]}


def _updated(
    client: Any, update: tuple[str, str, str, str], parameters: dict[str, Any], ask: Ask
) -> dict[str, Any] | None:
    describe, key, arn, latest = update
    found = getattr(client, describe)(**{arn: parameters[arn]})[key].get(latest)
    if found and found["creationDateTime"].timestamp() >= ask.scheduled_at - _CLOCK_S:
        return {arn: parameters[arn]}
    return None


def _gone(client: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Delete once more: what is not there any more was deleted by the first call."""
    method = next(name for name, op in client.meta.method_to_api_mapping.items() if op == operation)
    try:
        return getattr(client, method)(**parameters)
    except ClientError as error:
        if code_of(error) in ("ResourceNotFoundException", "NoSuchBucket", "NoSuchEntity"):
            return {}
        raise

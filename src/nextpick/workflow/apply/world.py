"""What is there now: resources by name, and waiting for them."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from nextpick.clock import Clock
from nextpick.names import resource_arn
from nextpick.workflow.config.place import Place
from nextpick.workflow.refusal import code_of

Resource = dict[str, Any]

GONE = "ResourceNotFoundException"
ALREADY = "ResourceAlreadyExistsException"

_PAUSE_S = 0.2  # a Describe waits itself, this is for those that do not
_ENDED = ("ACTIVE", "INACTIVE")


class Failed(Exception):
    """Something could not be made as it is declared."""


class Stopped(Exception):
    """Whoever applies was told to end."""


class Kind(NamedTuple):
    """How a kind of resource is described, listed and called in ARNs."""

    describe: str
    argument: str
    answer: str
    arn: str = ""


KINDS: Mapping[str, Kind] = {
    "group": Kind("describe_dataset_group", "datasetGroupArn", "datasetGroup", "dataset-group"),
    "schema": Kind("describe_schema", "schemaArn", "schema", "schema"),
    "dataset": Kind("describe_dataset", "datasetArn", "dataset"),
    "import": Kind("describe_dataset_import_job", "datasetImportJobArn", "datasetImportJob"),
    "tracker": Kind("describe_event_tracker", "eventTrackerArn", "eventTracker"),
    "filter": Kind("describe_filter", "filterArn", "filter", "filter"),
    "recommender": Kind("describe_recommender", "recommenderArn", "recommender", "recommender"),
    "solution": Kind("describe_solution", "solutionArn", "solution", "solution"),
    "version": Kind("describe_solution_version", "solutionVersionArn", "solutionVersion"),
    "campaign": Kind("describe_campaign", "campaignArn", "campaign", "campaign"),
    "inference": Kind("describe_batch_inference_job", "batchInferenceJobArn", "batchInferenceJob"),
    "segment": Kind("describe_batch_segment_job", "batchSegmentJobArn", "batchSegmentJob"),
}


class World:
    """The engine as ``apply`` sees it. ``role`` is the role that jobs read and write as."""

    def __init__(
        self,
        client: Callable[..., Any],
        clock: Clock,
        place: Place,
        role: str | None,
        ending: threading.Event,
    ) -> None:
        self.personalize = client("personalize")
        self.s3 = client("s3")
        self.clock, self.place, self._ending = clock, place, ending
        self.account = client("sts").get_caller_identity()["Account"]
        self.region = self.personalize.meta.region_name
        self.role = role or f"arn:aws:iam::{self.account}:role/nextpick-workflow"

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a resource whose ARN is made of its name."""
        return resource_arn(self.region, self.account, KINDS[kind].arn, name)

    def describe(self, kind: str, arn: str) -> Resource | None:
        """Return a resource; None when there is none."""
        how = KINDS[kind]
        try:
            found = getattr(self.personalize, how.describe)(**{how.argument: arn})[how.answer]
        except ClientError as error:
            if code_of(error) == GONE:
                return None
            raise
        return None if found.get("status", "").startswith("DELETE") else found

    def named(self, kind: str, name: str) -> Resource | None:
        """Return the resource of a name; None when there is none."""
        return self.describe(kind, self.arn(kind, name))

    def listed(self, operation: str, key: str, **within: str) -> list[Resource]:
        """Return all that a list holds, oldest first; of what is not there, nothing."""
        try:
            pages = self.personalize.get_paginator(operation).paginate(**within)
            found = [one for page in pages for one in page[key]]
        except ClientError as error:
            if code_of(error) == GONE:
                return []
            raise
        return sorted(found, key=lambda one: one["creationDateTime"])

    def dataset(self, group: str, kind: str) -> Resource | None:
        """Return a group's dataset of a kind."""
        for one in self.listed("list_datasets", "datasets", datasetGroupArn=group):
            if one["datasetType"].lower() == kind:
                return self.describe("dataset", one["datasetArn"])
        return None

    def wait(self, kind: str, arn: str) -> Resource:
        """Wait until a resource has settled, its latest update too. Raises Failed with its reason, Stopped."""
        while True:
            found = self.describe(kind, arn)
            if found is None:
                raise Failed(f"{arn} is gone.")
            updates = (found.get(f"latest{one}Update") for one in ("Campaign", "Recommender"))
            update = next((one for one in updates if one), {})
            for one in (found, update):
                if one.get("status", "").endswith("FAILED"):
                    raise Failed(f"{arn} is {one['status']}: {one.get('failureReason', 'no reason is told')}")
            if found["status"] in _ENDED and update.get("status", "ACTIVE") in _ENDED:
                return found
            if self._ending.wait(_PAUSE_S):
                raise Stopped

    def wait_until_gone(self, kind: str, arn: str) -> None:
        """Wait until a deleted resource cannot be described any more. Raises Failed, Stopped."""
        how = KINDS[kind]
        while True:
            try:
                getattr(self.personalize, how.describe)(**{how.argument: arn})
            except ClientError as error:
                if code_of(error) == GONE:
                    return
                raise
            if self._ending.wait(_PAUSE_S):
                raise Stopped

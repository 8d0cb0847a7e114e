"""The kinds of resource, and what is uniform about them.

Names follow the service model: operation ``DatasetGroup`` gives the members ``datasetGroup``,
``datasetGroupArn``, the list key ``datasetGroups`` and the ARN kind ``dataset-group``.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of resource."""

    arn_kind: str
    operation: str
    parent: str | None = None  # member that names the parent, also the filter of List
    named_by: str = "name"
    is_deletable: bool = True
    has_status: bool = True
    is_taggable: bool = True

    @property
    def member(self) -> str:
        """The wrapper key of Describe: ``datasetGroup``."""
        return self.operation[0].lower() + self.operation[1:]

    @property
    def arn_member(self) -> str:
        """The member that holds the resource's own ARN."""
        return self.member + "Arn"

    @property
    def plural(self) -> str:
        """The key of List's answer; that of filters is spelled with a capital in the service model."""
        return ("Filter" if self.operation == "Filter" else self.member) + "s"

    @property
    def words(self) -> str:
        """The kind in words, for messages: ``dataset group``."""
        return self.arn_kind.replace("-", " ")


SCHEMA = Kind("schema", "Schema", has_status=False, is_taggable=False)
DATASET_GROUP = Kind("dataset-group", "DatasetGroup")
DATASET = Kind("dataset", "Dataset", "datasetGroupArn")
DATASET_IMPORT_JOB = Kind(
    "dataset-import-job", "DatasetImportJob", "datasetArn", named_by="jobName", is_deletable=False
)
DATASET_EXPORT_JOB = Kind(
    "dataset-export-job", "DatasetExportJob", "datasetArn", named_by="jobName", is_deletable=False
)
DATA_DELETION_JOB = Kind(
    "data-deletion-job", "DataDeletionJob", "datasetGroupArn", named_by="jobName", is_deletable=False
)
EVENT_TRACKER = Kind("event-tracker", "EventTracker", "datasetGroupArn")
SOLUTION = Kind("solution", "Solution", "datasetGroupArn")
SOLUTION_VERSION = Kind("solution-version", "SolutionVersion", "solutionArn", is_deletable=False)
CAMPAIGN = Kind("campaign", "Campaign", "solutionArn")
RECOMMENDER = Kind("recommender", "Recommender", "datasetGroupArn")
FILTER = Kind("filter", "Filter", "datasetGroupArn")
BATCH_INFERENCE_JOB = Kind(
    "batch-inference-job", "BatchInferenceJob", "solutionVersionArn", named_by="jobName", is_deletable=False
)
BATCH_SEGMENT_JOB = Kind(
    "batch-segment-job", "BatchSegmentJob", "solutionVersionArn", named_by="jobName", is_deletable=False
)
METRIC_ATTRIBUTION = Kind("metric-attribution", "MetricAttribution", "datasetGroupArn", is_taggable=False)

KINDS = {
    kind.arn_kind: kind
    for kind in (
        SCHEMA,
        DATASET_GROUP,
        DATASET,
        DATASET_IMPORT_JOB,
        DATASET_EXPORT_JOB,
        DATA_DELETION_JOB,
        EVENT_TRACKER,
        SOLUTION,
        SOLUTION_VERSION,
        CAMPAIGN,
        RECOMMENDER,
        FILTER,
        BATCH_INFERENCE_JOB,
        BATCH_SEGMENT_JOB,
        METRIC_ATTRIBUTION,
    )
}

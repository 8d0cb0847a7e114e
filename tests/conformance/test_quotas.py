"""Every Create that can be one too many says LimitExceededException when it is, and nothing before."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from estate import GOOD, Estate
from model import ERRORS
from test_errors import NEVER

from films import EVENTS_SCHEMA
from nextpick.names import resource_arn
from nextpick.resources.rules import QUOTAS
from nextpick.store.records import Records, Resource
from worlds import checkerboard, open_api

COUNTED = {
    "CreateBatchInferenceJob": "batch-inference-job",
    "CreateBatchSegmentJob": "batch-segment-job",
    "CreateCampaign": "campaign",
    "CreateDataDeletionJob": "data-deletion-job",
    "CreateDatasetGroup": "dataset-group",
    "CreateDatasetImportJob": "dataset-import-job",
    "CreateFilter": "filter",
    "CreateMetricAttribution": "metric-attribution",
    "CreateRecommender": "recommender",
    "CreateSchema": "schema",
    "CreateSolution": "solution",
    "CreateSolutionVersion": "solution-version",
}


class SmallEstate(Estate):
    """What the good requests of Creates that are counted speak of, and no more."""

    def __init__(self, api: Any) -> None:
        self.api, self.name, self.personalize = api, "small", api.personalize
        self._names, self.clients = iter(range(10_000)), {"personalize": api.personalize}
        self.group = api.personalize.create_dataset_group(name="small")["datasetGroupArn"]
        rows = [row.replace(",17", ",click,17") for row in checkerboard().splitlines()[1:]]
        self.dataset = self.add(
            "Interactions", EVENTS_SCHEMA, ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP", *rows]
        )
        self.solution_arn = self.solution()
        self.version_arn = self.trained(self.train(self.solution_arn))["solutionVersionArn"]
        segments = self.solution("segments", "aws-item-affinity")
        self.segments = self.trained(self.train(segments))["solutionVersionArn"]
        self.users = self.dataset
        self.shop = api.personalize.create_dataset_group(name="mart", domain="ECOMMERCE")["datasetGroupArn"]
        schema = json.dumps(EVENTS_SCHEMA)
        made = api.personalize.create_schema(name="mart", schema=schema, domain="ECOMMERCE")["schemaArn"]
        api.personalize.create_dataset(
            name="mart", schemaArn=made, datasetGroupArn=self.shop, datasetType="Interactions"
        )
        api.put_object("out", "readme", "")
        self.source = self.items_source = self.deleted_users = api.put_object("in", "lines.json", "{}\n")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallEstate]:
    api = open_api(tmp_path_factory.mktemp("small"), auto_training=False)
    yield SmallEstate(api)
    api.library.close()


@contextmanager
def almost_full(
    estate: SmallEstate, kind: str, parent: str, like: dict[str, Any], left: int
) -> Iterator[None]:
    """Have all but ``left`` of the resources there may be."""
    quota = QUOTAS[kind]
    owner = {"account": "000000000000", "region": "us-east-1"}
    status = "CREATE IN_PROGRESS" if quota.running else "CREATE FAILED"  # which counts, and is not looked at
    with closing(Records(estate.api.library.home / "nextpick.db")) as records:
        with records.write() as tx:
            of = {} if quota.within == "region" else {"parent": parent}
            there = tx.find(kind, **owner, status=("CREATE IN_PROGRESS",) if quota.running else None, **of)
            names = [f"made-up-{n}" for n in range(quota.most - left - len(there))]
            arns = [resource_arn("us-east-1", owner["account"], kind, name) for name in names]
            body = {**like, "status": status}
            for arn, name in zip(arns, names, strict=True):
                tx.insert(Resource(arn, *owner.values(), kind, name, parent, status, body, 0.0, 0.0))
        try:
            yield
        finally:
            with records.write() as tx:
                for arn in arns:
                    found = tx.get(arn)
                    if found is not None:
                        tx.remove(found)


def test_every_error_of_this_kind_is_counted_or_never_raised() -> None:
    modelled = {operation for operation, error in ERRORS if error == "LimitExceededException"}
    exports_and_such = {operation for operation, error in NEVER if error == "LimitExceededException"}
    assert modelled == set(COUNTED) | exports_and_such


@pytest.mark.parametrize("operation", sorted(COUNTED))
def test_one_too_many_is_refused_and_the_last_one_is_not(small: SmallEstate, operation: str) -> None:
    kind = COUNTED[operation]
    request = GOOD[operation](small)
    parent = {"campaign": small.solution_arn, "solution-version": small.solution_arn}.get(
        kind, request.get("datasetGroupArn", small.group)
    )
    with almost_full(small, kind, parent, request, left=0):
        with pytest.raises(ClientError) as raised:
            small.call(operation, request)
        assert raised.value.response["Error"]["Code"] == "LimitExceededException", str(raised.value)
        assert str(QUOTAS[kind].most) in str(raised.value)
    with almost_full(small, kind, parent, request, left=1):
        small.call(operation, request)

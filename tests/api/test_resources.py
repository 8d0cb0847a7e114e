"""Schemas, dataset groups, datasets, event trackers, and what is common to all resources."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from nextpick.wire.shapes import service
from worlds import INTERACTIONS_SCHEMA, Api


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    """Return the error code a client reads."""
    return raised.value.response["Error"]["Code"]


def message(raised: pytest.ExceptionInfo[ClientError]) -> str:
    """Return the message a client reads."""
    return raised.value.response["Error"]["Message"]


def test_an_empty_server_lists_no_dataset_groups(api: Api) -> None:
    answer = api.personalize.list_dataset_groups()
    assert answer["datasetGroups"] == []
    assert re.fullmatch(r"[0-9a-f-]{36}", answer["ResponseMetadata"]["RequestId"])


def test_a_schema_is_described_byte_for_byte_and_has_no_status(api: Api) -> None:
    arn = api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
    assert arn == "arn:aws:personalize:us-east-1:000000000000:schema/s"
    schema = api.personalize.describe_schema(schemaArn=arn)["schema"]
    assert schema["schema"] == INTERACTIONS_SCHEMA
    assert "status" not in schema


def test_a_schema_name_is_taken_once(api: Api) -> None:
    api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)
    with pytest.raises(ClientError) as raised:
        api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)
    assert code(raised) == "ResourceAlreadyExistsException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("schema", [INTERACTIONS_SCHEMA.replace("TIMESTAMP", "WHEN"), "not json"])
def test_a_schema_that_cannot_be_is_refused(api: Api, schema: str) -> None:
    with pytest.raises(ClientError) as raised:
        api.personalize.create_schema(name="s", schema=schema)
    assert code(raised) == "InvalidInputException"


@pytest.mark.parametrize("name", ["x" * 64, "-x"])
def test_a_name_of_the_wrong_shape_is_refused(api: Api, name: str) -> None:
    with pytest.raises(ClientError) as raised:
        api.personalize.create_schema(name=name, schema=INTERACTIONS_SCHEMA)
    assert code(raised) == "InvalidInputException"
    assert "'name'" in message(raised)


def test_a_dataset_group_is_active_with_numeric_dates(api: Api, group: str) -> None:
    assert group == "arn:aws:personalize:us-east-1:000000000000:dataset-group/shop"
    described = api.personalize.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
    assert described["status"] == "ACTIVE"
    assert described["creationDateTime"].year >= 2020
    assert "domain" not in described


def test_a_domain_is_echoed_and_an_unknown_one_refused(api: Api) -> None:
    assert api.personalize.create_dataset_group(name="shop", domain="ECOMMERCE")["domain"] == "ECOMMERCE"
    with pytest.raises(ClientError) as raised:
        api.personalize.create_dataset_group(name="music", domain="MUSIC")
    assert code(raised) == "InvalidInputException"


def test_a_dataset_is_named_by_its_group_and_type(api: Api, group: str) -> None:
    schema = api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
    make = {"schemaArn": schema, "datasetGroupArn": group, "datasetType": "Interactions"}
    arn = api.personalize.create_dataset(name="foo", **make)["datasetArn"]
    assert arn == "arn:aws:personalize:us-east-1:000000000000:dataset/shop/INTERACTIONS"
    described = api.personalize.describe_dataset(datasetArn=arn)["dataset"]
    assert (described["datasetType"], described["name"]) == ("INTERACTIONS", "foo")
    with pytest.raises(ClientError) as raised:
        api.personalize.create_dataset(name="bar", **make)
    assert code(raised) == "ResourceAlreadyExistsException"


def test_a_domain_group_takes_only_schemas_of_its_domain(api: Api) -> None:
    group = api.personalize.create_dataset_group(name="shop", domain="ECOMMERCE")["datasetGroupArn"]
    schema = api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
    with pytest.raises(ClientError) as raised:
        api.personalize.create_dataset(
            name="d", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
        )
    assert code(raised) == "InvalidInputException"
    assert "domain" in message(raised)


def test_an_unknown_dataset_type_is_named(api: Api, group: str) -> None:
    schema = api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
    with pytest.raises(ClientError) as raised:
        api.personalize.create_dataset(name="d", schemaArn=schema, datasetGroupArn=group, datasetType="Stuff")
    assert "Stuff" in message(raised)


def test_a_group_has_one_event_tracker(api: Api, group: str) -> None:
    made = api.personalize.create_event_tracker(name="t", datasetGroupArn=group)
    assert re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", made["trackingId"])
    assert re.search(r":event-tracker/[0-9a-f]{8}$", made["eventTrackerArn"])
    described = api.personalize.describe_event_tracker(eventTrackerArn=made["eventTrackerArn"])[
        "eventTracker"
    ]
    assert described["accountId"] == "000000000000"
    with pytest.raises(ClientError) as raised:
        api.personalize.create_event_tracker(name="u", datasetGroupArn=group)
    assert code(raised) == "ResourceAlreadyExistsException"
    assert made["eventTrackerArn"] in message(raised)


def test_a_group_in_use_is_not_deleted_and_an_empty_one_is_seen_once_more(api: Api, group: str) -> None:
    schema = api.personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
    make = {"schemaArn": schema, "datasetGroupArn": group, "datasetType": "Interactions"}
    dataset = api.personalize.create_dataset(name="d", **make)["datasetArn"]
    with pytest.raises(ClientError) as raised:
        api.personalize.delete_dataset_group(datasetGroupArn=group)
    assert code(raised) == "ResourceInUseException"
    assert dataset in message(raised)
    with pytest.raises(ClientError) as raised:
        api.personalize.delete_schema(schemaArn=schema)
    assert code(raised) == "ResourceInUseException"
    api.personalize.delete_dataset(datasetArn=dataset)
    api.personalize.delete_schema(schemaArn=schema)
    api.personalize.delete_dataset_group(datasetGroupArn=group)
    described = api.personalize.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
    assert described["status"] == "DELETE PENDING"
    with pytest.raises(ClientError) as raised:
        api.personalize.describe_dataset_group(datasetGroupArn=group)
    assert code(raised) == "ResourceNotFoundException"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert api.personalize.list_dataset_groups()["datasetGroups"] == []


def test_deleting_what_is_not_there_says_so(api: Api, group: str) -> None:
    api.personalize.delete_dataset_group(datasetGroupArn=group)
    with pytest.raises(ClientError) as raised:
        api.personalize.delete_dataset_group(datasetGroupArn=group)
    assert code(raised) == "ResourceNotFoundException"


def test_a_deleted_name_is_free_at_once(api: Api, group: str) -> None:
    api.personalize.delete_dataset_group(datasetGroupArn=group)
    assert api.personalize.create_dataset_group(name="shop")["datasetGroupArn"] == group
    described = api.personalize.describe_dataset_group(datasetGroupArn=group)["datasetGroup"]
    assert described["status"] == "ACTIVE"


def test_lists_are_paged_in_order_of_creation_and_refuse_a_foreign_token(api: Api) -> None:
    names = [f"s{i}" for i in range(5)]
    for name in names:
        api.personalize.create_schema(name=name, schema=INTERACTIONS_SCHEMA)
    pages = api.personalize.get_paginator("list_schemas").paginate(PaginationConfig={"PageSize": 2})
    assert [schema["name"] for page in pages for schema in page["schemas"]] == names
    token = api.personalize.list_schemas(maxResults=2)["nextToken"]
    with pytest.raises(ClientError) as raised:
        api.personalize.list_dataset_groups(nextToken=token)
    assert code(raised) == "InvalidNextTokenException"
    with pytest.raises(ClientError) as raised:
        api.personalize.list_schemas(nextToken="x")
    assert code(raised) == "InvalidNextTokenException"


def test_regions_do_not_see_each_other(api: Api, group: str) -> None:
    elsewhere = api.library.client("personalize", region="eu-central-1")
    assert elsewhere.list_dataset_groups()["datasetGroups"] == []
    with pytest.raises(ClientError) as raised:
        elsewhere.describe_dataset_group(datasetGroupArn=group)
    assert code(raised) == "ResourceNotFoundException"
    arn = elsewhere.create_dataset_group(name="shop")["datasetGroupArn"]
    assert arn == "arn:aws:personalize:eu-central-1:000000000000:dataset-group/shop"


def test_the_sixth_dataset_group_is_one_too_many(api: Api) -> None:
    for i in range(5):
        api.personalize.create_dataset_group(name=f"g{i}")
    with pytest.raises(ClientError) as raised:
        api.personalize.create_dataset_group(name="g5")
    assert code(raised) == "LimitExceededException"


def test_tags_are_checked(api: Api) -> None:
    pair = {"tagKey": "a", "tagValue": "b"}
    with pytest.raises(ClientError) as raised:
        api.personalize.create_dataset_group(name="g", tags=[pair, pair])
    assert code(raised) == "InvalidInputException"
    assert api.personalize.create_dataset_group(name="g", tags=[pair])["datasetGroupArn"]


def test_an_items_schema_may_grow_by_columns_that_allow_null(api: Api, group: str) -> None:
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "GENRE", "type": "string", "categorical": True}]
    added = {"name": "PRICE", "type": ["null", "float"]}
    schemas = {
        name: api.personalize.create_schema(
            name=name,
            schema=json.dumps({"type": "record", "name": "Items", "fields": chosen, "version": "1.0"}),
        )["schemaArn"]
        for name, chosen in {
            "old": fields,
            "new": [*fields, added],
            "strict": [*fields, {"name": "PRICE", "type": "float"}],
            "less": [fields[0], added],
        }.items()
    }
    arn = api.personalize.create_dataset(
        name="items", schemaArn=schemas["old"], datasetGroupArn=group, datasetType="Items"
    )["datasetArn"]
    for refused, named in (("strict", "PRICE"), ("less", "GENRE")):
        with pytest.raises(ClientError) as raised:
            api.personalize.update_dataset(datasetArn=arn, schemaArn=schemas[refused])
        assert named in message(raised)
    api.personalize.update_dataset(datasetArn=arn, schemaArn=schemas["new"])
    described = api.personalize.describe_dataset(datasetArn=arn)["dataset"]
    assert described["schemaArn"] == schemas["new"]
    assert described["latestDatasetUpdate"]["status"] == "ACTIVE"


def test_every_error_carries_its_code_and_a_request_id(api: Api) -> None:
    with pytest.raises(ClientError) as raised:
        api.personalize.describe_solution(
            solutionArn="arn:aws:personalize:us-east-1:000000000000:solution/no"
        )
    metadata = raised.value.response["ResponseMetadata"]
    assert metadata["HTTPHeaders"]["x-amzn-errortype"] == "ResourceNotFoundException"
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"]


def test_an_operation_without_handler_names_itself(api: Api) -> None:
    from nextpick.api.table import implemented

    known = service("personalize").operations
    missing = sorted(name for name in known if ("personalize", name) not in implemented())
    for name in missing:
        with pytest.raises(ClientError) as raised:
            api.personalize._make_api_call(name, {})
        assert name in message(raised)

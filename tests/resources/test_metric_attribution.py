"""Metric attributions: what they may measure, and how they are changed."""

from collections.abc import Callable
from typing import Any

import pytest
from attribution_world import COUNT, FIELDS, PAGES, TOTAL, Market
from botocore.exceptions import ClientError

from worlds import ROLE, Api


def refusal(call: Callable[..., Any], *args: Any, **params: Any) -> tuple[str, str]:
    """Return code and message of the error a call ends with."""
    with pytest.raises(ClientError) as raised:
        call(*args, **params)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def market(api: Api) -> Market:
    """A shop to measure."""
    return Market(api)


def metrics_of(api: Api, arn: str, **more: Any) -> list[dict[str, str]]:
    """Return the metrics of an attribution."""
    return api.personalize.list_metric_attribution_metrics(metricAttributionArn=arn, **more)["metrics"]


def test_an_attribution_is_described_and_listed_with_and_without_its_group(api: Api, market: Market) -> None:
    arn = market.attribute(COUNT, TOTAL)
    assert arn == "arn:aws:personalize:us-east-1:000000000000:metric-attribution/market"
    described = api.personalize.describe_metric_attribution(metricAttributionArn=arn)["metricAttribution"]
    assert described["status"] == "ACTIVE"
    assert described["metricsOutputConfig"] == {
        "roleArn": ROLE,
        "s3DataDestination": {"path": "s3://reports/out/"},
    }
    assert "metrics" not in described
    for named in ({}, {"datasetGroupArn": market.group}):
        listed = api.personalize.list_metric_attributions(**named)["metricAttributions"]
        assert [(one["metricAttributionArn"], one["name"]) for one in listed] == [(arn, "market")]
    assert metrics_of(api, arn) == [COUNT, TOTAL]
    paginator = api.personalize.get_paginator("list_metric_attribution_metrics")
    pages = list(paginator.paginate(metricAttributionArn=arn, PaginationConfig={"PageSize": 1}))
    assert [page["metrics"] for page in pages] == [[COUNT], [TOTAL]]


def test_a_group_has_one_attribution(api: Api, market: Market) -> None:
    arn = market.attribute(COUNT)
    assert refusal(market.attribute, COUNT)[0] == "ResourceAlreadyExistsException"
    code, message = refusal(market.attribute, COUNT, name="other")
    assert code == "LimitExceededException"
    assert message == "More than 1 metric attributions are not allowed in one dataset group."
    code, message = refusal(api.personalize.delete_dataset_group, datasetGroupArn=market.group)
    assert code == "ResourceInUseException"
    api.personalize.delete_metric_attribution(metricAttributionArn=arn)
    assert market.attribute(COUNT, name="other")
    assert refusal(api.personalize.tag_resource, resourceArn=arn, tags=[])[0] == "InvalidInputException"


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("SUM(Items.GENRE)", "GENRE"),
        ("SUM(Items.NOPE)", "NOPE"),
        ("SUM(Interactions.DEVICE)", "DEVICE"),
        ("SUM(Users.AGE)", "SUM(Users.AGE)"),
        ("SUM(PRICE)", "SUM(PRICE)"),
        ("SUM()", "SUM()"),
        ("SAMPLECOUNT(Items.PRICE)", "SAMPLECOUNT(Items.PRICE)"),
        ("AVG(Items.PRICE)", "AVG(Items.PRICE)"),
        ("", "''"),
    ],
)
def test_an_expression_that_cannot_be_names_what_is_wrong(
    market: Market, expression: str, named: str
) -> None:
    code, message = refusal(market.attribute, {**COUNT, "expression": expression})
    assert code == "InvalidInputException"
    assert named in message


@pytest.mark.parametrize(
    "expression",
    [
        "SUM(Items.PRICE)",
        "sum(items.price)",
        " Sum ( ITEMS.Price ) ",
        "samplecount( )",
        "SUM(interactions.event_value)",
    ],
)
def test_an_expression_is_read_in_any_letter_case(api: Api, market: Market, expression: str) -> None:
    arn = market.attribute({**COUNT, "expression": expression})
    assert metrics_of(api, arn)[0]["expression"] == expression


def test_interactions_need_an_event_type(api: Api) -> None:
    bare = Market(api, "bare", FIELDS[:3])
    code, message = refusal(bare.attribute, COUNT)
    assert (code, "EVENT_TYPE" in message) == ("InvalidInputException", True)
    group = api.personalize.create_dataset_group(name="empty")["datasetGroupArn"]
    bare.group = group
    assert "Interactions" in refusal(bare.attribute, COUNT)[1]


def test_one_to_ten_metrics_of_different_names(market: Market) -> None:
    ten = [{**COUNT, "metricName": f"m{i}"} for i in range(10)]
    eleven = [*ten, TOTAL]
    for asked in ([], [COUNT, COUNT], eleven, [{**COUNT, "metricName": ""}], [{**COUNT, "eventType": ""}]):
        assert refusal(market.attribute, *asked)[0] == "InvalidInputException"
    assert market.attribute(*ten)


def test_an_update_adds_removes_and_points_elsewhere(api: Api, market: Market) -> None:
    arn = market.attribute(COUNT, TOTAL)
    update = api.personalize.update_metric_attribution
    elsewhere = {"roleArn": ROLE, "s3DataDestination": {"path": "s3://other/place"}}
    answer = update(
        metricAttributionArn=arn, addMetrics=[PAGES], removeMetrics=["revenue"], metricsOutputConfig=elsewhere
    )
    assert answer["metricAttributionArn"] == arn
    assert metrics_of(api, arn) == [COUNT, PAGES]
    described = api.personalize.describe_metric_attribution(metricAttributionArn=arn)["metricAttribution"]
    assert described["metricsOutputConfig"] == elsewhere
    assert (
        refusal(update, metricAttributionArn=arn, addMetrics=[PAGES])[0] == "ResourceAlreadyExistsException"
    )
    replaced = {**PAGES, "eventType": "buy"}
    update(metricAttributionArn=arn, removeMetrics=["pages"], addMetrics=[replaced])
    assert metrics_of(api, arn) == [COUNT, replaced]
    for refused in (
        {},
        {"removeMetrics": ["never"]},
        {"removeMetrics": ["COUNTWATCHES", "pages"]},
        {"addMetrics": [{**COUNT, "metricName": f"m{i}"} for i in range(9)]},
        {"addMetrics": [{**TOTAL, "expression": "SUM(Items.GENRE)"}]},
        {"metricsOutputConfig": {"roleArn": ROLE, "s3DataDestination": {"path": "https://x/y"}}},
    ):
        assert refusal(update, metricAttributionArn=arn, **refused)[0] == "InvalidInputException", refused
    assert metrics_of(api, arn) == [COUNT, replaced]
    assert refusal(update, addMetrics=[TOTAL])[0] == "InvalidInputException"
    assert (
        refusal(update, metricAttributionArn=f"{arn}x", addMetrics=[TOTAL])[0] == "ResourceNotFoundException"
    )
    code, _ = refusal(api.personalize.list_metric_attribution_metrics, metricAttributionArn=f"{arn}x")
    assert code == "InvalidInputException"

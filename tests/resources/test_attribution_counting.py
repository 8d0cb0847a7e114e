"""What a metric attribution counts: streamed events and imports, each once, by source and window."""

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attribution_world import COUNT, FIELDS, PAGES, TOTAL, Market

from worlds import ROLE, Api, open_api

UNDEFINED = "SOURCE_NAME_UNDEFINED"
HEADER = ",".join(field["name"] for field in FIELDS) + "\n"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An engine that counts at once."""
    opened = open_api(tmp_path / "home", attribution_every_s=0.05, min_interactions=10)
    yield opened
    opened.library.close()


@pytest.fixture
def market(api: Api) -> Market:
    """A shop with prices."""
    made = Market(api)
    made.import_items()
    return made


class Stream:
    """Events of a shop."""

    def __init__(self, market: Market) -> None:
        self.market, self.now = market, int(time.time())
        self.tracker = market.api.personalize.create_event_tracker(name="t", datasetGroupArn=market.group)[
            "trackingId"
        ]

    def put(self, event_type: str, at: int = 0, **members: Any) -> None:
        """Send an event; ``at`` in seconds from now."""
        event = {"eventType": event_type, "sentAt": self.now + at, **members}
        self.market.api.events.put_events(
            trackingId=self.tracker, sessionId="s", userId="u", eventList=[event]
        )


def sums(api: Api, arn: str, enough: int, timeout_s: float = 30) -> dict[tuple[str, str], float]:
    """Wait for as many counted events and return the sums by metric and source, over all windows."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = api.nextpick.get_attribution_metrics(metricAttributionArn=arn)["metrics"]
        total: dict[tuple[str, str], float] = {}
        for one in found:
            key = one["metricName"], one["eventAttributionSource"]
            total[key] = total.get(key, 0.0) + one["value"]
        counted = sum(n for (name, _), n in total.items() if name == "COUNTWATCHES")
        if counted >= enough:
            return total
        assert time.monotonic() < deadline, total
        time.sleep(0.05)


def test_events_are_counted_and_summed_by_source(api: Api, market: Market) -> None:
    stream = Stream(market)
    stream.put("watch", itemId="i1")  # before the attribution: it is not counted
    arn = market.attribute(COUNT, TOTAL, PAGES)
    shelf = {"metricAttribution": {"eventAttributionSource": "shelf"}}
    stream.put("buy", itemId="i1", **shelf)
    stream.put("Buy", itemId="i2", **shelf)
    stream.put("BUY", itemId="unknown")
    stream.put("other", itemId="i1")
    stream.put("watch", itemId="i1", properties=json.dumps({"numPages": 3}), **shelf)
    stream.put("WATCH", itemId="i1", properties=json.dumps({"numPages": "4"}), **shelf)
    stream.put("watch", itemId="i1", at=-15 * 86400)  # too old
    stream.put("watch", itemId="i1", recommendationId="RID-3b-43d0-804e-23cbd70ed114-CID-ffffff")
    assert sums(api, arn, 3) == {
        ("COUNTWATCHES", "shelf"): 2.0,
        ("COUNTWATCHES", UNDEFINED): 1.0,
        ("pages", "shelf"): 7.0,
        ("pages", UNDEFINED): 0.0,
        ("revenue", "shelf"): 12.75,
        ("revenue", UNDEFINED): 0.0,
    }
    metrics = api.nextpick.get_attribution_metrics(metricAttributionArn=arn)["metrics"]
    one = next(m for m in metrics if m["metricName"] == "revenue" and m["value"])
    assert (one["eventType"], one["mathFunction"]) == ("BUY", "sum")
    assert one["startTime"].timestamp() % 900 == 0
    assert 0 <= stream.now - one["startTime"].timestamp() < 900


def test_windows_are_of_fifteen_minutes_and_are_paged(api: Api, market: Market) -> None:
    stream = Stream(market)
    arn = market.attribute(COUNT)
    for minutes in (0, -1, -20, -40, -45, -60):
        stream.put("watch", at=60 * minutes, itemId="i1")
    sums(api, arn, 6)
    ask = api.nextpick.get_attribution_metrics
    everything = ask(metricAttributionArn=arn)["metrics"]
    windows = [one["startTime"].timestamp() for one in everything]
    assert windows == sorted({(stream.now + 60 * m) // 900 * 900 for m in (0, -1, -20, -40, -45, -60)})
    paged, token = [], {}
    while True:
        page = ask(metricAttributionArn=arn, maxResults=1, **token)
        assert len(page["metrics"]) == 1
        paged += page["metrics"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert paged == everything
    since = ask(metricAttributionArn=arn, startTime=windows[1], endTime=windows[2])["metrics"]
    assert [one["startTime"].timestamp() for one in since] == windows[1:2]


def test_a_metric_that_is_added_counts_from_then_on(api: Api, market: Market) -> None:
    stream = Stream(market)
    arn = market.attribute(COUNT)
    stream.put("watch", itemId="i1")
    again = {**COUNT, "metricName": "again"}
    api.personalize.update_metric_attribution(metricAttributionArn=arn, addMetrics=[again])
    stream.put("watch", itemId="i1")
    assert sums(api, arn, 2) == {("COUNTWATCHES", UNDEFINED): 2.0, ("again", UNDEFINED): 1.0}
    api.personalize.update_metric_attribution(metricAttributionArn=arn, removeMetrics=["again"])
    stream.put("watch", itemId="i1")
    assert sums(api, arn, 3) == {("COUNTWATCHES", UNDEFINED): 3.0, ("again", UNDEFINED): 1.0}


def test_a_recommendation_is_of_the_campaign_that_gave_it(api: Api, market: Market) -> None:
    rows = [f"u{u},i{(u * 3 + s) % 9},{1_700_000_000 + s},watch,,,,," for u in range(40) for s in range(30)]
    assert market.imported(market.start_import("one", HEADER + "\n".join(rows)))["status"] == "ACTIVE"
    version = market.train(market.solution(recipe="aws-popularity-count"))
    assert market.trained(version)["status"] == "ACTIVE"
    campaigns = [market.deployed(name, version) for name in ("a", "b")]
    arn = market.attribute(COUNT)
    stream = Stream(market)
    for times, campaign in enumerate(campaigns, 1):
        answer = market.recommend(campaign, userId="u1", numResults=1)
        for _ in range(times):
            stream.put("watch", itemId="i1", recommendationId=answer["recommendationId"])
        beside = {"metricAttribution": {"eventAttributionSource": "mail"}}
        stream.put("watch", itemId="i1", recommendationId=answer["recommendationId"], **beside)
    assert sums(api, arn, 5) == {
        ("COUNTWATCHES", campaigns[0]): 1.0,
        ("COUNTWATCHES", campaigns[1]): 2.0,
        ("COUNTWATCHES", "mail"): 2.0,
    }


def test_a_hundred_sources_are_told_apart(api: Api, market: Market) -> None:
    arn = market.attribute(COUNT)
    stream = Stream(market)
    for i in range(0, 110, 10):
        events = [
            {
                "eventType": "watch",
                "sentAt": stream.now,
                "itemId": "i1",
                "metricAttribution": {"eventAttributionSource": f"s{i + j:03d}"},
            }
            for j in range(10)
        ]
        api.events.put_events(trackingId=stream.tracker, sessionId="s", userId="u", eventList=events)
    found = sums(api, arn, 100)
    stream.put("watch", itemId="i1")
    assert len(found) == 100
    assert sums(api, arn, 101)["COUNTWATCHES", UNDEFINED] == 1.0


def rows_of(now: int) -> str:
    """Return interactions with sources, in two windows."""
    early = now // 900 * 900 - 900
    rows = [f"u{i},i1,{early + i},watch,,2,phone,,mail" for i in range(20)]
    rows += [f"u{i},i2,{early + 900 + i},Buy,,,phone,," for i in range(4)]
    return HEADER + "\n".join(rows) + "\n"


def report_of(api: Api, folder: str = "reports/out") -> tuple[str, str]:
    """Return name and text of the only report."""
    files = sorted((api.library.home / "buckets" / folder).iterdir())
    assert len(files) == 1, files
    return files[0].name, files[0].read_text()


def test_a_full_import_is_reported_in_s3_and_nowhere_else(api: Api, market: Market) -> None:
    arn = market.attribute(COUNT, TOTAL, PAGES)
    api.library.client("s3").create_bucket(Bucket="reports")
    now = int(time.time())
    job = market.start_import("one", rows_of(now), publishAttributionMetricsToS3=True)
    assert market.imported(job)["status"] == "ACTIVE"
    name, text = report_of(api)
    assert name.startswith("AggregatedAttributionMetrics - FULL - ")
    assert name.endswith(".csv")
    window = now // 900 * 900
    assert text.splitlines() == [
        "METRIC_NAME,EVENT_TYPE,VALUE,MATH_FUNCTION,EVENT_ATTRIBUTION_SOURCE,TIMESTAMP",
        f"revenue,BUY,9.0,sum,{UNDEFINED},{window}",
        f"COUNTWATCHES,watch,20.0,samplecount,mail,{window - 900}",
        f"pages,watch,40.0,sum,mail,{window - 900}",
    ]
    listed = api.library.client("s3").list_objects_v2(Bucket="reports")["Contents"]
    assert [one["Key"] for one in listed] == [f"out/{name}"]
    assert api.nextpick.get_attribution_metrics(metricAttributionArn=arn)["metrics"] == []


def test_an_incremental_import_joins_the_events(api: Api, market: Market) -> None:
    now = int(time.time())
    assert market.imported(market.start_import("one", rows_of(now)))["status"] == "ACTIVE"
    arn = market.attribute(COUNT, TOTAL, path="s3://reports")
    api.library.client("s3").create_bucket(Bucket="reports")
    stream = Stream(market)
    stream.put("watch", itemId="i1", metricAttribution={"eventAttributionSource": "mail"})
    more = {"importMode": "INCREMENTAL"}
    assert market.imported(market.start_import("two", rows_of(now), **more))["status"] == "ACTIVE"
    assert sums(api, arn, 21) == {("COUNTWATCHES", "mail"): 21.0, ("revenue", UNDEFINED): 9.0}
    assert list((api.library.home / "buckets" / "reports").iterdir()) == []
    old = rows_of(now - 20 * 86400)
    third = market.start_import("three", old, publishAttributionMetricsToS3=True, **more)
    assert market.imported(third)["status"] == "ACTIVE"
    name, text = report_of(api, "reports")
    assert "INCREMENTAL" in name
    assert sum(float(row["VALUE"]) for row in csv.DictReader(io.StringIO(text))) == 29.0
    assert sums(api, arn, 21)["COUNTWATCHES", "mail"] == 21.0  # older than 14 days: in the report alone


def test_a_report_needs_somewhere_to_go(api: Api, market: Market) -> None:
    now = int(time.time())
    publish = {"publishAttributionMetricsToS3": True}
    with pytest.raises(api.personalize.exceptions.InvalidInputException, match="s3DataDestination"):
        market.start_import("one", rows_of(now), **publish)
    market.attribute(COUNT)
    failed = market.imported(market.start_import("two", rows_of(now), **publish))
    assert failed["status"] == "CREATE FAILED"
    assert "no bucket reports" in failed["failureReason"]
    api.library.client("s3").create_bucket(Bucket="reports")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "personalize.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    api.library.client("iam").create_role(
        RoleName=ROLE.rpartition("/")[2],
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
    )
    for action, status in (("s3:GetObject", "CREATE FAILED"), ("s3:PutObject", "ACTIVE")):
        statement = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject", action], "Resource": "*"}
        api.library.client("iam").put_role_policy(
            RoleName=ROLE.rpartition("/")[2],
            PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statement}),
        )
        ended = market.imported(market.start_import(action[3:], rows_of(now), **publish))
        assert ended["status"] == status
        assert status == "ACTIVE" or "s3:PutObject" in ended["failureReason"]

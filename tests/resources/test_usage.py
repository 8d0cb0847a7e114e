"""What is used is counted: trainings, imports, requests, and the capacity held for them."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from nextpick.api.metered import throttled
from nextpick.clock import ManualClock
from nextpick.errors import Throttling
from nextpick.resources import usage
from nextpick.resources.usage import loads
from nextpick.store.rates import Rates
from nextpick.store.usage import UsageCounter, requests
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.structs import GetRecommendations
from worlds import Api, Shop, checkerboard, open_api

WINDOW = 300


def test_the_larger_of_average_and_minimum_is_charged_in_each_window() -> None:
    counts = {"a": {0: 3000, 300: 30}}
    steps = {"a": [(100.0, 1), (450.0, 4), (900.0, 0)], "idle": [(600.0, 2)]}
    found = loads(counts, steps, start=0, end=1200, period=300)
    assert [(one.arn, one.start, one.requests, one.minimum) for one in found] == [
        ("a", 0, 3000, 1),
        ("a", 300, 30, 4),  # the larger minimum of the two that were held
        ("a", 600, 0, 4),
        ("idle", 600, 0, 2),
        ("idle", 900, 0, 2),
    ]
    assert [one.average for one in found] == [10.0, 0.1, 0.0, 0.0, 0.0]
    assert [one.tps_hours for one in found] == pytest.approx([10 / 12, 4 / 12, 4 / 12, 2 / 12, 2 / 12])
    hour = loads(counts, steps, start=0, end=3600, period=3600)
    assert [(one.arn, one.requests, one.minimum) for one in hour] == [("a", 3030, 4), ("idle", 0, 2)]
    assert [one.tps_hours for one in hour] == pytest.approx([18 / 12, 20 / 12])


def test_old_counts_are_let_go(tmp_path: Path) -> None:
    clock = ManualClock(1000.0)
    for _ in range(2):
        counter = UsageCounter(tmp_path, "one", clock)
        counter.count("a")
        counter.close()
        clock.advance(500 * 86400.0)
    assert list(requests(tmp_path, 0, 2**40)["a"].values()) == [1]


def test_counts_are_on_disk_when_a_counter_is_closed_and_add_up(tmp_path: Path) -> None:
    clock = ManualClock(1000.0)
    for name, times in (("one", 3), ("two", 4), ("one", 5)):
        counter = UsageCounter(tmp_path, name, clock)
        for _ in range(times):
            counter.count("a")
        counter.close()
    assert requests(tmp_path, 0, 3000) == {"a": {900: 12}}
    assert requests(tmp_path, 1200, 3000) == {}


def test_a_killed_process_loses_the_last_seconds_at_most(tmp_path: Path) -> None:
    code = """if True:
        import os, sys, time
        from pathlib import Path
        from nextpick.clock import SystemClock
        from nextpick.store.usage import UsageCounter, requests
        counter = UsageCounter(Path(sys.argv[1]), "w", SystemClock())
        for _ in range(1000):
            counter.count("a")
        while not requests(Path(sys.argv[1]), 0, 2**40):
            time.sleep(0.05)
        counter.count("a")
        os.kill(os.getpid(), 9)
    """
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=60)
    assert ended.returncode == -9
    assert sum(requests(tmp_path, 0, 2**40)["a"].values()) in (1000, 1001)


def test_a_cost_page_can_be_made(api: Api) -> None:
    began = time.time()
    shop = Shop(api)
    text = checkerboard()
    job = shop.start_import("one", text)
    assert shop.imported(job)["status"] == "ACTIVE"
    version = shop.train(shop.solution(recipe="aws-popularity-count"))
    trained = shop.trained(version)
    campaign = shop.deployed("c", version, minProvisionedTPS=3)
    idle = shop.deployed("idle", version)
    for i in range(7):
        shop.recommend(campaign, userId=f"u{i}")
    with pytest.raises(ClientError):
        shop.recommend(campaign, userId="u", numResults=501)  # not answered, not counted

    def used() -> dict:
        return api.nextpick.get_usage(startTime=began - 600, endTime=time.time() + 600, period=3600)

    deadline = time.monotonic() + 20
    while sum(one["requests"] for one in used()["requests"]) < 7:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = used()
    assert [(t["resourceArn"], t["hours"]) for t in found["trainings"]] == [
        (version, trained["trainingHours"])
    ]
    assert [(i["resourceArn"], i["bytes"]) for i in found["imports"]] == [(job, len(text))]
    windows = []
    for arn, asked, minimum in ((campaign, 7, 3), (idle, 0, 1)):
        hours = [one for one in found["requests"] if one["resourceArn"] == arn]
        assert sum(one["requests"] for one in hours) == asked
        assert {one["minimumTps"] for one in hours} == {minimum}
        windows.append(round(sum(one["tpsHours"] for one in hours) * 12 / minimum, 6))
    assert windows[1] in (1.0, 2.0)  # a window, or two when the test met a new one
    assert windows[0] - windows[1] in (0.0, 1.0)  # which may have been between the two campaigns
    other = api.library.client("nextpick", region="eu-west-1")
    nothing = other.get_usage(startTime=began - 600, endTime=time.time() + 600)
    assert (nothing["trainings"], nothing["imports"], nothing["requests"]) == ([], [], [])


def test_capacity_ends_with_its_campaign_and_follows_an_update(api: Api) -> None:
    shop = Shop(api)
    assert shop.imported(shop.start_import("one", checkerboard()))["status"] == "ACTIVE"
    version = shop.train(shop.solution(recipe="aws-popularity-count"))
    assert shop.trained(version)["status"] == "ACTIVE"
    campaign = shop.deployed("c", version)
    api.personalize.update_campaign(campaignArn=campaign, minProvisionedTPS=9)
    api.settle(lambda: api.personalize.describe_campaign(campaignArn=campaign))
    ask = {"startTime": time.time() - 900, "endTime": time.time() + 900}
    assert max(one["minimumTps"] for one in api.nextpick.get_usage(**ask)["requests"]) == 9
    api.personalize.delete_campaign(campaignArn=campaign)
    with api.library.engine.records.read() as tx:
        steps = usage.capacities(tx, "000000000000", "us-east-1")[campaign]
    assert [minimum for _, minimum in steps] == [1, 9, 0]


@pytest.mark.parametrize(
    "asked",
    [
        {"startTime": 10, "endTime": 5},
        {"startTime": 0, "endTime": 600, "period": 301},
        {"startTime": 0, "endTime": 10**9},
    ],
)
def test_a_range_that_cannot_be_answered_is_refused(api: Api, asked: dict) -> None:
    with pytest.raises(ClientError) as raised:
        api.nextpick.get_usage(**asked)
    assert raised.value.response["Error"]["Code"] == "InvalidInputException"


def test_rates_are_counted_by_all_processes_together(tmp_path: Path) -> None:
    one, two = Rates(tmp_path / "rates"), Rates(tmp_path / "rates")
    taken = [rates.take("k", 3, 5) for rates in (one, two, one, two, one)]
    assert taken == [True, True, True, False, False]
    assert two.take("other", 3, 5)
    assert one.take("k", 3, 6)
    for i in range(4000):
        assert one.take(f"k{i}", 1, 7)
    one.close()
    two.close()


def test_beyond_its_rate_an_operation_is_throttled(tmp_path: Path) -> None:
    async def answer(call: Call, request: object) -> None:
        return None

    rates, clock = Rates(tmp_path / "rates"), ManualClock(50.0)
    call = Call("1", "r", "key", "id", "PutItems")
    handler = throttled(rates, clock, "PutItems", Route(answer, inline=True)).handler
    for _ in range(10):
        asyncio.run(handler(call, {}))
    with pytest.raises(Throttling):
        asyncio.run(handler(call, {}))
    asyncio.run(handler(call._replace(region="other"), {}))
    clock.advance(1.0)
    asyncio.run(handler(call, {}))
    rates.close()


def test_campaigns_and_accounts_have_rates_of_their_own(tmp_path: Path) -> None:
    rates, clock = Rates(tmp_path / "rates"), ManualClock(50.0)
    call = Call("1", "r", "key", "id", "GetRecommendations")
    route = Route(lambda call, request: b"{}", inline=True)
    handler = throttled(rates, clock, "GetRecommendations", route).handler

    def ask(campaign: str) -> bytes:
        return handler(call, GetRecommendations(campaignArn=campaign))

    for campaign in "abcd":
        assert [ask(campaign) for _ in range(500)] == [b"{}"] * 500
    with pytest.raises(Throttling, match="500 times"):
        ask("a")
    assert [ask("e") for _ in range(500)] == [b"{}"] * 500
    with pytest.raises(Throttling, match="2500 times"):
        ask("f")
    ranking = throttled(rates, clock, "GetPersonalizedRanking", route).handler
    clock.advance(1.0)
    assert ask("a") == ranking(call, GetRecommendations(campaignArn="a")) == b"{}"
    rates.close()


def test_rates_are_off_unless_asked_for(tmp_path: Path, api: Api) -> None:
    assert not (api.library.home / "rates").exists()
    limited = open_api(tmp_path / "limited", rate_quotas=True)
    try:
        group = limited.personalize.create_dataset_group(name="g")["datasetGroupArn"]
        tracker = limited.personalize.create_event_tracker(name="t", datasetGroupArn=group)["trackingId"]
        event = {"eventType": "e", "sentAt": 1, "itemId": "i"}
        rates = Rates(limited.library.home / "rates")
        events = limited.library.client(
            "personalize-events", parameter_validation=False, retries={"total_max_attempts": 1}
        )
        put = {"trackingId": tracker, "sessionId": "s", "eventList": [event]}
        events.put_events(**put)
        code, tries = "", 0
        while code != "ThrottlingException":  # a new second may begin between the filling and the call
            tries += 1
            assert tries < 20
            while rates.take("000000000000 us-east-1 PutEvents", 1000, int(time.time())):
                pass
            try:
                events.put_events(**put)
            except ClientError as error:
                code = error.response["Error"]["Code"]
        rates.close()
    finally:
        limited.library.close()

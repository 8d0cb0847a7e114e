"""Running costs: a bill from what was used, and what nobody uses."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from nextpick.automation import Context
from nextpick.cli.main import app
from nextpick.costs import idle, report
from nextpick.costs.report import BadTariff, Line, Usage
from worlds import Api, Shop, checkerboard, open_api

DAY = 86_400.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    api = open_api(tmp_path / "home")
    shop = Shop(api)
    assert shop.imported(shop.start_import("all", checkerboard()))["status"] == "ACTIVE"
    yield shop
    api.library.close()


def counted(api: Api, campaign: str, requests: int) -> Usage:
    """Return the usage of the last day once it has a campaign's requests: counts are written every other second."""
    deadline = time.monotonic() + 20
    while True:
        used = report.usage(api.nextpick, time.time() - DAY, time.time() + 60)
        if used.requests.get(campaign) == requests:
            return used
        assert time.monotonic() < deadline, used
        time.sleep(0.1)


def test_what_is_free_costs_nothing_and_the_rest_its_price() -> None:
    prices = report.tariff()
    lines = report.bill(Usage(30.0, 150.0, {"a": 60.0, "b": 20.0}, {}), prices)
    assert lines[0] == Line("ingestion", 30.0, "GB", pytest.approx(0.5))
    assert lines[1] == Line("training", 150.0, "hours", pytest.approx(12.0))
    assert [line.what for line in lines[2:]] == ["a", "b"]
    assert sum(line.amount for line in lines[2:]) == pytest.approx(30 * 0.20)
    assert lines[2].amount == pytest.approx(3 * lines[3].amount)
    assert sum(line.amount for line in report.bill(Usage(1.0, 1.0, {"a": 1.0}, {}), prices)) == 0


@pytest.mark.parametrize(
    ("quantity", "cost"),
    [(0, 0), (20_000, 4000), (20_001, 4000.10), (200_000, 22_000), (200_100, 22_005)],
)
def test_each_part_costs_what_its_tier_says(quantity: float, cost: float) -> None:
    assert report.tiered(quantity, report.tariff().tiers) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[ingestion", r"tariff\.toml: "),
        ("[ingestion]\ngb = 1", "'recommendations' is missing"),
        (
            "[ingestion]\ngb = 1\n[training]\nhour = 1\n[[recommendations]]\nup_to = 5\ntps_hour = 1",
            "must rise",
        ),
    ],
)
def test_a_tariff_that_cannot_be_read_says_why(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "tariff.toml"
    path.write_text(text)
    with pytest.raises(BadTariff, match=wrong):
        report.tariff(path)


def test_what_is_used_is_on_the_bill_and_what_is_not_is_idle(shop: Shop) -> None:
    api = shop.api
    version = shop.trained(shop.train(shop.solution("s", "aws-popularity-count")))["solutionVersionArn"]
    asked, unasked = (shop.deployed(name, version) for name in ("asked", "unasked"))
    time.sleep(0.01)
    at = time.time()
    for _ in range(5):
        shop.recommend(asked, userId="u1")
    now = time.time()
    used = counted(api, asked, 5)
    assert used.hours > 0
    assert used.gb > 0
    assert used.tps_hours.keys() == {asked, unasked}
    assert idle.find(api.personalize, api.nextpick, 7, now) == [], "both are new"
    found = idle.find(api.personalize, api.nextpick, (now - at) / DAY, now, solutions=True)
    assert [one.arn for one in found] == [unasked], "the solution is served by the other"


def test_a_campaign_that_was_asked_is_kept_and_so_is_its_solution(shop: Shop) -> None:
    api = shop.api
    version = shop.trained(shop.train(shop.solution("s", "aws-popularity-count")))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    time.sleep(0.01)
    at = time.time()
    shop.recommend(campaign, userId="u1")
    counted(api, campaign, 1)
    days = (time.time() - at) / DAY
    assert idle.find(api.personalize, api.nextpick, days, time.time(), solutions=True) == []


def test_what_is_idle_can_be_removed_in_order(shop: Shop) -> None:
    api = shop.api
    version = shop.trained(shop.train(shop.solution("s", "aws-popularity-count")))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    now = time.time() + 60
    found = idle.find(api.personalize, api.nextpick, 0, now, solutions=True)
    assert [one.kind for one in found] == ["campaign", "solution"]
    assert idle.remove(api.personalize, found) == [(one, None) for one in found]
    api.personalize.describe_campaign(campaignArn=campaign)  # once more, as deleted
    with pytest.raises(ClientError, match="does not exist"):
        api.personalize.describe_campaign(campaignArn=campaign)
    assert idle.find(api.personalize, api.nextpick, 0, now, solutions=True) == []


def test_a_schedule_cleans_up_and_says_what_it_did(shop: Shop) -> None:
    api = shop.api
    version = shop.trained(shop.train(shop.solution("s", "aws-popularity-count")))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    home = api.library.home
    nothing: Any = None
    later = SimpleNamespace(now=lambda: time.time() + 60)
    context = Context(api.library.settings, later, nothing, api.library.client)
    firing: Any = SimpleNamespace(action={"kind": "clean-up", "days": 0.0})
    doing: Any = SimpleNamespace(context=context)
    idle.perform(doing, firing)
    (line,) = map(json.loads, (home / "costs.jsonl").read_text().splitlines())
    assert (line["arn"], line["reason"]) == (campaign, None)
    assert api.personalize.list_campaigns()["campaigns"] == []
    added = CliRunner().invoke(
        app, ["schedule", "add", "tidy", "--rate", "rate(1 day)", "--run", "clean-up:14", "--home", str(home)]
    )
    assert added.exit_code == 0, added.output
    listed = CliRunner().invoke(app, ["schedule", "list", "--home", str(home)])
    assert "clean-up:14" in listed.output

"""What is streamed leaves the log for its dataset exactly once, whatever is killed when."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from films import COMEDY, World
from nextpick.resources.datasets import Fold, parts_after, take_fold
from nextpick.store.records import Resource
from worlds import Api, open_api

COMEDIES = 'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")'


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    opened = open_api(tmp_path / "home", compact_after_s=1.0)
    yield opened
    opened.library.close()


def rows_in_log(api: Api) -> int:
    found = 0
    for path in (api.library.home / "log").glob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            found += connection.execute("SELECT COUNT(*) FROM event").fetchone()[0]
    return found


def until(condition: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def click(world: World, item: int, n: int) -> None:
    event = {"eventType": "rent", "sentAt": 1_800_000_000 + n, "itemId": f"i{item}"}
    world.api.events.put_events(trackingId=world.tracker, userId="u1", sessionId="s", eventList=[event])


def trained_on(world: World, name: str) -> int:
    version = world.version(name, "aws-popularity-count")
    (job,) = world.api.nextpick.list_jobs(resourceArn=version)["jobs"]
    return json.loads(world.api.nextpick.get_job_report(jobId=job["jobId"])["report"])["interactions"]


def test_events_and_records_leave_the_log_and_count_once(api: Api) -> None:
    world = World(api)
    rented = world.filter("rented", 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("rent")')
    for n, item in enumerate((1, 2, 5)):
        click(world, item, n)
    item = {"itemId": "i1", "properties": '{"genre": "comedy", "year": 1, "title": "t", "adult": true}'}
    api.events.put_items(datasetArn=world.items, items=[item])
    assert rows_in_log(api) == 4
    before = trained_on(world, "before")
    assert before == 60 * 20 + 3
    world.deployed("fresh", world.version("fresh", "aws-user-personalization"))
    api.personalize.delete_campaign(campaignArn=world.campaign)
    api.personalize.delete_solution(solutionArn=world.campaign.replace("campaign/c", "solution/s"))
    until(lambda: rows_in_log(api) == 0, 60)

    def known() -> set[str]:
        answer = world.recommend(
            world.campaign.replace("campaign/c", "campaign/fresh"), userId="u1", filterArn=rented
        )
        return {found["itemId"] for found in answer["itemList"]}

    assert known() == {"i1", "i2", "i5"}
    assert trained_on(world, "after") == before
    campaign = world.campaign.replace("campaign/c", "campaign/fresh")
    assert world.items_of(COMEDIES, campaign=campaign) == COMEDY | {1}
    click(world, 6, 9)
    assert known() == {"i1", "i2", "i5", "i6"}


def test_a_fold_that_another_one_overtook_is_not_taken() -> None:
    dataset = resource(parts=["bulk"], folded={"w": 3})
    first, second = Fold("put.a", 5, {"w": 3}, {"w": 9}), Fold("put.b", 6, {"w": 3}, {"w": 10})
    assert take_fold(dataset, first)
    assert not take_fold(dataset, second), "it begins where the first did"
    assert dataset.internal["parts"] == ["bulk", "put.a"]
    assert take_fold(dataset, Fold(None, 0, {"w": 9}, {"w": 12}))
    assert dataset.internal["folded"] == {"w": 12}
    assert parts_after(dataset.internal["parts"], "FULL", "new") == ["put.a", "new"]


def resource(**internal: object) -> Resource:
    return Resource(
        arn="arn",
        account="1",
        region="r",
        kind="dataset",
        name="d",
        parent=None,
        status="ACTIVE",
        body={},
        internal=internal,
        created_at=0.0,
        updated_at=0.0,
    )

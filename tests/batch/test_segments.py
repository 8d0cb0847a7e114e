"""Batch segment jobs through the API: the users most drawn to an item, or to items with attributes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from films import World
from worlds import ROLE, open_api


class Segments(World):
    """The films, versions of both recipes, and shorthand for segment jobs."""

    def __init__(self, api: Any) -> None:
        super().__init__(api)
        (api.library.home / "buckets" / "out").mkdir(parents=True)
        self.by_item = self.version("by-item", "aws-item-affinity")
        self.by_attribute = self.version("by-attribute", "aws-item-attribute-affinity")

    def lines(self, name: str, version: str, text: str, **more: Any) -> list[str]:
        """Run a job over a text and return its lines."""
        arn = self.api.personalize.create_batch_segment_job(
            jobName=name,
            solutionVersionArn=version,
            roleArn=ROLE,
            jobInput={"s3DataSource": {"path": self.api.put_object("in", f"{name}.json", text)}},
            jobOutput={"s3DataDestination": {"path": "s3://out/"}},
            **more,
        )["batchSegmentJobArn"]
        done = self.api.settle(
            lambda: self.api.personalize.describe_batch_segment_job(batchSegmentJobArn=arn)
        )
        assert done["status"] == "ACTIVE", done
        return (self.api.library.home / "buckets" / "out" / f"{name}.json.out").read_text().splitlines()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Segments]:
    api = open_api(Path(tmp_path_factory.mktemp("segments")))
    yield Segments(api)
    api.library.close()


def users(line: str) -> list[int]:
    """Return the numbers of a line's users."""
    return [int(user[1:]) for user in json.loads(line)["output"]["usersList"]]


def test_users_who_like_items_like_it_come_first(world: Segments) -> None:
    even, odd, unknown = world.lines(
        "item", world.by_item, '{"itemId": "i4"}\n{"itemId": "i7"}\n{"itemId": "none"}', numResults=10
    )
    assert even.startswith('{"input": {"itemId": "i4"}, "output": {"usersList": ["u')
    assert even.endswith('"]}, "error": null}')
    assert ", " not in even.partition("[")[2].partition("]")[0]
    assert {user % 2 for user in users(even)} == {0}
    assert {user % 2 for user in users(odd)} == {1}
    assert len(users(even)) == 10
    assert json.loads(unknown)["output"] is None
    assert "none was not there" in json.loads(unknown)["error"]


def test_attributes_must_all_hold(world: Segments) -> None:
    asked = [
        'ITEMS.GENRE = "horror" AND items.genre = "drama"',
        "ITEMS.YEAR = 1984",
        'ITEMS.GENRE = "none"',
        'ITEMS.GENRE > "none"',
    ]
    text = "\n".join(json.dumps({"itemAttributes": one}) for one in asked)
    both, year, none, wrong = world.lines("attributes", world.by_attribute, text)
    assert len(users(both)) == 25
    assert {user % 2 for user in users(year)[:10]} == {0}, "i4, of 1984, is for even users"
    assert "No item has GENRE = none" in json.loads(none)["error"]
    assert "it must be like" in json.loads(wrong)["error"]


def test_a_filter_about_users_holds_for_segments(world: Segments) -> None:
    young = world.filter("young", "EXCLUDE UserID WHERE Users.AGE >= $AGE")
    text = json.dumps({"itemId": "i4", "filterValues": {"AGE": "10"}})
    (line,) = world.lines("young", world.by_item, text, filterArn=young)
    assert sorted(users(line)) == list(range(10))
    assert sorted(users(line)[:5]) == [0, 2, 4, 6, 8]
    event = {"eventType": "rent", "sentAt": 1_800_000_000, "itemId": "i4"}
    world.api.events.put_events(trackingId=world.tracker, userId="u6", sessionId="s", eventList=[event])
    rented = world.filter("rented", 'INCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("rent")')
    (line,) = world.lines("rented", world.by_item, '{"itemId": "i4"}', filterArn=rented)
    assert users(line) == [6]


def test_metrics_have_the_keys_of_segments(world: Segments) -> None:
    for version in (world.by_item, world.by_attribute):
        metrics = world.api.personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
        assert list(metrics) == ["coverage", "hits_at_1_percent", "recall_at_1_percent"]
        assert 0 < metrics["recall_at_1_percent"] <= 1


def test_a_segmenting_version_makes_no_campaign_and_no_inference_job(world: Segments) -> None:
    with pytest.raises(ClientError, match="which is for batch segment jobs"):
        world.api.personalize.create_campaign(name="no", solutionVersionArn=world.by_item)
    with pytest.raises(ClientError, match="which is for a batch segment job"):
        world.api.personalize.create_batch_inference_job(
            jobName="no",
            solutionVersionArn=world.by_item,
            roleArn=ROLE,
            jobInput={"s3DataSource": {"path": "s3://in/x"}},
            jobOutput={"s3DataDestination": {"path": "s3://out/"}},
        )


def test_a_campaign_is_not_updated_to_a_version_for_segments(world: Segments) -> None:
    with pytest.raises(ClientError, match="is for batch segment jobs") as raised:
        world.api.personalize.update_campaign(campaignArn=world.campaign, solutionVersionArn=world.by_item)
    assert raised.value.response["Error"]["Code"] == "InvalidInputException"


def test_a_filter_of_a_segment_is_about_users(world: Segments) -> None:
    create = world.api.personalize.create_batch_segment_job
    paths = {
        "jobInput": {"s3DataSource": {"path": "s3://in/a"}},
        "jobOutput": {"s3DataDestination": {"path": "s3://out/"}},
    }
    about_items = world.filter("about-items", "INCLUDE ItemID WHERE Items.YEAR > 1990")
    about_events = world.filter("about-events", 'EXCLUDE UserID WHERE Interactions.EVENT_TYPE IN ("click")')
    for version, filter_, words in (
        (world.by_item, about_items, "needs one about UserID"),
        (world.by_attribute, about_events, "aws-item-attribute-affinity cannot filter by"),
    ):
        with pytest.raises(ClientError, match=words) as raised:
            create(jobName="refused", solutionVersionArn=version, roleArn=ROLE, filterArn=filter_, **paths)
        assert raised.value.response["Error"]["Code"] == "InvalidInputException"


def test_a_file_has_as_many_queries_as_the_quota_says(world: Segments) -> None:
    arn = world.api.personalize.create_batch_segment_job(
        jobName="long",
        solutionVersionArn=world.by_attribute,
        roleArn=ROLE,
        jobInput={
            "s3DataSource": {
                "path": world.api.put_object("in", "long.json", '{"itemAttributes": "x"}\n' * 11)
            }
        },
        jobOutput={"s3DataDestination": {"path": "s3://out/"}},
    )["batchSegmentJobArn"]
    done = world.api.settle(lambda: world.api.personalize.describe_batch_segment_job(batchSegmentJobArn=arn))
    assert done["status"] == "CREATE FAILED"
    assert done["failureReason"] == "long.json has more than 10 lines."

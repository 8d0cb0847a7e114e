"""Batch jobs with a filter: each line has values of its own, and events of a moment ago count."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from films import COMEDY, World
from worlds import ROLE, open_api


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(Path(tmp_path_factory.mktemp("filtered")))
    (api.library.home / "buckets" / "out").mkdir(parents=True)
    yield World(api)
    api.library.close()


def run(world: World, name: str, text: str, filter: str) -> list[dict]:
    """Run a job with a filter and return its lines."""
    version = world.api.personalize.describe_campaign(campaignArn=world.campaign)["campaign"][
        "solutionVersionArn"
    ]
    arn = world.api.personalize.create_batch_inference_job(
        jobName=name,
        solutionVersionArn=version,
        roleArn=ROLE,
        filterArn=filter,
        numResults=100,
        jobInput={"s3DataSource": {"path": world.api.put_object("in", f"{name}.json", text)}},
        jobOutput={"s3DataDestination": {"path": "s3://out"}},
    )["batchInferenceJobArn"]
    done = world.api.settle(
        lambda: world.api.personalize.describe_batch_inference_job(batchInferenceJobArn=arn)
    )
    assert done["status"] == "ACTIVE", done
    written = (world.api.library.home / "buckets" / "out" / f"{name}.json.out").read_text()
    return [json.loads(line) for line in written.splitlines()]


def items(line: dict) -> set[int]:
    """Return the numbers of a line's items."""
    return {int(item[1:]) for item in line["output"]["recommendedItems"]}


def test_each_line_is_filtered_by_its_own_values(world: World) -> None:
    genre = world.filter("genre", "INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)")
    asked = [{"userId": "u1", "filterValues": {"GENRE": text}} for text in ('"comedy"', '"x"')]
    text = "\n".join(map(json.dumps, [*asked, {"userId": "u1"}]))
    comedy, none, lacking = run(world, "genre", text, genre)
    assert items(comedy) == COMEDY
    assert comedy["input"] == {"userId": "u1", "filterValues": {"GENRE": '"comedy"'}}
    assert items(none) == set()
    assert "filterValues lack GENRE" in lacking["error"]


def test_events_of_a_moment_ago_count(world: World) -> None:
    event = {"eventType": "rent", "sentAt": 1_800_000_000, "itemId": "i3"}
    world.api.events.put_events(trackingId=world.tracker, userId="new", sessionId="s", eventList=[event])
    rented = world.filter("rented", 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("rent")')
    new, other = run(world, "rented", '{"userId":"new"}\n{"userId":"u1"}\n', rented)
    assert (items(new), items(other)) == ({3}, set())


def test_a_filter_of_another_group_is_not_found_here(world: World) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        run(world, "missing", "{}", world.group.replace("dataset-group/shop", "filter/none"))

"""Deleting users: from parts, the log, snapshots, models, and what is in memory; nothing of them is left on disk."""

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from films import World
from nextpick.data.dataset import open_snapshot
from nextpick.store.stream import Config, New, Record, Stream, hash_of, letters_path
from nextpick.stream.letters import DeadLetters
from nextpick.stream.registry import Streams
from worlds import ROLE, Api, open_api

GONE = "a-user-to-be-forgotten"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    opened = open_api(tmp_path / "home")
    yield opened
    opened.library.close()


def delete(api: Api, group: str, text: str, name: str = "forget") -> dict[str, Any]:
    arn = api.personalize.create_data_deletion_job(
        jobName=name,
        datasetGroupArn=group,
        roleArn=ROLE,
        dataSource={"dataLocation": api.put_object("gone", f"{name}/users.csv", text)},
    )["dataDeletionJobArn"]
    assert arn.endswith(f":data-deletion-job/{name}")
    return api.settle(lambda: api.personalize.describe_data_deletion_job(dataDeletionJobArn=arn))


def report(api: Api, resource: str) -> dict[str, Any]:
    (job,) = api.nextpick.list_jobs(resourceArn=resource)["jobs"]
    return json.loads(api.nextpick.get_job_report(jobId=job["jobId"])["report"])


def files_with(home: Path, text: str) -> list[str]:
    """Return the files, but the buckets', that hold a text."""
    # in a process of its own: closing a database's file here would end the locks that the engine has on it
    said = subprocess.run(["grep", "-rlF", text, "."], cwd=home, capture_output=True, text=True, check=False)
    return [name for name in said.stdout.splitlines() if not name.startswith("./buckets/")]


def known_everywhere(api: Api) -> World:
    """Return a world in which a user was imported, streamed, put and trained on."""
    world = World(api)
    rows = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    rows += [f"{GONE},i{step % 40},click,{1_700_001_000 + step}" for step in range(1000)]
    world.bring(world.dataset, "more-events", rows, "INCREMENTAL")
    world.bring(world.users, "more-users", ["USER_ID,AGE", f"{GONE},77"], "INCREMENTAL")
    api.events.put_users(datasetArn=world.users, users=[{"userId": GONE, "properties": '{"age": 78}'}])
    for user in (None, GONE):
        event = {"eventType": "rent", "sentAt": 1_800_000_000, "itemId": "i9"}
        named = {} if user is None else {"userId": user}
        api.events.put_events(trackingId=world.tracker, sessionId="of-the-user", eventList=[event], **named)
    in_a_stream(world)
    world.version("knows", "aws-user-personalization")
    world.version("segments", "aws-item-affinity")
    return world


def in_a_stream(world: World) -> Stream:
    """Send events of the user, and others, to a stream, one of them twice: it is a dead letter too."""
    now = time.time()  # what is older than a day is trimmed
    streams = Streams(world.api.library.home)
    stream = streams.create(Config("clicks", "000000000000", "us-east-1", 2, now))
    sent = {"trackingId": world.tracker, "eventType": "rent"}
    lines = [
        {**sent, "userId": GONE, "sessionId": "streamed"},
        {**sent, "userId": GONE},
        {**sent, "sessionId": "streamed"},
        {**sent, "userId": "u1", "sessionId": "another"},
        {**sent, "userId": GONE[::-1], "trackingId": "of-another-group"},
    ]
    data = [*(json.dumps(line).encode() for line in lines), b"no JSON"]
    stream.append([New(f"{n}", line, hash_of(f"{n}")) for n, line in enumerate(data)], now)
    for line in (data[0], data[3]):
        DeadLetters(stream).write("events", [Record(0, 1, "k", line, now)], "why", now)
    return stream


def test_nothing_of_a_deleted_user_is_left(api: Api) -> None:
    world = known_everywhere(api)
    latest = world.campaign.replace("campaign/c", "solution/knows") + "/$LATEST"
    exact = {"itemExplorationConfig": {"explorationWeight": "0"}}  # what is tried out changes with the hour
    campaign = world.deployed("knows", latest, campaignConfig=exact)
    rule = 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("rent")'
    assert world.items_of(rule, user=GONE, campaign=campaign) == {9}
    before = world.recommend(campaign, userId="u1", numResults=40)["itemList"]
    assert files_with(api.library.home, GONE) != []
    done = delete(api, world.group, f"USER_ID\n{GONE}\nnobody-we-know\n")
    assert done["status"] == "COMPLETED", done
    assert done["numDeleted"] == 1000 + 1 + 3 + 4
    told = report(api, done["dataDeletionJobArn"])
    assert told["found_afterwards"] == 0
    assert (told["deleted"]["versions"], told["deleted"]["records_in_streams"]) == (2, 4)
    stream = Streams(api.library.home).get("000000000000", "us-east-1", "clicks")
    assert [b"u1" in data or b"another" in data or data == b"no JSON" for data in stream.all_data()] == [
        True
    ] * 3
    (letter,) = letters_path(stream.directory).read_text().splitlines()
    assert b"u1" in base64.b64decode(json.loads(letter)["data"])
    assert files_with(api.library.home, GONE) == []
    assert world.items_of(rule, user=GONE, campaign=campaign) == set(), "nor in memory"
    assert world.recommend(campaign, userId="u1", numResults=40)["itemList"] == before, "others' answers stay"


def test_what_is_trained_afterwards_never_saw_the_user(api: Api) -> None:
    world = known_everywhere(api)
    assert delete(api, world.group, f"USER_ID\n{GONE}\n")["status"] == "COMPLETED"
    version = world.version("later", "aws-popularity-count")
    assert report(api, version)["interactions"] == 60 * 20
    (directory,) = (
        path.parent
        for path in (api.library.home / "blobs/versions").glob("*/version.json")
        if json.loads(path.read_text())["recipe"] == "aws-popularity-count"
    )
    assert open_snapshot(directory / "snapshot").users.ids.row(GONE) == -1
    assert delete(api, world.group, f"USER_ID\n{GONE}\n", "again")["numDeleted"] == 0


def test_a_deleted_user_is_in_no_segment(api: Api) -> None:
    world = known_everywhere(api)
    assert delete(api, world.group, f"USER_ID\n{GONE}\n")["status"] == "COMPLETED"
    (api.library.home / "buckets/out").mkdir()
    version = api.personalize.describe_solution(
        solutionArn=world.campaign.replace("campaign/c", "solution/segments")
    )["solution"]["latestSolutionVersion"]["solutionVersionArn"]
    arn = api.personalize.create_batch_segment_job(
        jobName="seg",
        solutionVersionArn=version,
        roleArn=ROLE,
        numResults=100,
        jobInput={"s3DataSource": {"path": api.put_object("in", "s.json", '{"itemId": "i4"}')}},
        jobOutput={"s3DataDestination": {"path": "s3://out/"}},
    )["batchSegmentJobArn"]
    done = api.settle(lambda: api.personalize.describe_batch_segment_job(batchSegmentJobArn=arn))
    assert done["status"] == "ACTIVE"
    users = json.loads((api.library.home / "buckets/out/s.json.out").read_text())["output"]["usersList"]
    assert len(users) == 60
    assert all(user.startswith("u") for user in users)


def test_input_that_is_no_list_of_users_fails_and_deletes_nothing(api: Api) -> None:
    world = World(api)
    wrong = delete(api, world.group, "USER_ID,AGE\nu1,2\n")
    assert wrong["status"] == "FAILED"
    assert "it needs one, USER_ID" in wrong["failureReason"]
    assert "names no users" in delete(api, world.group, "USER_ID\n", "empty")["failureReason"]
    with pytest.raises(ClientError, match="Invalid Data location"):
        api.personalize.create_data_deletion_job(
            jobName="x",
            datasetGroupArn=world.group,
            roleArn=ROLE,
            dataSource={"dataLocation": "https://gone"},
        )
    listed = api.personalize.list_data_deletion_jobs(datasetGroupArn=world.group)["dataDeletionJobs"]
    assert [job["jobName"] for job in listed] == ["empty", "forget"], "the newest first"
    assert world.recommend(world.campaign, userId="u1")["itemList"]


def test_the_events_of_a_groups_tracker_are_deleted_as_its_event_interactions(api: Api) -> None:
    world = World(api)
    event = {"eventType": "rent", "sentAt": 1_800_000_000, "itemId": "i9"}
    api.events.put_events(trackingId=world.tracker, sessionId="s", userId=GONE, eventList=[event])
    rented = 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("rent")'
    assert world.items_of(rented, user=GONE) == {9}
    events = world.dataset.replace("/INTERACTIONS", "/EVENT_INTERACTIONS")
    with pytest.raises(ClientError, match="is in use by"):
        api.personalize.delete_dataset(datasetArn=events)
    (tracker,) = api.personalize.list_event_trackers(datasetGroupArn=world.group)["eventTrackers"]
    api.personalize.delete_event_tracker(eventTrackerArn=tracker["eventTrackerArn"])
    assert world.items_of(rented, user=GONE) == {9}, "events outlive their tracker"
    api.personalize.delete_dataset(datasetArn=events)
    while {job["state"] for job in api.nextpick.list_jobs(resourceArn=world.dataset)["jobs"]} != {"DONE"}:
        time.sleep(0.05)
    assert world.items_of(rented, user=GONE) == set()
    with pytest.raises(ClientError, match="EVENT_INTERACTIONS does not exist"):
        api.personalize.delete_dataset(datasetArn=events)

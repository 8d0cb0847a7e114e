"""A version with a network, from a CSV to answers: trained by a job, served without what only training needs."""

import importlib.util
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from served import Server, children_of, command_of, wait_for_job_process
from worlds import INTERACTIONS_SCHEMA, Shop

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="the extra torch is not installed"),
    pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at processes through /proc"),
]

TYPES, EACH, USERS, LENGTH = 4, 5, 210, 8
TYPED_SCHEMA = INTERACTIONS_SCHEMA.replace(
    '{"name": "TIMESTAMP"', '{"name": "EVENT_TYPE", "type": "string"}, {"name": "TIMESTAMP"'
)


def typed() -> str:
    """Return histories in which the type of an event is the class of the next item, which the engine cannot tell."""
    rng = np.random.default_rng(0)
    rows = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    for user in range(USERS):
        types = rng.integers(0, TYPES, LENGTH)
        items = np.roll(types, 1) * EACH + rng.integers(0, EACH, LENGTH)
        for at, (item, kind) in enumerate(zip(items, types, strict=True)):
            rows.append(f"u{user},i{item},t{kind},{1_700_000_000 + 3600 * at + user}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    server = Server(tmp_path_factory.mktemp("network") / "home", workers=1).start()
    made = Shop(server, schema=TYPED_SCHEMA)
    assert made.imported(made.start_import("all", typed()))["status"] == "ACTIVE"
    yield made
    server.stop()


def test_a_campaign_answers_by_the_network_and_its_worker_has_never_met_torch(shop: Shop) -> None:
    arn = shop.train(shop.solution("s", "aws-user-personalization-v2"))
    version = shop.trained(arn)
    assert version["status"] == "ACTIVE"
    assert version["description"].startswith("Served by the instant engine and a network: ")
    told = json.loads(shop.api.nextpick.get_job_report(resourceArn=arn)["report"])["network"]
    assert told["used"], told
    campaign = shop.deployed("personal", arn)
    tracker = tracker_of(shop)
    for kind in range(TYPES):
        user = f"new{kind}"
        for at, (item, type_) in enumerate(((3, "t1"), (8, f"t{kind}"))):
            event = {"eventType": type_, "sentAt": 1_700_100_000 + at, "itemId": f"i{item}"}
            shop.api.events.put_events(trackingId=tracker, userId=user, sessionId=user, eventList=[event])
        answer = shop.recommend(campaign, userId=user)["itemList"]
        classes = [int(item["itemId"][1:]) // EACH for item in answer]
        assert classes[0] == kind
        assert classes[:EACH].count(kind) >= 3
        assert sum(item["score"] for item in answer) == pytest.approx(1, abs=1e-3)
    told = shop.api.nextpick.explain_recommendations(
        campaignArn=campaign, userId="new2", numResults=EACH, itemId="i0"
    )
    assert told["method"] == "MODEL"
    for item in told["items"]:
        found = item["reasons"]
        assert next(s["contribution"] for s in found["sources"] if s["name"] == "network") != 0
        parts = sum(e["contribution"] for e in found["events"]) + found["otherEvents"] + found["rest"]
        assert parts == pytest.approx(found["logit"], abs=1e-9)
        assert np.exp(found["logit"]) == pytest.approx(item["score"], rel=1e-3)
    assert told["asked"]["outcome"] == "OUTRANKED"
    assert told["asked"]["neededResults"] > EACH
    (worker,) = (pid for pid in children_of(shop.api.pid) if "nextpick.worker" in command_of(pid))
    mapped = Path(f"/proc/{worker}/maps").read_text()
    assert "/onnxruntime/" in mapped
    assert "/torch/" not in mapped


def test_a_killed_training_goes_on_though_events_have_come_and_gives_the_same_bytes(shop: Shop) -> None:
    solution = shop.solution("twice", "aws-user-personalization-v2")
    tracker = tracker_of(shop)
    models = []
    for is_killed in (False, True):
        arn = shop.train(solution)
        if is_killed:
            os.kill(process_with_a_checkpoint(shop, job_of(shop, arn)["jobId"]), signal.SIGKILL)
            event = {"eventType": "t1", "sentAt": 1_700_200_000, "itemId": "i1"}
            shop.api.events.put_events(trackingId=tracker, userId="u1", sessionId="x", eventList=[event])
        assert shop.trained(arn)["status"] == "ACTIVE"
        directory = max(
            (shop.api.home / "blobs" / "versions").iterdir(), key=lambda path: path.stat().st_mtime
        )
        models.append({path.name: path.read_bytes() for path in (directory / "model").iterdir()})
    assert job_of(shop, arn)["attempts"] == 2
    assert models[0] == models[1]


def tracker_of(shop: Shop) -> str:
    """Return the tracking id of the group's event tracker, which is made where there is none."""
    for known in shop.api.personalize.list_event_trackers(datasetGroupArn=shop.group)["eventTrackers"]:
        described = shop.api.personalize.describe_event_tracker(eventTrackerArn=known["eventTrackerArn"])
        return described["eventTracker"]["trackingId"]
    return shop.api.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]


def job_of(shop: Shop, version: str) -> dict[str, Any]:
    jobs = shop.api.nextpick.list_jobs()["jobs"]
    return next(job for job in jobs if (job["resourceArn"], job["kind"]) == (version, "train"))


def process_with_a_checkpoint(shop: Shop, job: str) -> int:
    """Return the process of a training as soon as it has written down a round of the network."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if list((shop.api.home / "blobs" / "batches" / job).glob("*/round-*")):
            return wait_for_job_process(shop.api.pid, job)
        time.sleep(0.01)
    raise AssertionError("no round was written down")


def test_nothing_is_left_of_what_was_written_down_for_a_killed_training(shop: Shop) -> None:
    deadline = time.monotonic() + 20
    while list((shop.api.home / "blobs" / "batches").glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)

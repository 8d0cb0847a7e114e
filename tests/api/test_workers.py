"""Two HTTP workers behind one socket behave as one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from served import Server, workers_of
from worlds import Shop, checkerboard

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")
ITEMS = ["i6", "i8", "i10"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    server = Server(tmp_path_factory.mktemp("workers") / "home", workers=2).start()
    made = Shop(server)
    assert made.imported(made.start_import("first", checkerboard()))["status"] == "ACTIVE"
    yield made
    server.stop()


@pytest.fixture(scope="module")
def campaign(shop: Shop) -> str:
    version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
    return shop.deployed("c", version, campaignConfig={"itemExplorationConfig": {"explorationWeight": "0"}})


@pytest.fixture(scope="module")
def tracking_id(shop: Shop) -> str:
    return shop.api.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]


def workers(shop: Shop) -> list[int]:
    """Return the pids of the workers."""
    return workers_of(shop.api.pid)


def answer_of(shop: Shop, worker: int, campaign: str, user: str) -> list[str]:
    """Ask one worker: the others are held still meanwhile."""
    others = [pid for pid in workers(shop) if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        runtime = shop.api.client("personalize-runtime")
        items = runtime.get_recommendations(campaignArn=campaign, userId=user, numResults=10)["itemList"]
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)
    return [item["itemId"] for item in items]


def test_an_event_is_known_to_the_next_answer_of_every_worker(
    shop: Shop, campaign: str, tracking_id: str
) -> None:
    assert len(workers(shop)) == 2
    for n, item in enumerate(ITEMS):
        before = {pid: answer_of(shop, pid, campaign, f"new{n}") for pid in workers(shop)}
        shop.api.client("personalize-events").put_events(
            trackingId=tracking_id,
            userId=f"new{n}",
            sessionId="s",
            eventList=[{"eventType": "click", "sentAt": 1_700_010_000, "itemId": item}],
        )
        after = {pid: answer_of(shop, pid, campaign, f"new{n}") for pid in workers(shop)}
        first, second = after.values()
        assert first == second
        assert all(after[pid] != before[pid] for pid in after)


def test_a_deleted_campaign_is_gone_from_every_worker(shop: Shop, campaign: str) -> None:
    version = shop.api.personalize.describe_campaign(campaignArn=campaign)["campaign"]["solutionVersionArn"]
    other = shop.deployed("other", version)
    for pid in workers(shop):
        assert len(answer_of(shop, pid, other, "u1")) == 10
    shop.api.personalize.delete_campaign(campaignArn=other)
    for pid in workers(shop):
        with pytest.raises(Exception, match="ResourceNotFoundException"):
            answer_of(shop, pid, other, "u1")

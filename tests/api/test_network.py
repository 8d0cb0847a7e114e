"""A version with a network, from a CSV to answers: trained by a job, served without what only training needs."""

import importlib.util
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from served import Server, children_of, command_of
from worlds import HEADER, Shop

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="the extra torch is not installed"),
    pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at processes through /proc"),
]

N_ITEMS = 20


def cycles(users: int = 200, length: int = 18) -> str:
    """Return histories of three items in turn, which no count of pairs can tell."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(users):
        items = np.resize(rng.choice(N_ITEMS, 3, replace=False), length)
        rows += [f"u{user},i{item},{1_700_000_000 + 3600 * at + user}" for at, item in enumerate(items)]
    return HEADER + "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    server = Server(tmp_path_factory.mktemp("network") / "home", workers=1).start()
    made = Shop(server)
    assert made.imported(made.start_import("all", cycles()))["status"] == "ACTIVE"
    yield made
    server.stop()


def version(shop: Shop, recipe: str) -> tuple[str, dict[str, Any]]:
    """Train a version and return its ARN and what its job tells of the network."""
    arn = shop.train(shop.solution(recipe, recipe))
    assert shop.trained(arn)["status"] == "ACTIVE"
    return arn, json.loads(shop.api.nextpick.get_job_report(resourceArn=arn)["report"])["network"]


def test_a_campaign_answers_by_the_network_and_its_worker_has_never_met_torch(shop: Shop) -> None:
    arn, told = version(shop, "aws-user-personalization-v2")
    assert told["used"], told
    campaign = shop.deployed("personal", arn)
    tracker = shop.api.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]
    for history in ((1, 2, 3), (3, 2, 1), (9, 1, 17)):
        user = f"new{history}"
        for at, item in enumerate(history):
            event = {"eventType": "click", "sentAt": 1_700_100_000 + at, "itemId": f"i{item}"}
            shop.api.events.put_events(trackingId=tracker, userId=user, sessionId=user, eventList=[event])
        answer = shop.recommend(campaign, userId=user)["itemList"]
        assert answer[0]["itemId"] == f"i{history[0]}"
        assert sum(item["score"] for item in answer) == pytest.approx(1, abs=1e-3)
    (worker,) = (pid for pid in children_of(shop.api.pid) if "nextpick.worker" in command_of(pid))
    mapped = Path(f"/proc/{worker}/maps").read_text()
    assert "/onnxruntime/" in mapped
    assert "/torch/" not in mapped


def test_a_list_is_ranked_by_the_network(shop: Shop) -> None:
    arn, told = version(shop, "aws-personalized-ranking-v2")
    assert told["used"], told
    campaign = shop.deployed("ranking", arn)
    items = [f"i{n}" for n in range(N_ITEMS)]
    ranked = shop.api.runtime.get_personalized_ranking(campaignArn=campaign, userId="u0", inputList=items)
    history = [row.split(",")[1] for row in cycles().splitlines() if row.startswith("u0,")]
    assert ranked["personalizedRanking"][0]["itemId"] == history[-3]


def test_nothing_is_left_of_what_was_written_down_for_a_killed_training(shop: Shop) -> None:
    deadline = time.monotonic() + 20
    while list((shop.api.home / "blobs" / "batches").glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)

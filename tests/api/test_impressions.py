"""Items that are shown and not taken are tried out less: lists of imports, of events, and of answers events name."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from films import World
from worlds import open_api

ALWAYS = {"itemExplorationConfig": {"explorationWeight": "1", "explorationItemAgeCutOff": "30"}}
USERS = [f"u{user}" for user in range(120)]
NEW = ("often-listed", "never-listed")


def _with(schema_name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": schema_name, "fields": list(fields), "version": "1.0"}


def _text(name: str, *, optional: bool = False, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", "string"] if optional else "string", **more}


class Lists(World):
    """60 users, 40 old items, and two new ones, of which one is in the list of every interaction and never taken."""

    def __init__(self, api: Any) -> None:
        self.api, self.name = api, "shop"
        self.group = api.personalize.create_dataset_group(name="shop")["datasetGroupArn"]
        time = {"name": "TIMESTAMP", "type": "long"}
        events = ["USER_ID,ITEM_ID,TIMESTAMP,IMPRESSION"]
        for user in range(60):
            for step in range(20):
                item = (user * 7 + step) % 40
                row = f"u{user},i{item},{1_700_000_000 + step * 60 + user}"
                events.append(f"{row},i{item}|often-listed|nowhere" if step % 2 else f"{row},")
        items = ["ITEM_ID,GENRE,CREATION_TIMESTAMP"]
        items += [f"i{i},g{i % 3},1600000000" for i in range(40)]
        items += [f"{name},g0,1700000000" for name in NEW]
        self.dataset = self.add(
            "Interactions",
            _with(
                "Interactions", _text("USER_ID"), _text("ITEM_ID"), time, _text("IMPRESSION", optional=True)
            ),
            events,
        )
        created = {"name": "CREATION_TIMESTAMP", "type": "long"}
        fields = (_text("ITEM_ID"), _text("GENRE", categorical=True), created)
        self.items = self.add("Items", _with("Items", *fields), items)
        self.tracker = api.personalize.create_event_tracker(name="t", datasetGroupArn=self.group)[
            "trackingId"
        ]
        version = self.version("s", "aws-user-personalization")
        self.campaign = self.deployed("c", version, campaignConfig=ALWAYS)

    def put(self, *ids: str) -> None:
        """Put new items."""
        properties = json.dumps({"genre": "g0", "creationTimestamp": 1_700_000_000})
        items = [{"itemId": id, "properties": properties} for id in ids]
        self.api.events.put_items(datasetArn=self.items, items=items)

    def shown(self) -> Counter[str]:
        """Return in how many users' answers each item is."""
        answers = [self.recommend(self.campaign, userId=user, numResults=20)["itemList"] for user in USERS]
        return Counter(item["itemId"] for answer in answers for item in answer)

    def take(self, item: str, times: int = 1, **more: Any) -> None:
        """Send events of a user who asks for nothing else."""
        event = {"eventType": "click", "itemId": item, "sentAt": 1_700_000_000, **more}
        self.api.events.put_events(
            trackingId=self.tracker, sessionId="s", userId="other", eventList=[event] * times
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lists]:
    api = open_api(tmp_path_factory.mktemp("home"), count_quotas=False)
    yield Lists(api)
    api.library.close()


def test_what_imported_lists_show_in_vain_is_tried_out_less(world: Lists) -> None:
    found = world.shown()
    assert found["never-listed"] > 60
    assert found["often-listed"] < found["never-listed"] / 3


def test_lists_of_events_hold_new_items_back(world: Lists) -> None:
    world.put("ignored", "liked")
    before = world.shown()
    assert min(before["ignored"], before["liked"]) > 30
    for n in range(40):
        world.take("liked" if n % 2 else "i3", 10, impression=["ignored", "liked", "i3"])
    after = world.shown()
    assert after["ignored"] < before["ignored"] / 4
    assert after["liked"] > before["liked"] / 2


def test_an_event_may_name_the_answer_it_was_chosen_from(world: Lists) -> None:
    world.put("answered")
    before = world.shown()
    assert before["answered"] > 30
    lists = [world.recommend(world.campaign, userId=user, numResults=20) for user in USERS]
    listing = [a for a in lists if "answered" in [item["itemId"] for item in a["itemList"]]]
    for answer in listing:
        world.take("i3", recommendationId=answer["recommendationId"], impression=["i3"])
    assert world.shown()["answered"] > 0.8 * before["answered"], "what the event lists itself counts"
    for answer in listing:
        world.take("i3", recommendationId=answer["recommendationId"])
    assert world.shown()["answered"] < before["answered"] / 2


def test_a_training_counts_streamed_lists(world: Lists) -> None:
    world.put("trained-on")
    for _ in range(30):
        world.take("i3", 10, impression=["trained-on", "i3"])
    version = world.train(f"{world.campaign.replace('campaign/c', 'solution/s')}")
    assert world.trained(version)["status"] == "ACTIVE"
    campaign = world.deployed("after", version, campaignConfig=ALWAYS)
    world.campaign, first = campaign, world.campaign
    found = world.shown()
    world.campaign = first
    assert found["trained-on"] < found["never-listed"] / 2

"""Items that came after a training are tried out at once, however they came; filters hold for them too."""

import json
from collections.abc import Iterator

import pytest

from films import World
from worlds import open_api

ALWAYS = {"itemExplorationConfig": {"explorationWeight": "1", "explorationItemAgeCutOff": "36500"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(tmp_path_factory.mktemp("home"), count_quotas=False)
    made = World(api)
    api.personalize.update_campaign(campaignArn=made.campaign, campaignConfig=ALWAYS)
    made.api.settle(lambda: api.personalize.describe_campaign(campaignArn=made.campaign))
    yield made
    api.library.close()


def shown(world: World, *, users: int = 40, **request: object) -> set[str]:
    """Return the items that any of some users is shown."""
    answers = [
        world.recommend(world.campaign, userId=f"u{user}", numResults=20, **request)["itemList"]
        for user in range(users)
    ]
    for answer in answers:
        assert len(answer) == len({item["itemId"] for item in answer}) == 20
        scores = [item["score"] for item in answer]
        assert scores == sorted(scores, reverse=True)
    return {item["itemId"] for answer in answers for item in answer}


def put(world: World, *ids: str, genre: str = "comedy", year: int = 2020) -> None:
    properties = json.dumps({"genre": genre, "price": 1.5, "year": year, "title": "New", "adult": False})
    items = [{"itemId": id, "properties": properties} for id in ids]
    world.api.events.put_items(datasetArn=world.items, items=items)


def test_an_item_that_was_put_is_tried_out_in_the_next_answers(world: World) -> None:
    assert not shown(world) & {"put-1", "put-2"}
    put(world, "put-1", "put-2")
    assert {"put-1", "put-2"} <= shown(world)


def test_a_filter_lets_through_only_the_new_items_that_meet_it(world: World) -> None:
    put(world, "funny", genre="comedy")
    put(world, "scary", genre="horror")
    arn = world.filter("scary-only", 'EXCLUDE ItemID WHERE Items.GENRE IN ("comedy")')
    found = shown(world, filterArn=arn)
    assert "scary" in found
    assert "funny" not in found
    assert not {f"i{n}" for n in range(0, 40, 3)} & found


def test_a_new_item_the_user_has_bought_is_left_out_as_any_other(world: World) -> None:
    put(world, "wanted")
    arn = world.filter("not-bought", 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")')
    assert "wanted" in shown(world, filterArn=arn)
    for user in range(40):
        event = {"eventType": "purchase", "itemId": "wanted", "sentAt": 1_700_100_000}
        world.api.events.put_events(
            trackingId=world.tracker, sessionId="s", userId=f"u{user}", eventList=[event]
        )
    assert "wanted" not in shown(world, filterArn=arn)


def test_an_item_that_is_only_known_from_an_event_is_tried_out(world: World) -> None:
    event = {"eventType": "click", "itemId": "streamed", "sentAt": 1_700_100_000}
    world.api.events.put_events(trackingId=world.tracker, sessionId="t", userId="u99", eventList=[event])
    assert "streamed" in shown(world)


def test_an_imported_item_is_tried_out_without_a_training(world: World) -> None:
    rows = ["ITEM_ID,GENRE,PRICE,YEAR,TITLE,TEXT,ADULT", "imported,drama,1.5,2024,Import,about it,false"]
    world.bring(world.items, "more", rows, "INCREMENTAL")
    assert "imported" in shown(world)


def test_without_exploration_nothing_new_is_shown(world: World) -> None:
    put(world, "put-3")
    version = world.version("quiet", "aws-user-personalization")
    config = {"itemExplorationConfig": {"explorationWeight": "0"}}
    put(world, "put-4")
    campaign = world.deployed("quiet", version, campaignConfig=config)
    items = world.recommend(campaign, userId="u1", numResults=100)["itemList"]
    assert "put-4" not in {item["itemId"] for item in items}
    assert "put-3" in {item["itemId"] for item in items}


def test_an_update_takes_in_what_is_new_and_keeps_what_was_measured(world: World) -> None:
    personalize = world.api.personalize
    solution = world.solution("to-update", "aws-user-personalization")
    full = world.train(solution)
    assert world.trained(full)["status"] == "ACTIVE"
    put(world, "put-6")
    for user in range(30):
        event = {"eventType": "click", "itemId": "put-6", "sentAt": 1_700_200_000}
        world.api.events.put_events(
            trackingId=world.tracker, sessionId="s", userId=f"u{user}", eventList=[event]
        )
    update = world.train(solution, trainingMode="UPDATE")
    assert world.trained(update)["status"] == "ACTIVE"
    metrics = [personalize.get_solution_metrics(solutionVersionArn=arn)["metrics"] for arn in (full, update)]
    assert metrics[0] == metrics[1]
    config = {"itemExplorationConfig": {"explorationWeight": "0"}}
    campaign = world.deployed("to-update", update, campaignConfig=config)
    items = world.recommend(campaign, userId="stranger", numResults=5)["itemList"]
    assert "put-6" in {item["itemId"] for item in items}  # what was clicked on lately is popular


def test_a_list_with_new_items_says_which_were_tried_out(world: World) -> None:
    campaign = world.deployed("v2", world.version("v2", "aws-user-personalization-v2"))
    put(world, "put-5")
    answers = [
        world.recommend(campaign, userId=f"u{n}", numResults=25, metadataColumns={"ITEMS": ["GENRE"]})
        for n in range(60)
    ]
    tried = [item for answer in answers for item in answer["itemList"] if item["itemId"] == "put-5"]
    assert tried
    assert all(
        item["reason"] == ["Exploration"] and item["metadata"] == {"genre": "comedy"} for item in tried
    )

"""Next best actions: trained on what users did with actions, answered live, filtered, tried out, not repeated."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from films import World
from worlds import Shop, checkerboard, open_api

_ID = {"name": "ACTION_ID", "type": "string"}
ACTIONS = {
    "type": "record",
    "name": "Actions",
    "fields": [
        _ID,
        {"name": "KIND", "type": ["null", "string"], "categorical": True},
        {"name": "VALUE", "type": ["null", "long"]},
        {"name": "EXPIRATION_TIMESTAMP", "type": ["null", "long"]},
        {"name": "REPEAT_FREQUENCY", "type": ["null", "long"]},
    ],
    "version": "1.0",
}
EVENTS = {
    "type": "record",
    "name": "ActionInteractions",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        _ID,
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}
USERS = {
    "type": "record",
    "name": "Users",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "TIER", "type": "string", "categorical": True},
    ],
    "version": "1.0",
}
NOW = int(time.time())
ROWS = [
    "ACTION_ID,KIND,VALUE,EXPIRATION_TIMESTAMP,REPEAT_FREQUENCY",
    "gold-offer,offer,1,,",
    "silver-offer,offer,1,,",
    "often-taken,news,1,,",
    "rarely-taken,news,10,,",
    f"expired,offer,1,{NOW - 1000},",
    "monthly,news,1,,30",
    "untried,news,1,,",
]


def _exploring(weight: str) -> dict[str, Any]:
    return {"itemExplorationConfig": {"explorationWeight": weight}}


class Actions(World):
    """200 users with tastes that stay, half of them gold: these like gold offers, the others silver ones."""

    def __init__(self, api: Any) -> None:
        self.api, self.name = api, "deeds"
        self.group = api.personalize.create_dataset_group(name="deeds")["datasetGroupArn"]
        rows = ["USER_ID,ACTION_ID,EVENT_TYPE,TIMESTAMP"]
        rng = random.Random(1)
        for user in range(200):
            for at, action in enumerate(row.partition(",")[0] for row in ROWS[1:-1]):
                likes = rng.random() < {"often-taken": 0.7, "rarely-taken": 0.3}.get(action, 0.5)
                if action.endswith("-offer"):
                    likes = (user % 2 == 0) == (action == "gold-offer")
                for times in range(3):
                    outcome = "Taken" if rng.random() < (0.9 if likes else 0.1) else "Not taken"
                    rows.append(f"u{user},{action},{outcome},{NOW - 86_400 * (35 - times) + user * 60 + at}")
        users = ["USER_ID,TIER", *(f"u{i},{'gold' if i % 2 == 0 else 'silver'}" for i in range(220))]
        self.actions = self.add("Actions", ACTIONS, ROWS)
        self.dataset = self.add("Action_Interactions", EVENTS, rows)
        self.users = self.add("Users", USERS, users)
        described = api.personalize.describe_dataset(datasetArn=self.dataset)["dataset"]
        self.tracker = described["trackingId"]
        self.best = self.version("nba", "aws-next-best-action")
        self.campaign = self.deployed("nba", self.best, campaignConfig=_exploring("0"))

    def ask(self, user: str, **request: Any) -> dict[str, float]:
        answer = self.api.runtime.get_action_recommendations(
            campaignArn=self.campaign, userId=user, **request
        )
        return {found["actionId"]: found["score"] for found in answer["actionList"]}

    def put(self, user: str, action: str, kind: str, when: int = NOW) -> None:
        event = {"actionId": action, "sessionId": "s", "timestamp": when, "eventType": kind, "userId": user}
        self.api.events.put_action_interactions(trackingId=self.tracker, actionInteractions=[event])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Actions]:
    api = open_api(Path(tmp_path_factory.mktemp("actions")))
    yield Actions(api)
    api.library.close()


def test_users_are_offered_what_their_like_take(world: Actions) -> None:
    gold, silver = world.ask("u210"), world.ask("u211")
    assert gold["gold-offer"] > 0.6 > 0.4 > gold["silver-offer"]
    assert silver["silver-offer"] > 0.6 > 0.4 > silver["gold-offer"]
    assert gold["often-taken"] > gold["rarely-taken"], "its value is higher, but it is likelier"
    assert list(gold.values()) == sorted(gold.values(), reverse=True)
    assert all(0 <= score <= 1 for score in gold.values())
    assert "expired" not in gold
    assert len(world.ask("nobody")) == 5


def test_numresults_is_5_by_default_and_100_at_most(world: Actions) -> None:
    assert len(world.ask("u210")) == 5
    assert list(world.ask("u210", numResults=2)) == list(world.ask("u210"))[:2]
    with pytest.raises(ClientError, match="at most 100"):
        world.ask("u210", numResults=101)
    with pytest.raises(ClientError, match="userId is required"):
        world.api.runtime.get_action_recommendations(campaignArn=world.campaign)


def test_what_was_done_a_moment_ago_counts(world: Actions) -> None:
    assert "monthly" in world.ask("u213", numResults=100)
    world.put("u213", "monthly", "Viewed")
    assert "monthly" not in world.ask("u213", numResults=100), "not again within 30 days"
    before = world.ask("u215")["often-taken"]
    for action in ("often-taken", "rarely-taken", "silver-offer"):
        world.put("u215", action, "NOT_TAKEN")
    assert world.ask("u215")["often-taken"] < before


def test_actions_are_filtered_by_their_columns_and_events(world: Actions) -> None:
    offers = world.filter("offers", 'INCLUDE ActionID WHERE Actions.KIND IN ("offer")')
    assert set(world.ask("u217", filterArn=offers)) == {"gold-offer", "silver-offer"}
    rule = 'EXCLUDE ActionID WHERE Action_Interactions.EVENT_TYPE IN ("NOT_TAKEN")'
    refused = world.filter("refused", rule)
    before = set(world.ask("u219", filterArn=refused, numResults=100))
    world.put("u219", "gold-offer", "not taken")
    assert set(world.ask("u219", filterArn=refused, numResults=100)) == before - {"gold-offer"}
    assert "gold-offer" in set(world.ask("u0", filterArn=refused)), "u0 took it"
    assert "silver-offer" not in set(world.ask("u0", filterArn=refused, numResults=100)), "imported"
    kind = {"actionId": "gold-offer", "properties": json.dumps({"kind": "gift", "value": 3})}
    world.api.events.put_actions(datasetArn=world.actions, actions=[kind])
    assert set(world.ask("u217", filterArn=offers)) == {"silver-offer"}
    kind["properties"] = json.dumps({"kind": "offer", "value": 1})
    world.api.events.put_actions(datasetArn=world.actions, actions=[kind])


def test_actions_of_which_little_is_known_are_tried_out_with_the_score_0(world: Actions) -> None:
    assert "untried" not in world.ask("u210", numResults=100), "the weight is 0"
    eager = world.deployed("eager", world.best, campaignConfig=_exploring("1"))
    answers = [
        world.api.runtime.get_action_recommendations(campaignArn=eager, userId=f"x{i}", numResults=100)
        for i in range(40)
    ]
    for answer in answers:
        scores = {found["actionId"]: found["score"] for found in answer["actionList"]}
        assert scores["untried"] == 0.0
    places = [[a["actionId"] for a in answer["actionList"]].index("untried") for answer in answers]
    assert len(set(places)) > 1


def test_an_action_that_was_put_is_tried_out_at_once_while_it_has_not_expired(world: Actions) -> None:
    eager = world.deployed("eager-too", world.best, campaignConfig=_exploring("1"))

    def put(kind: str, expires: int) -> None:
        properties = json.dumps({"kind": kind, "value": 3, "expirationTimestamp": expires})
        action = {"actionId": "brand-new", "properties": properties}
        world.api.events.put_actions(datasetArn=world.actions, actions=[action])

    def offered(**more: Any) -> list[str]:
        request = {"campaignArn": eager, "userId": "u211", "numResults": 100, **more}
        return [a["actionId"] for a in world.api.runtime.get_action_recommendations(**request)["actionList"]]

    assert "brand-new" not in offered()
    put("offer", int(time.time()) + 1000)
    assert "brand-new" in offered()
    assert "brand-new" in offered(
        filterArn=world.filter("of-offers", 'INCLUDE ActionID WHERE Actions.KIND IN ("offer")')
    )
    assert "brand-new" not in offered(
        filterArn=world.filter("of-news", 'INCLUDE ActionID WHERE Actions.KIND IN ("news")')
    )
    properties = json.dumps({"kind": "offer", "repeatFrequency": 7})
    world.api.events.put_actions(
        datasetArn=world.actions, actions=[{"actionId": "brand-new", "properties": properties}]
    )
    world.put("u211", "brand-new", "Viewed", int(time.time()))
    assert "brand-new" not in offered()
    assert "brand-new" in offered(userId="u212")
    put("offer", int(time.time()) - 1)
    assert "brand-new" not in offered(userId="u212")
    assert "brand-new" not in offered()


def test_a_date_that_was_put_counts_at_once(world: Actions) -> None:
    properties = json.dumps({"kind": "news", "value": 1, "repeatFrequency": 30})
    assert "often-taken" in world.ask("u216", numResults=100)
    world.put("u216", "often-taken", "Viewed", int(time.time()))
    assert "often-taken" in world.ask("u216", numResults=100)
    world.api.events.put_actions(
        datasetArn=world.actions, actions=[{"actionId": "often-taken", "properties": properties}]
    )
    assert "often-taken" not in world.ask("u216", numResults=100)
    properties = json.dumps({"kind": "news", "value": 1})
    world.api.events.put_actions(
        datasetArn=world.actions, actions=[{"actionId": "often-taken", "properties": properties}]
    )


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"value": 0}, "a: VALUE is 0; it must be from 1 to 10"),
        ({"value": "11"}, "a: VALUE is 11; it must be from 1 to 10"),
        ({"repeatFrequency": 31}, "a: REPEAT_FREQUENCY is 31; it must be from 0 to 30"),
    ],
)
def test_an_action_beyond_the_limits_is_refused(
    world: Actions, properties: dict[str, Any], words: str
) -> None:
    action = {"actionId": "a", "properties": json.dumps(properties)}
    with pytest.raises(ClientError, match=words) as refused:
        world.api.events.put_actions(datasetArn=world.actions, actions=[action])
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"


def test_metrics_say_how_well_taking_is_foreseen(world: Actions) -> None:
    metrics = world.api.personalize.get_solution_metrics(solutionVersionArn=world.best)["metrics"]
    assert {"auc", "precision", "recall", "coverage"} < set(metrics)
    assert metrics["auc"] > 0.75


def test_actions_and_items_are_asked_for_by_operations_of_their_own(world: Actions) -> None:
    with pytest.raises(ClientError, match="call GetActionRecommendations"):
        world.recommend(world.campaign, userId="u1")
    items = Shop(world.api, name="items")
    items.imported(items.start_import("first", checkerboard()))
    version = items.train(items.solution("items", "aws-user-personalization"))
    items.trained(version)
    campaign = items.deployed("items", version)
    with pytest.raises(ClientError, match="recommends no actions"):
        world.api.runtime.get_action_recommendations(campaignArn=campaign, userId="u1")


def test_interactions_with_actions_need_their_own_tracking_id(world: Actions) -> None:
    event = {"actionId": "a", "sessionId": "s", "timestamp": NOW, "eventType": "TAKEN"}
    with pytest.raises(ClientError, match="ResourceNotFound"):
        world.api.events.put_action_interactions(trackingId="none", actionInteractions=[event])
    with pytest.raises(ClientError, match="must be one of TAKEN, NOT_TAKEN, VIEWED"):
        world.put("u1", "gold-offer", "clicked")
    with pytest.raises(ClientError, match="is not of an event tracker"):
        world.api.events.put_events(
            trackingId=world.tracker,
            sessionId="s",
            eventList=[{"eventType": "x", "sentAt": NOW, "itemId": "i"}],
        )

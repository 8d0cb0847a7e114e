"""Contextual metadata, in a world where the device decides what is taken."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from worlds import ROLE, Api, Shop, open_api

QUIET = {"itemExplorationConfig": {"explorationWeight": "0"}}
SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
        {"name": "DEVICE", "type": ["null", "string"], "categorical": True},
        {"name": "TEMPERATURE", "type": ["null", "float"]},
        {"name": "MOON", "type": "string", "categorical": True},
    ],
}
USERS, ITEMS = 80, 40


def world() -> str:
    """Return a CSV: on TVs even items are taken, on phones odd ones, by all users alike; warm days are for items below
    20; the moon says nothing; some events have no device."""
    rng = np.random.default_rng(5)
    rows = ["USER_ID,ITEM_ID,TIMESTAMP,DEVICE,TEMPERATURE,MOON"]
    for user in range(USERS):
        for step in range(30):
            on_tv, warm = bool(rng.integers(2)), bool(rng.integers(2))
            item = 2 * int(rng.integers(10)) + (0 if on_tv else 1) + (0 if warm else 20)
            device = "" if rng.random() < 0.1 else "TV" if on_tv else "Phone"
            temperature = round(float(rng.uniform(20, 35) if warm else rng.uniform(-10, 5)), 1)
            moon = rng.choice(["new", "full"])
            rows.append(f"u{user},i{item},{1_700_000_000 + step * 3600 + user},{device},{temperature},{moon}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    api = open_api(tmp_path_factory.mktemp("context"))
    shop = Shop.__new__(Shop)
    shop.api, shop.name = api, "shop"
    shop.group = api.personalize.create_dataset_group(name="shop")["datasetGroupArn"]
    schema = api.personalize.create_schema(name="with-context", schema=json.dumps(SCHEMA))["schemaArn"]
    shop.dataset = api.personalize.create_dataset(
        name="events", schemaArn=schema, datasetGroupArn=shop.group, datasetType="Interactions"
    )["datasetArn"]
    shop.imported(shop.start_import("all", world()))
    yield shop
    api.library.close()


@pytest.fixture(scope="module")
def campaign(shop: Shop) -> str:
    return deployed(shop, "plain")


def deployed(shop: Shop, name: str, recipe: str = "aws-user-personalization", **more: object) -> str:
    version = shop.trained(shop.train(shop.solution(name, recipe, **more)))
    assert version["status"] == "ACTIVE", version
    config = {"campaignConfig": QUIET} if recipe == "aws-user-personalization" else {}
    return shop.deployed(name, version["solutionVersionArn"], **config)


def items(answer: dict) -> list[int]:
    return [int(item["itemId"][1:]) for item in answer["itemList"]]


def test_the_device_of_a_request_decides_what_is_recommended(shop: Shop, campaign: str) -> None:
    on_tv = shop.recommend(campaign, userId="u1", numResults=10, context={"DEVICE": "TV"})
    on_phone = shop.recommend(campaign, userId="u1", numResults=10, context={"device": "Phone"})
    assert [item % 2 for item in items(on_tv)] == [0] * 10
    assert [item % 2 for item in items(on_phone)] == [1] * 10


def test_numbers_are_circumstances_too_and_columns_add_up(shop: Shop, campaign: str) -> None:
    told = {"DEVICE": "TV", "TEMPERATURE": "30.5"}
    found = items(shop.recommend(campaign, userId="u2", numResults=10, context=told))
    assert sorted(found) == list(range(0, 20, 2))
    assert (
        min(items(shop.recommend(campaign, userId="u2", numResults=10, context={"TEMPERATURE": "-3"}))) >= 20
    )


def test_an_unknown_user_is_answered_by_the_context_alone(shop: Shop, campaign: str) -> None:
    found = items(shop.recommend(campaign, userId="nobody", numResults=10, context={"DEVICE": "Phone"}))
    assert [item % 2 for item in found] == [1] * 10


def test_scores_under_a_context_still_sum_to_one(shop: Shop, campaign: str) -> None:
    answer = shop.recommend(campaign, userId="u3", numResults=ITEMS, context={"DEVICE": "TV"})
    scores = [item["score"] for item in answer["itemList"]]
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "told", [{"DEVICE": "Fridge"}, {"WEATHER": "rain"}, {"TEMPERATURE": "mild"}, {"MOON": "full"}, {}]
)
def test_what_was_not_there_or_says_nothing_changes_nothing(shop: Shop, campaign: str, told: dict) -> None:
    plain = shop.recommend(campaign, userId="u4")["itemList"]
    assert shop.recommend(campaign, userId="u4", context=told)["itemList"] == plain


def test_a_ranking_follows_the_context(shop: Shop) -> None:
    ranking = deployed(shop, "ranking", "aws-personalized-ranking-v2")
    given = [f"i{item}" for item in range(20)]
    answer = shop.api.runtime.get_personalized_ranking(
        campaignArn=ranking, userId="u5", inputList=given, context={"DEVICE": "Phone"}
    )
    assert [int(item["itemId"][1:]) % 2 for item in answer["personalizedRanking"]] == [1] * 10 + [0] * 10


@pytest.mark.parametrize(("said", "column"), [("excluded", "DEVICE"), ("included", "TEMPERATURE")])
def test_a_column_that_is_excluded_or_not_included_is_not_learnt_from(
    shop: Shop, said: str, column: str
) -> None:
    config = {"trainingDataConfig": {f"{said}DatasetColumns": {"Interactions": [column]}}}
    campaign = deployed(shop, said, solutionConfig=config)
    plain = shop.recommend(campaign, userId="u6")["itemList"]
    assert shop.recommend(campaign, userId="u6", context={"DEVICE": "TV"})["itemList"] == plain
    warm = shop.recommend(campaign, userId="u6", numResults=10, context={"TEMPERATURE": "30"})
    assert max(items(warm)) < 20


def test_an_update_keeps_what_the_context_is_worth(shop: Shop) -> None:
    solution = shop.solution("updated")
    shop.trained(shop.train(solution))
    version = shop.trained(shop.train(solution, trainingMode="UPDATE"))
    campaign = shop.deployed("updated", version["solutionVersionArn"], campaignConfig=QUIET)
    found = items(shop.recommend(campaign, userId="u7", numResults=10, context={"DEVICE": "TV"}))
    assert [item % 2 for item in found] == [0] * 10


def test_a_batch_line_may_tell_the_context(shop: Shop, campaign: str) -> None:
    version = shop.api.personalize.describe_campaign(campaignArn=campaign)["campaign"]["solutionVersionArn"]
    lines = [{"userId": "u8", "context": {"DEVICE": "TV"}}, {"userId": "u8", "context": 5}]
    source = shop.api.put_object("data", "in/users.json", "\n".join(map(json.dumps, lines)))
    job = shop.api.personalize.create_batch_inference_job(
        jobName="told",
        solutionVersionArn=version,
        roleArn=ROLE,
        numResults=10,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": "s3://data/out/"}},
        batchInferenceJobConfig={"itemExplorationConfig": {"explorationWeight": "0"}},
    )["batchInferenceJobArn"]
    shop.api.settle(lambda: shop.api.personalize.describe_batch_inference_job(batchInferenceJobArn=job))
    text = (shop.api.library.home / "buckets/data/out/users.json.out").read_text()
    good, bad = map(json.loads, text.splitlines())
    assert [int(item[1:]) % 2 for item in good["output"]["recommendedItems"]] == [0] * 10
    assert bad["output"] is None
    assert bad["error"] == "context must be an object of texts."


def test_events_that_were_streamed_tell_their_circumstances(api: Api) -> None:
    group = api.personalize.create_dataset_group(name="live")["datasetGroupArn"]
    schema = api.personalize.create_schema(name="live", schema=json.dumps(SCHEMA))["schemaArn"]
    api.personalize.create_dataset(
        name="events", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )
    tracker = api.personalize.create_event_tracker(name="t", datasetGroupArn=group)["trackingId"]
    header, *rows = world().splitlines()
    names = header.split(",")
    by_user: dict[str, list[dict]] = {}
    for row in rows:
        cells = dict(zip(names, row.split(","), strict=True))
        properties = {name.lower(): cells[name] for name in names[3:] if cells[name]}
        event = {
            "eventType": "view",
            "itemId": cells["ITEM_ID"],
            "sentAt": int(cells["TIMESTAMP"]),
            "properties": json.dumps(properties),
        }
        by_user.setdefault(cells["USER_ID"], []).append(event)
    for user, events in by_user.items():
        for start in range(0, len(events), 10):
            api.events.put_events(
                trackingId=tracker, userId=user, sessionId=user, eventList=events[start : start + 10]
            )
    shop = Shop.__new__(Shop)
    shop.api, shop.group = api, group
    campaign = deployed(shop, "live")
    found = items(shop.recommend(campaign, userId="u1", numResults=10, context={"DEVICE": "Phone"}))
    assert [item % 2 for item in found] == [1] * 10

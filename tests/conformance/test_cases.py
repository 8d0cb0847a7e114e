"""The forty cases by which a server of the Personalize API is known, in their order."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from estate import NOWHERE, Estate, recipe

from films import EVENTS_SCHEMA
from worlds import INTERACTIONS_SCHEMA, ROLE, Api, Shop, checkerboard, open_api

METRICS = {
    "coverage",
    "mean_reciprocal_rank_at_25",
    *(f"normalized_discounted_cumulative_gain_at_{k}" for k in (5, 10, 25)),
    *(f"precision_at_{k}" for k in (5, 10, 25)),
}


def error(call: Any, *args: Any, **request: Any) -> dict[str, Any]:
    """Return code, message and status of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call(*args, **request)
    told = raised.value.response
    return {**told["Error"], "Status": told["ResponseMetadata"]["HTTPStatusCode"]}


def says(call: Any, code: str, *words: str, status: int = 400, **request: Any) -> None:
    """See that a call raises an error with a code and words."""
    told = error(call, **request)
    assert (told["Code"], told["Status"]) == (f"{code}Exception", status), told
    for word in words:
        assert word in told["Message"]


@pytest.fixture
def shop(api: Api) -> Shop:
    """A dataset group of the test's own, with an empty dataset."""
    return Shop(api)


@pytest.fixture
def slow(tmp_path: Any) -> Iterator[Shop]:
    """A shop whose jobs wait for one another."""
    api = open_api(tmp_path / "slow", job_slots=1, describe_wait_s=0)
    yield Shop(api)
    api.library.close()


def test_01_an_empty_server_lists_nothing(api: Api) -> None:
    answer = api.personalize.list_dataset_groups()
    assert answer["datasetGroups"] == []
    assert uuid.UUID(answer["ResponseMetadata"]["RequestId"])


def test_02_a_schema_is_kept_byte_for_byte(api: Api) -> None:
    text = json.dumps(EVENTS_SCHEMA, indent=3)
    arn = api.personalize.create_schema(name="mine", schema=text)["schemaArn"]
    assert arn == f"{NOWHERE}schema/mine"
    described = api.personalize.describe_schema(schemaArn=arn)["schema"]
    assert described["schema"] == text
    assert "status" not in described


def test_03_a_name_is_taken_once(shop: Shop) -> None:
    says(
        shop.api.personalize.create_schema,
        "ResourceAlreadyExists",
        name="shop-schema",
        schema=INTERACTIONS_SCHEMA,
    )


@pytest.mark.parametrize("schema", [INTERACTIONS_SCHEMA.replace("TIMESTAMP", "WHEN"), "{not json"])
def test_04_a_schema_that_cannot_be_is_refused(api: Api, schema: str) -> None:
    says(api.personalize.create_schema, "InvalidInput", name="bad", schema=schema)


@pytest.mark.parametrize("name", ["a" * 64, "-x"])
def test_05_a_name_has_63_characters_and_begins_with_a_letter_or_digit(api: Api, name: str) -> None:
    says(api.personalize.create_schema, "InvalidInput", "name", name=name, schema=INTERACTIONS_SCHEMA)
    api.personalize.create_schema(name="a" * 63, schema=INTERACTIONS_SCHEMA)


def test_06_a_group_becomes_active_and_its_dates_are_numbers(api: Api) -> None:
    arn = api.personalize.create_dataset_group(name="g")["datasetGroupArn"]
    assert arn == f"{NOWHERE}dataset-group/g"
    bodies: list[bytes] = []
    api.personalize.meta.events.register(
        "after-call", lambda http_response, **_: bodies.append(http_response.content)
    )
    assert (
        api.settle(lambda: api.personalize.describe_dataset_group(datasetGroupArn=arn))["status"] == "ACTIVE"
    )
    told = json.loads(bodies[-1])["datasetGroup"]
    assert isinstance(told["creationDateTime"], int | float)
    assert abs(told["creationDateTime"] - time.time()) < 60


def test_07_a_domain_is_one_of_two_and_echoed(api: Api) -> None:
    says(api.personalize.create_dataset_group, "InvalidInput", "domain", name="m", domain="MUSIC")
    assert api.personalize.create_dataset_group(name="e", domain="ECOMMERCE")["domain"] == "ECOMMERCE"


def test_08_a_dataset_is_named_by_group_and_type(shop: Shop) -> None:
    assert shop.dataset == f"{NOWHERE}dataset/shop/INTERACTIONS"
    described = shop.api.personalize.describe_dataset(datasetArn=shop.dataset)["dataset"]
    assert (described["datasetType"], described["name"]) == ("INTERACTIONS", "interactions")


def test_09_a_group_has_one_dataset_of_a_type(shop: Shop) -> None:
    request = {"name": "other", "schemaArn": shop.schema, "datasetGroupArn": shop.group}
    says(shop.api.personalize.create_dataset, "ResourceAlreadyExists", **request, datasetType="Interactions")


def test_10_a_domain_group_takes_schemas_of_its_domain(shop: Shop) -> None:
    personalize = shop.api.personalize
    group = personalize.create_dataset_group(name="e", domain="ECOMMERCE")["datasetGroupArn"]
    request = {"name": "n", "schemaArn": shop.schema, "datasetGroupArn": group, "datasetType": "Interactions"}
    says(personalize.create_dataset, "InvalidInput", "domain", **request)


def test_11_a_full_import_of_good_rows(shop: Shop) -> None:
    done = shop.imported(shop.start_import("j", checkerboard(50, 40, 20)))
    assert (done["status"], done["importMode"], done["roleArn"]) == ("ACTIVE", "FULL", ROLE)
    assert done["dataSource"] == {"dataLocation": "s3://data/j.csv"}


def test_12_a_column_that_is_missing_is_named(shop: Shop) -> None:
    done = shop.imported(shop.start_import("j", "USER_ID,TIMESTAMP\nu,1\n"))
    assert done["status"] == "CREATE FAILED"
    assert "missing the following columns:[ITEM_ID]" in done["failureReason"]


def test_13_the_first_import_is_not_incremental(shop: Shop) -> None:
    says(shop.start_import, "InvalidInput", name="j", text=checkerboard(), importMode="INCREMENTAL")


def test_14_the_sixth_import_at_once_is_one_too_many(tmp_path: Path) -> None:
    with closing(open_api(tmp_path / "home", job_slots=0).library) as library:
        shop = Shop(Api(library))
        for n in range(5):
            shop.start_import(f"j{n}", checkerboard())
        words = "More than 5 resources with PENDING or IN_PROGRESS status."
        says(shop.start_import, "LimitExceeded", words, name="j5", text=checkerboard())


def test_15_a_group_has_one_tracker_with_a_uuid(shop: Shop) -> None:
    personalize = shop.api.personalize
    made = personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)
    assert uuid.UUID(made["trackingId"])
    assert error(personalize.create_event_tracker, name="t2", datasetGroupArn=shop.group)["Status"] == 400
    described = personalize.describe_event_tracker(eventTrackerArn=made["eventTrackerArn"])["eventTracker"]
    assert described["accountId"] == "000000000000"


def test_16_a_solution_names_a_recipe_or_asks_for_automl(shop: Shop) -> None:
    personalize = shop.api.personalize
    says(personalize.create_solution, "InvalidInput", "recipeArn", name="s", datasetGroupArn=shop.group)
    arn = personalize.create_solution(
        name="s", datasetGroupArn=shop.group, recipeArn=recipe("aws-user-personalization")
    )["solutionArn"]
    assert personalize.describe_solution(solutionArn=arn)["solution"]["performAutoTraining"] is True


def test_17_24_users_are_too_few(shop: Shop) -> None:
    shop.imported(shop.start_import("j", checkerboard(24, 40, 60)))
    failed = shop.trained(shop.train(shop.solution()))
    assert failed["status"] == "CREATE FAILED"
    assert "fewer than 25 users" in failed["failureReason"]


def test_18_an_update_needs_a_full_version(shop: Shop) -> None:
    shop.imported(shop.start_import("j", checkerboard()))
    solution = shop.solution()
    says(shop.train, "InvalidInput", solution=solution, trainingMode="UPDATE")


def test_19_a_version_without_a_name_gets_8_hex_digits(shop: Shop) -> None:
    shop.imported(shop.start_import("j", checkerboard()))
    version = shop.trained(shop.train(shop.solution("S")))
    found = re.fullmatch(re.escape(f"{NOWHERE}solution/") + "(S/[0-9a-f]{8})", version["solutionVersionArn"])
    assert found
    assert (version["name"], version["trainingMode"], version["trainingType"]) == (found[1], "FULL", "MANUAL")
    assert version["trainingHours"] > 0


def test_20_a_training_that_is_stopped_stays_described(slow: Shop) -> None:
    slow.imported(slow.start_import("j", checkerboard()))
    version = slow.train(slow.solution())
    stop = slow.api.personalize.stop_solution_version_creation
    stop(solutionVersionArn=version)
    assert slow.trained(version)["status"] == "CREATE STOPPED"
    assert error(stop, solutionVersionArn=version)["Status"] == 400


def test_21_a_recommending_version_has_eight_metrics(estate: Estate, slow: Shop) -> None:
    answer = estate.personalize.get_solution_metrics(solutionVersionArn=estate.version_arn)
    assert set(answer["metrics"]) == METRICS
    assert all(round(value, 4) == value for value in answer["metrics"].values())
    slow.imported(slow.start_import("j", checkerboard()))
    version = slow.train(slow.solution())
    says(slow.api.personalize.get_solution_metrics, "ResourceInUse", solutionVersionArn=version)


def test_22_a_segmenting_version_has_three(estate: Estate) -> None:
    version = estate.version("attributes", "aws-item-attribute-affinity")
    found = estate.personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
    assert set(found) == {"coverage", "hits_at_1_percent", "recall_at_1_percent"}


def test_23_a_campaign_follows_its_solution(shop: Shop) -> None:
    shop.imported(shop.start_import("j", checkerboard()))
    solution = shop.solution()
    shop.trained(shop.train(solution))
    campaign = shop.deployed(
        "c", f"{solution}/$LATEST", campaignConfig={"syncWithLatestSolutionVersion": True}
    )
    second = shop.trained(shop.train(solution))["solutionVersionArn"]
    personalize, deadline = shop.api.personalize, time.monotonic() + 30
    while True:
        found = shop.api.settle(lambda: personalize.describe_campaign(campaignArn=campaign))
        if found["solutionVersionArn"] == second:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert found["latestCampaignUpdate"]["solutionVersionArn"] == second


def test_24_a_campaign_answers_while_it_is_updated(estate: Estate) -> None:
    campaign = estate.a_campaign()
    version = estate.trained(estate.train(estate.solution_arn))["solutionVersionArn"]
    estate.personalize.update_campaign(campaignArn=campaign, solutionVersionArn=version)
    found = estate.personalize.describe_campaign(campaignArn=campaign)["campaign"]
    assert found["status"] == "ACTIVE"
    assert found["latestCampaignUpdate"]["status"] in ("CREATE PENDING", "CREATE IN_PROGRESS", "ACTIVE")
    assert estate.recommend(campaign, userId="u1")["itemList"]
    assert estate.settled("campaign", campaign)["solutionVersionArn"] == version


def test_25_a_fresh_campaign_has_no_update(estate: Estate) -> None:
    found = estate.personalize.describe_campaign(campaignArn=estate.a_campaign())["campaign"]
    assert "latestCampaignUpdate" not in found


def test_26_a_solution_goes_after_its_campaigns_and_takes_its_versions(shop: Shop) -> None:
    personalize = shop.api.personalize
    shop.imported(shop.start_import("j", checkerboard()))
    solution = shop.solution()
    version = shop.trained(shop.train(solution))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    says(personalize.delete_solution, "ResourceInUse", solutionArn=solution)
    personalize.delete_campaign(campaignArn=campaign)
    personalize.delete_solution(solutionArn=solution)
    _gone(personalize.describe_solution_version, solutionVersionArn=version)


def _gone(describe: Any, **request: Any) -> None:
    """Wait until something is no longer described; the message names no other state than that it is leaving."""
    deadline = time.monotonic() + 20
    while True:
        try:
            (found,) = (v for v in describe(**request).values() if isinstance(v, dict) and "status" in v)
        except ClientError as raised:
            told = raised.response
            assert told["Error"]["Code"] == "ResourceNotFoundException"
            assert told["ResponseMetadata"]["HTTPStatusCode"] == 400
            return
        assert found["status"].startswith("DELETE "), found
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_27_a_group_goes_when_it_is_empty(shop: Shop) -> None:
    personalize = shop.api.personalize
    says(personalize.delete_dataset_group, "ResourceInUse", datasetGroupArn=shop.group)
    personalize.delete_dataset(datasetArn=shop.dataset)
    personalize.delete_dataset_group(datasetGroupArn=shop.group)
    found = personalize.describe_dataset_group(datasetGroupArn=shop.group)["datasetGroup"]
    assert found["status"] == "DELETE PENDING"
    _gone(personalize.describe_dataset_group, datasetGroupArn=shop.group)


def test_28_what_is_deleted_is_not_there_to_be_deleted(estate: Estate) -> None:
    arn = estate.a_filter()
    estate.personalize.delete_filter(filterArn=arn)
    says(estate.personalize.delete_filter, "ResourceNotFound", filterArn=arn)


def test_29_filters_are_listed_under_a_capital_and_in_pages(estate: Estate) -> None:
    request = {"datasetGroupArn": estate.group}
    whole = estate.personalize.list_filters(**request)["Filters"]
    assert len(whole) >= 2
    pages = list(
        estate.personalize.get_paginator("list_filters").paginate(**request, PaginationConfig={"PageSize": 1})
    )
    assert len(pages) >= len(whole)
    assert [found["filterArn"] for page in pages for found in page["Filters"]] == [
        f["filterArn"] for f in whole
    ]
    says(estate.personalize.list_filters, "InvalidNextToken", **request, nextToken="x")


def test_30_recipes_of_a_domain(estate: Estate) -> None:
    found = estate.personalize.list_recipes(domain="ECOMMERCE")["recipes"]
    assert [r["domain"] for r in found] == ["ECOMMERCE"] * 5
    described = estate.personalize.describe_recipe(recipeArn=recipe("aws-sims"))["recipe"]
    assert described["recipeType"] == "RELATED_ITEMS"


def test_31_not_in_takes_no_placeholder(estate: Estate) -> None:
    says(
        estate.personalize.create_filter,
        "InvalidInput",
        "Invalid input symbol: $x. Placeholders are not allowed with NOT_IN operator.",
        name="bad",
        datasetGroupArn=estate.group,
        filterExpression="INCLUDE ItemID WHERE Items.GENRE NOT IN ($x)",
    )


def test_32_a_campaign_that_is_not_there_is_404_at_run_time(estate: Estate) -> None:
    ask = estate.api.runtime.get_recommendations
    says(ask, "ResourceNotFound", status=404, campaignArn=f"{NOWHERE}campaign/none", userId="u1")
    both = {"campaignArn": estate.campaign, "recommenderArn": estate.recommender}
    says(ask, "InvalidInput", **both, userId="u1")


def test_33_scores_fall_and_sum_to_1_over_the_catalogue(shop: Shop) -> None:
    shop.imported(shop.start_import("j", checkerboard()))
    version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    answer = shop.recommend(campaign, userId="u1")
    assert len(answer["itemList"]) == 25
    assert len(answer["recommendationId"]) == 40
    whole = [item["score"] for item in shop.recommend(campaign, userId="u1", numResults=40)["itemList"]]
    assert whole == sorted(whole, reverse=True)
    assert sum(whole) == pytest.approx(1, abs=1e-4)


def test_34_an_unknown_user_gets_what_is_popular(estate: Estate) -> None:
    assert len(estate.recommend(estate.campaign, userId="never-seen")["itemList"]) == 25


def test_35_related_items_have_no_score(estate: Estate) -> None:
    sims = estate.deployed("sims", estate.version("sims", "aws-sims"))
    related = estate.recommend(sims, itemId="i1")["itemList"]
    viewed = estate.api.runtime.get_recommendations(recommenderArn=estate.recommender, userId="u1")[
        "itemList"
    ]
    assert related
    assert viewed
    assert not any("score" in item for item in related + viewed)


def test_36_placeholders_are_filled_by_the_request(estate: Estate) -> None:
    one = estate.filter("by-genre", "INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)")
    request = {"userId": "u1", "numResults": 100, "filterArn": one}
    values = {"GENRE": '"comedy","horror"'}
    found = estate.recommend(estate.campaign, **request, filterValues=values)["itemList"]
    known = [int(item["itemId"][1:]) for item in found if re.fullmatch(r"i\d+", item["itemId"])]
    assert known
    assert {number % 3 for number in known} == {0, 2}
    says(estate.api.runtime.get_recommendations, "InvalidInput", campaignArn=estate.campaign, **request)
    without = estate.filter("but-genre", "EXCLUDE ItemID WHERE Items.GENRE IN ($GENRE)")
    whole = estate.recommend(estate.campaign, userId="u1", numResults=100, filterArn=without)["itemList"]
    assert len(whole) >= 40


def test_37_unknown_items_are_ranked_last_without_a_score(estate: Estate) -> None:
    rank = estate.api.runtime.get_personalized_ranking
    ranked = rank(campaignArn=estate.ranking, userId="u1", inputList=["stranger", "i1", "i2"])[
        "personalizedRanking"
    ]
    assert {item["itemId"] for item in ranked[:2]} == {"i1", "i2"}
    assert ranked[2] == {"itemId": "stranger"}
    says(
        rank, "InvalidInput", campaignArn=estate.ranking, userId="u1", inputList=[f"i{n}" for n in range(501)]
    )


def test_38_promotions_and_metadata(estate: Estate) -> None:
    campaign = estate.deployed(
        "telling", estate.version_arn, campaignConfig={"enableMetadataWithRecommendations": True}
    )
    promotion = {"name": "funny", "percentPromotedItems": 50, "filterArn": estate.filter_arn}
    items = estate.recommend(campaign, userId="u1", numResults=10, promotions=[promotion])["itemList"]
    promoted = [item for item in items if item.get("promotionName") == "funny"]
    assert len(items) == 10
    assert len(promoted) == 5
    scores = [item["score"] for item in promoted]
    assert scores == sorted(scores, reverse=True)
    columns = {"metadataColumns": {"ITEMS": ["GENRE"]}}
    told = estate.recommend(campaign, userId="u1", numResults=50, **columns)["itemList"]
    assert all(
        isinstance(item["metadata"]["genre"], str) for item in told if "genre" in item.get("metadata", {})
    )
    assert any(item["metadata"].get("genre") == "comedy" for item in told)
    ask = estate.api.runtime.get_recommendations
    says(ask, "InvalidInput", campaignArn=campaign, userId="u1", numResults=51, **columns)


def test_39_an_event_counts_at_once(estate: Estate) -> None:
    arn = estate.filter("unclicked", 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click")')
    still = {"itemExplorationConfig": {"explorationWeight": "0"}}
    campaign = estate.deployed("still", estate.version_arn, campaignConfig=still)
    ask = {"userId": "visitor", "numResults": 100, "filterArn": arn}
    event = {"eventType": "click", "sentAt": 1_700_000_000, "properties": '{"itemId":"i1"}'}
    put = estate.api.events.put_events
    before = {item["itemId"] for item in estate.recommend(campaign, **ask)["itemList"]}
    asked = {"trackingId": estate.tracker, "sessionId": "v", "userId": "visitor"}
    answer = put(**asked, eventList=[event])
    assert set(answer) == {"ResponseMetadata"}
    after = {item["itemId"] for item in estate.recommend(campaign, **ask)["itemList"]}
    assert before - after == {"i1"}
    says(put, "InvalidInput", **asked, eventList=[{**event, "properties": "not json"}])
    says(put, "InvalidInput", **asked, eventList=[event] * 11)
    says(
        estate.api.events.put_items,
        "ResourceNotFound",
        status=404,
        datasetArn=f"{NOWHERE}dataset/none/ITEMS",
        items=[{"itemId": "x"}],
    )


def test_40_batch_jobs_write_a_line_for_each(estate: Estate) -> None:
    out = estate.api.library.home / "buckets" / "out"
    (line,) = (out / "inference" / "users.json.out").read_text().splitlines()
    told = json.loads(line)
    assert told["input"] == {"userId": "u1"}
    assert told["error"] is None
    assert len(told["output"]["recommendedItems"]) == 5
    assert (out / "inference" / "_CHECK").exists()
    (line,) = (out / "segment" / "items.json.out").read_text().splitlines()
    assert len(json.loads(line)["output"]["usersList"]) == 5

"""Recommenders of domain dataset groups: trained by themselves, answering without scores, stopped and started."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from nextpick.resources import recommenders, training_data
from nextpick.store.records import Records
from worlds import ROLE, open_api

DOMAINS = {"ECOMMERCE": ("View", "Purchase"), "VIDEO_ON_DEMAND": ("Click", "Watch")}
ITEMS = 40


def schema(kind: str, **fields: Any) -> str:
    """Return a schema whose fields are a type, or more."""
    listed = [{"name": n, **(f if isinstance(f, dict) else {"type": f})} for n, f in fields.items()]
    return json.dumps({"type": "record", "name": kind, "fields": listed, "version": "1.0"})


CATEGORY = {"type": "string", "categorical": True}
ITEM_FIELDS = {
    "ECOMMERCE": {"ITEM_ID": "string", "PRICE": "float", "CATEGORY_L1": CATEGORY, "BRAND": CATEGORY},
    "VIDEO_ON_DEMAND": {
        "ITEM_ID": "string",
        "GENRES": CATEGORY,
        "CREATION_TIMESTAMP": "long",
        "BRAND": CATEGORY,
    },
}


class Domain:
    """A dataset group of a domain in which even users take even items; the step-0 item of each is taken for good."""

    def __init__(self, api: Any, domain: str) -> None:
        self.api, self.domain, personalize = api, domain, api.personalize
        self.looks, self.takes = DOMAINS[domain]
        name = domain.lower().replace("_", "-")
        self.group = personalize.create_dataset_group(name=name, domain=domain)["datasetGroupArn"]
        events = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
        for user in range(120):
            for step in range(20):
                item = (2 * (user // 2 * 7 + step) + user % 2) % ITEMS
                for type_ in (self.looks, self.takes) if step < 10 else (self.looks,):
                    events.append(f"u{user},i{item},{type_},{1_700_000_000 + step * 60 + user}")
        columns = ITEM_FIELDS[domain]
        items = [",".join(columns), *(f"i{i},{i % 4 + 1},{1_600_000_000 + i},b" for i in range(ITEMS))]
        events_schema = schema(
            "Interactions", USER_ID="string", ITEM_ID="string", EVENT_TYPE="string", TIMESTAMP="long"
        )
        self.add("Interactions", events_schema, events)
        self.add("Items", schema("Items", **columns), items)
        self.tracker = personalize.create_event_tracker(name=name, datasetGroupArn=self.group)["trackingId"]

    def add(self, kind: str, text: str, rows: list[str]) -> None:
        personalize, name = self.api.personalize, f"{self.domain.lower().replace('_', '-')}-{kind.lower()}"
        made = personalize.create_schema(name=name, schema=text, domain=self.domain)["schemaArn"]
        dataset = personalize.create_dataset(
            name=name, schemaArn=made, datasetGroupArn=self.group, datasetType=kind
        )["datasetArn"]
        location = self.api.put_object("data", f"{name}.csv", "\n".join(rows) + "\n")
        job = personalize.create_dataset_import_job(
            jobName=name, datasetArn=dataset, dataSource={"dataLocation": location}, roleArn=ROLE
        )["datasetImportJobArn"]
        done = self.api.settle(lambda: personalize.describe_dataset_import_job(datasetImportJobArn=job))
        assert done["status"] == "ACTIVE", done

    def create(self, name: str, recipe: str, **config: Any) -> str:
        more = {"recommenderConfig": config} if config else {}
        return self.api.personalize.create_recommender(
            name=name, datasetGroupArn=self.group, recipeArn=f"arn:aws:personalize:::recipe/{recipe}", **more
        )["recommenderArn"]

    def describe(self, arn: str) -> dict[str, Any]:
        return self.api.settle(lambda: self.api.personalize.describe_recommender(recommenderArn=arn))

    def active(self, name: str, recipe: str, **config: Any) -> str:
        arn = self.create(name, recipe, **config)
        described = self.describe(arn)
        assert described["status"] == "ACTIVE", described
        return arn

    def recommend(self, arn: str, **request: Any) -> list[dict[str, Any]]:
        return self.api.runtime.get_recommendations(recommenderArn=arn, **request)["itemList"]

    def numbers(self, arn: str, **request: Any) -> list[int]:
        return [int(item["itemId"][1:]) for item in self.recommend(arn, **request)]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    opened = open_api(Path(tmp_path_factory.mktemp("recommenders")), count_quotas=False)
    yield opened
    opened.library.close()


@pytest.fixture(scope="module")
def shop(api: Any) -> Domain:
    return Domain(api, "ECOMMERCE")


@pytest.fixture(scope="module")
def videos(api: Any) -> Domain:
    return Domain(api, "VIDEO_ON_DEMAND")


def taken(user: int) -> set[int]:
    """Return the items a user has bought, or watched."""
    return {(2 * (user // 2 * 7 + step) + user % 2) % ITEMS for step in range(10)}


@pytest.mark.parametrize(
    ("recipe", "asked"),
    [
        ("aws-ecomm-popular-items-by-views", {"userId": "u1"}),
        ("aws-ecomm-popular-items-by-purchases", {"userId": "u1"}),
        ("aws-ecomm-frequently-bought-together", {"itemId": "i2"}),
        ("aws-ecomm-customers-who-viewed-x-also-viewed", {"userId": "u3", "itemId": "i3"}),
        ("aws-ecomm-recommended-for-you", {"userId": "u3"}),
        ("aws-vod-because-you-watched-x", {"userId": "u3", "itemId": "i3"}),
        ("aws-vod-more-like-x", {"userId": "u3", "itemId": "i3"}),
        ("aws-vod-most-popular", {"userId": "u1"}),
        ("aws-vod-trending-now", {}),
        ("aws-vod-top-picks", {"userId": "u3"}),
    ],
)
def test_a_use_case_answers_without_scores_and_leaves_out_what_it_says(
    shop: Domain, videos: Domain, recipe: str, asked: dict[str, str]
) -> None:
    domain = shop if recipe.startswith("aws-ecomm") else videos
    arn = domain.active(recipe, recipe)
    items = domain.recommend(arn, numResults=ITEMS, **asked)
    assert items
    assert all(set(item) == {"itemId"} for item in items)
    found = {int(item["itemId"][1:]) for item in items}
    drops = "u3" in asked.values()
    assert (not found & taken(3)) if drops else len(found) >= ITEMS - 1
    metrics = domain.describe(arn)["modelMetrics"]
    assert "coverage" in metrics
    for member in asked:
        with pytest.raises(ClientError, match=f"{member} is required"):
            domain.recommend(arn, **{name: value for name, value in asked.items() if name != member})


def test_what_is_bought_a_moment_ago_is_left_out_of_the_next_answer(shop: Domain) -> None:
    arn = shop.active("live", "aws-ecomm-recommended-for-you")
    first = shop.numbers(arn, userId="u8", numResults=5)[0]
    event = {"eventType": "purchase", "sentAt": 1_800_000_000, "itemId": f"i{first}"}
    shop.api.events.put_events(trackingId=shop.tracker, userId="u8", sessionId="s", eventList=[event])
    assert first not in shop.numbers(arn, userId="u8", numResults=ITEMS)


def test_filters_promotions_and_metadata_work_on_recommenders(shop: Domain) -> None:
    arn = shop.active("metadata", "aws-ecomm-recommended-for-you", enableMetadataWithRecommendations=True)
    made = shop.api.personalize.create_filter(
        name="first",
        datasetGroupArn=shop.group,
        filterExpression="INCLUDE ItemID WHERE ITEMS.CATEGORY_L1 IN ($WANTED)",
    )["filterArn"]
    shop.api.settle(lambda: shop.api.personalize.describe_filter(filterArn=made))
    wanted = f'"{1_600_000_002}","{1_600_000_003}"'
    items = shop.recommend(
        arn,
        userId="u3",
        filterArn=made,
        filterValues={"WANTED": wanted},
        metadataColumns={"ITEMS": ["CATEGORY_L1", "PRICE"]},
    )
    assert {item["itemId"] for item in items} == {"i2", "i3"} - {f"i{i}" for i in taken(3)}
    assert all(item["metadata"]["price"] in ("3.0", "4.0") for item in items)


def test_a_stopped_recommender_answers_again_once_it_is_started(shop: Domain) -> None:
    arn, personalize = shop.active("stopped", "aws-ecomm-popular-items-by-views"), shop.api.personalize
    assert personalize.stop_recommender(recommenderArn=arn)["recommenderArn"] == arn
    assert shop.describe(arn)["status"] == "INACTIVE"
    with pytest.raises(ClientError) as refused:
        shop.recommend(arn, userId="u1")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError, match="needs it ACTIVE"):
        personalize.stop_recommender(recommenderArn=arn)
    personalize.start_recommender(recommenderArn=arn)
    assert shop.describe(arn)["status"] == "ACTIVE"
    assert shop.recommend(arn, userId="u1")
    with pytest.raises(ClientError, match="needs it INACTIVE"):
        personalize.start_recommender(recommenderArn=arn)


def test_an_update_keeps_answering_and_becomes_the_configuration(shop: Domain) -> None:
    arn, personalize = shop.active("updated", "aws-ecomm-recommended-for-you"), shop.api.personalize
    before = shop.describe(arn)
    assert "latestRecommenderUpdate" not in before
    assert before["recommenderConfig"] == {"minRecommendationRequestsPerSecond": 1}
    personalize.update_recommender(
        recommenderArn=arn, recommenderConfig={"minRecommendationRequestsPerSecond": 2}
    )
    after = shop.describe(arn)
    assert after["recommenderConfig"]["minRecommendationRequestsPerSecond"] == 2
    assert after["latestRecommenderUpdate"]["status"] == "ACTIVE"
    excluded = {"trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["BRAND", "PRICE"]}}}
    personalize.update_recommender(recommenderArn=arn, recommenderConfig=excluded)
    with pytest.raises(ClientError) as running:
        personalize.update_recommender(recommenderArn=arn, recommenderConfig=excluded)
    assert running.value.response["Error"]["Code"] == "ResourceInUseException"
    while (update := personalize.describe_recommender(recommenderArn=arn)["recommender"])[
        "latestRecommenderUpdate"
    ]["status"] != "ACTIVE":
        assert update["status"] == "ACTIVE"
        assert shop.recommend(arn, userId="u1")
    assert update["recommenderConfig"]["trainingDataConfig"] == excluded["trainingDataConfig"]


def test_what_exists_learns_nothing_from_columns_that_come_later(shop: Domain) -> None:
    arn, personalize = shop.active("settled", "aws-ecomm-popular-items-by-views"), shop.api.personalize
    items = shop.group.replace(":dataset-group/", ":dataset/") + "/ITEMS"
    wider = {**ITEM_FIELDS["ECOMMERCE"], "COLOUR": {"type": ["null", "string"], "categorical": True}}

    def schema_arn(name: str, **more: Any) -> str:
        return personalize.create_schema(name=name, schema=schema("Items", **wider), **more)["schemaArn"]

    with pytest.raises(ClientError, match="they must be the same") as refused:
        personalize.update_dataset(datasetArn=items, schemaArn=schema_arn("of-no-domain"))
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"
    personalize.update_dataset(datasetArn=items, schemaArn=schema_arn("wider", domain="ECOMMERCE"))
    assert left_out(shop, arn) == {"ITEMS": ["COLOUR"]}
    chosen = {"trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["BRAND"]}}}
    personalize.update_recommender(recommenderArn=arn, recommenderConfig=chosen)
    assert left_out(shop, arn) == {"ITEMS": ["BRAND"]}, "the new configuration is about all columns"
    shop.api.settle(lambda: personalize.describe_recommender(recommenderArn=arn))


def left_out(shop: Domain, arn: str) -> dict[str, list[str]]:
    """Return the columns that the next training of a recommender leaves out."""
    with closing(Records(shop.api.library.home / "nextpick.db")) as records, records.read() as tx:
        found = tx.get(arn)
        assert found is not None
        chosen = recommenders.target_config(found).get("trainingDataConfig", {})
        return training_data.left_out(tx, shop.group, chosen, found.internal.get("excluded"))


def test_recipes_are_listed_by_domain(shop: Domain) -> None:
    for domain, prefix in (("ECOMMERCE", "aws-ecomm-"), ("VIDEO_ON_DEMAND", "aws-vod-")):
        first = shop.api.personalize.list_recipes(domain=domain)
        recipes = first["recipes"]
        assert len(recipes) == 5
        rest = shop.api.personalize.list_recipes(domain=domain, nextToken=first["nextToken"])
        assert rest["recipes"] == [], "programs ask for a second page whatever the first one has"
        assert "nextToken" not in rest
        assert all(r["name"].startswith(prefix) and r["domain"] == domain for r in recipes)
    names = [r["name"] for r in shop.api.personalize.list_recipes()["recipes"]]
    assert names == sorted(names)
    assert {"aws-sims", "aws-vod-top-picks"} <= set(names)


def test_what_cannot_be_is_refused(shop: Domain, videos: Domain, api: Any) -> None:
    custom = api.personalize.create_dataset_group(name="custom")["datasetGroupArn"]
    recipe = "arn:aws:personalize:::recipe/aws-ecomm-recommended-for-you"
    refused = {
        "has no domain": {"datasetGroupArn": custom, "recipeArn": recipe},
        "of domain ECOMMERCE": {"datasetGroupArn": videos.group, "recipeArn": recipe},
        "of domain none": {
            "datasetGroupArn": shop.group,
            "recipeArn": "arn:aws:personalize:::recipe/aws-sims",
        },
        "explorationWeight": {
            "datasetGroupArn": shop.group,
            "recipeArn": recipe,
            "recommenderConfig": {"itemExplorationConfig": {"explorationWeight": "7"}},
        },
        "does not have": {
            "datasetGroupArn": shop.group,
            "recipeArn": recipe,
            "recommenderConfig": {"trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["NONE"]}}},
        },
    }
    for words, request in refused.items():
        with pytest.raises(ClientError, match=words) as raised:
            api.personalize.create_recommender(name="refused", **request)
        assert raised.value.response["Error"]["Code"] == "InvalidInputException"
    with pytest.raises(ClientError, match="create a recommender with it"):
        api.personalize.create_solution(name="refused", datasetGroupArn=shop.group, recipeArn=recipe)
    arn = shop.active("campaignless", "aws-ecomm-popular-items-by-views")
    with pytest.raises(ClientError) as unknown:
        api.runtime.get_recommendations(campaignArn=arn, userId="u1")
    assert unknown.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_too_few_events_of_the_use_cases_type_fail_with_the_reason(api: Any) -> None:
    few = Domain.__new__(Domain)
    few.api, few.domain = api, "ECOMMERCE"
    few.group = api.personalize.create_dataset_group(name="few", domain="ECOMMERCE")["datasetGroupArn"]
    rows = [f"u{i % 50},i{i % 30},View,{1_700_000_000 + i}" for i in range(1200)]
    text = schema("Interactions", USER_ID="string", ITEM_ID="string", EVENT_TYPE="string", TIMESTAMP="long")
    made = api.personalize.create_schema(name="few", schema=text, domain="ECOMMERCE")["schemaArn"]
    dataset = api.personalize.create_dataset(
        name="few", schemaArn=made, datasetGroupArn=few.group, datasetType="Interactions"
    )["datasetArn"]
    location = api.put_object(
        "data", "few.csv", "\n".join(["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP", *rows]) + "\n"
    )
    job = api.personalize.create_dataset_import_job(
        jobName="few", datasetArn=dataset, dataSource={"dataLocation": location}, roleArn=ROLE
    )["datasetImportJobArn"]
    api.settle(lambda: api.personalize.describe_dataset_import_job(datasetImportJobArn=job))
    failed = few.describe(few.create("few", "aws-ecomm-frequently-bought-together"))
    assert failed["status"] == "CREATE FAILED"
    reason = "Dataset has fewer than 1000 interactions after filtering by event type: Purchase"
    assert reason in failed["failureReason"]


def test_a_dataset_group_is_not_deleted_before_its_recommenders(shop: Domain, api: Any) -> None:
    arn = shop.active("blocking", "aws-ecomm-popular-items-by-views")
    with pytest.raises(ClientError, match="in use by"):
        api.personalize.delete_dataset_group(datasetGroupArn=shop.group)
    listed = api.personalize.list_recommenders(datasetGroupArn=shop.group)["recommenders"]
    summary = next(r for r in listed if r["recommenderArn"] == arn)
    assert summary["recommenderConfig"] == {"minRecommendationRequestsPerSecond": 1}
    api.personalize.delete_recommender(recommenderArn=arn)
    api.personalize.describe_recommender(recommenderArn=arn)
    with pytest.raises(ClientError) as gone:
        api.personalize.describe_recommender(recommenderArn=arn)
    assert gone.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_what_a_use_case_leaves_out_is_told_as_such(api: Any, shop: Domain) -> None:
    arn = shop.active("why", "aws-ecomm-recommended-for-you")
    bought = f"i{min(taken(3))}"
    asked = api.nextpick.explain_recommendations(recommenderArn=arn, userId="u3", itemId=bought)["asked"]
    assert asked["outcome"] == "EXCLUDED_BY_USE_CASE"
    other = f"i{min(set(range(ITEMS)) - taken(3))}"
    asked = api.nextpick.explain_recommendations(recommenderArn=arn, userId="u3", itemId=other)["asked"]
    assert asked["outcome"] != "EXCLUDED_BY_USE_CASE"


def test_a_recommender_is_evaluated_as_it_answers(api: Any, shop: Domain) -> None:
    arn = shop.active("evaluated", "aws-ecomm-popular-items-by-views")
    job = api.nextpick.start_evaluation(resourceArn=arn)["job"]["jobId"]
    deadline = time.monotonic() + 60
    while api.nextpick.describe_job(jobId=job)["job"]["state"] not in ("DONE", "FAILED"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    report = json.loads(api.nextpick.get_evaluation(resourceArn=arn)["report"])
    assert (report["status"], report["recipe"]) == ("MEASURED", "aws-ecomm-popular-items-by-views")
    assert shop.describe(arn)["status"] == "ACTIVE"

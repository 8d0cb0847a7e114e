"""aws-semantic-similarity: items like an item by what is written of them; trending and it follow their data."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from films import World
from worlds import ROLE, Shop, open_api

SCHEMA = {
    "type": "record",
    "name": "Items",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TITLE", "type": "string", "itemName": True},
        {"name": "TEXT", "type": ["null", "string"], "textual": True},
        {"name": "CREATION_TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}
RECIPE = "aws-semantic-similarity"
TOPICS = {
    "sea": ["ship", "sailor", "harbour", "storm", "captain", "whale", "anchor", "voyage"],
    "space": ["rocket", "planet", "orbit", "astronaut", "galaxy", "star", "comet", "moon"],
    "farm": ["tractor", "cow", "barn", "harvest", "wheat", "farmer", "plough", "meadow"],
}


def text(topic: str, n: int) -> str:
    """Return a text of a topic's words among words that all texts have."""
    words = np.random.default_rng(n).choice(TOPICS[topic], 5, replace=False)
    return " ".join(f"the story of a {word}" for word in words)


class Library(Shop):
    """Thirty books of three topics, without any interactions."""

    def __init__(self, api: Any) -> None:
        self.api, self.name = api, "books"
        personalize = api.personalize
        self.group = personalize.create_dataset_group(name="books")["datasetGroupArn"]
        schema = personalize.create_schema(name="books", schema=json.dumps(SCHEMA))["schemaArn"]
        self.items = personalize.create_dataset(
            name="items", schemaArn=schema, datasetGroupArn=self.group, datasetType="Items"
        )["datasetArn"]
        rows = ["ITEM_ID,TITLE,TEXT,CREATION_TIMESTAMP"]
        for n in range(30):
            topic = list(TOPICS)[n % 3]
            rows.append(f'{topic}-{n},Book {n},"{text(topic, n)}",{1_700_000_000 + n * 86_400}')
        location = api.put_object("data", "books.csv", "\n".join(rows) + "\n")
        job = personalize.create_dataset_import_job(
            jobName="books", datasetArn=self.items, dataSource={"dataLocation": location}, roleArn=ROLE
        )["datasetImportJobArn"]
        assert self.imported(job)["status"] == "ACTIVE"

    def topics(self, item: str, k: int = 9, **request: Any) -> set[str]:
        """Return the topics of the first items like an item."""
        items = self.recommend(self.campaign, itemId=item, numResults=k, **request)["itemList"]
        return {found["itemId"].partition("-")[0] for found in items}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    api = open_api(tmp_path_factory.mktemp("home"), refresh_after_s=0.2)
    made = Library(api)
    version = made.trained(made.train(made.solution("s", RECIPE)))
    assert version["status"] == "ACTIVE", version
    made.version = version["solutionVersionArn"]
    made.campaign = made.deployed("c", made.version)
    yield made
    api.library.close()


def until(found: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not found():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def test_items_of_the_same_topic_are_alike_without_an_interaction(library: Library) -> None:
    for item in ("sea-0", "space-1", "farm-2"):
        assert library.topics(item) == {item.partition("-")[0]}
    everything = library.recommend(library.campaign, itemId="sea-0", numResults=100)["itemList"]
    assert len(everything) == 29  # all but the item itself
    assert all("score" not in found for found in everything)


def test_an_unknown_item_still_gets_an_answer(library: Library) -> None:
    assert len(library.recommend(library.campaign, itemId="nothing")["itemList"]) == 25


def test_its_metrics_are_between_0_and_1(library: Library) -> None:
    metrics = library.api.personalize.get_solution_metrics(solutionVersionArn=library.version)["metrics"]
    assert set(metrics) == {"coverage", "freshness", "popularity", "similarity"}
    assert all(0 <= value <= 1 for value in metrics.values())
    assert metrics["similarity"] > 0.2
    assert metrics["popularity"] == 0


def test_freshness_moves_new_items_up(library: Library) -> None:
    config = {"rankingInfluence": {"FRESHNESS": 1.0}}
    campaign = library.deployed("fresh", library.version, campaignConfig=config)
    items = library.recommend(campaign, itemId="sea-0", numResults=5)["itemList"]
    assert [int(found["itemId"].partition("-")[2]) for found in items] == [29, 28, 27, 26, 25]


@pytest.mark.parametrize(
    ("influence", "words"),
    [({"FRESHNESS": 1.5}, "less than or equal to 1"), ({"BEAUTY": 0.5}, "POPULARITY, FRESHNESS")],
)
def test_an_influence_that_cannot_be_is_refused(
    library: Library, influence: dict[str, float], words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        library.deployed("refused", library.version, campaignConfig={"rankingInfluence": influence})


def test_what_is_put_is_found_and_searched_with_a_moment_later(library: Library) -> None:
    described = library.api.personalize.describe_solution(solutionArn=library.version.rpartition("/")[0])[
        "solution"
    ]
    assert described["performIncrementalUpdate"] is True
    properties = json.dumps({"title": "New book", "text": text("space", 99)})
    library.api.events.put_items(
        datasetArn=library.items, items=[{"itemId": "space-99", "properties": properties}]
    )

    def near() -> set[str]:
        items = library.recommend(library.campaign, itemId="space-1", numResults=10)["itemList"]
        return {found["itemId"] for found in items}

    until(lambda: "space-99" in near())
    assert library.topics("space-99") == {"space"}
    versions = library.api.personalize.list_solution_versions(solutionArn=library.version.rpartition("/")[0])[
        "solutionVersions"
    ]
    assert [v["solutionVersionArn"] for v in versions] == [library.version]


def test_a_text_that_changes_changes_what_is_alike(library: Library) -> None:
    properties = json.dumps({"title": "Moved", "text": text("farm", 77)})
    library.api.events.put_items(
        datasetArn=library.items, items=[{"itemId": "sea-27", "properties": properties}]
    )
    until(lambda: library.topics("sea-27", k=5) == {"farm"})


def test_a_batch_job_answers_items(library: Library) -> None:
    source = library.api.put_object("batch", "in/items.json", '{"itemId":"farm-2"}\n{"itemId":"sea-3"}\n')
    job = library.api.personalize.create_batch_inference_job(
        jobName="b",
        solutionVersionArn=library.version,
        roleArn=ROLE,
        numResults=4,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": "s3://batch/out/"}},
        batchInferenceJobConfig={"rankingInfluence": {"FRESHNESS": 0.1}},
    )["batchInferenceJobArn"]
    done = library.api.settle(
        lambda: library.api.personalize.describe_batch_inference_job(batchInferenceJobArn=job)
    )
    assert done["status"] == "ACTIVE", done
    written = (library.api.library.home / "buckets/batch/out/items.json.out").read_text()
    for line in map(json.loads, written.splitlines()):
        assert len(line["output"]["recommendedItems"]) == 4
        assert "scores" not in line["output"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(tmp_path_factory.mktemp("world"), count_quotas=False, refresh_after_s=0.2)
    yield World(api)
    api.library.close()


def test_items_without_a_name_cannot_be_compared(world: World) -> None:
    with pytest.raises(ClientError, match="needs a field with itemName true"):
        world.solution("texts", RECIPE)


@pytest.mark.parametrize("recipe", ["aws-user-personalization", "aws-similar-items"])
def test_other_recipes_take_neither_incremental_updates_nor_influence(world: World, recipe: str) -> None:
    with pytest.raises(ClientError, match="aws-semantic-similarity only"):
        world.solution("incremental", recipe, performIncrementalUpdate=True)
    version = world.version(f"plain-{recipe}", recipe)
    with pytest.raises(ClientError, match=f"{recipe} takes no rankingInfluence"):
        world.deployed("influence", version, campaignConfig={"rankingInfluence": {"POPULARITY": 0.5}})


def test_what_trends_follows_the_events(world: World) -> None:
    campaign = world.deployed("trends", world.version("trends", "aws-trending-now"))
    first = world.recommend(campaign, numResults=1)["itemList"][0]["itemId"]
    risen = "i38" if first != "i38" else "i37"
    for user in range(60):
        event = {"eventType": "click", "itemId": risen, "sentAt": 1_700_090_000 + user}
        world.api.events.put_events(
            trackingId=world.tracker, sessionId="s", userId=f"u{user}", eventList=[event] * 2
        )
    until(lambda: world.recommend(campaign, numResults=1)["itemList"][0]["itemId"] == risen)

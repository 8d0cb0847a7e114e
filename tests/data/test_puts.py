"""Records put one by one: checked, on disk, filtered by at once, trained on, ordered against imports."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from films import ALL, COMEDY, World
from worlds import open_api

COMEDIES = 'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(Path(tmp_path_factory.mktemp("puts")))
    yield World(api)
    api.library.close()


def put(world: World, number: int, **properties: Any) -> None:
    given = {"genre": "drama", "price": 1.0, "year": 2000, "title": "t", "adult": False, **properties}
    item = {"itemId": f"i{number}", "properties": json.dumps(given)}
    world.api.events.put_items(datasetArn=world.items, items=[item])


def items_rows() -> list[str]:
    return ["ITEM_ID,GENRE,PRICE,YEAR,TITLE,TEXT,ADULT", *(f"i{i},drama,1,1990,T,x,true" for i in range(40))]


def test_the_next_filtered_answer_knows_a_record(world: World) -> None:
    assert world.items_of(COMEDIES) == COMEDY
    put(world, 1, genre="comedy|western")
    assert world.items_of(COMEDIES) == COMEDY | {1}
    assert world.items_of('INCLUDE ItemID WHERE Items.GENRE IN ("western")') == {1}
    put(world, 0, genre="western", year="1900")
    assert world.items_of(COMEDIES) == (COMEDY | {1}) - {0}
    assert world.items_of("INCLUDE ItemID WHERE Items.YEAR = 1900") == {0}
    put(world, 0, genre="comedy", year=1980)
    put(world, 1)


def test_what_a_record_leaves_out_is_gone(world: World) -> None:
    put(world, 3, genre=None, price=None)
    assert 3 not in world.items_of(COMEDIES)
    assert 3 not in world.items_of("INCLUDE ItemID WHERE Items.PRICE < 1000")
    put(world, 3, genre="comedy", price=3.5)
    assert 3 in world.items_of(COMEDIES)


def test_a_user_put_a_moment_ago_is_the_current_user(world: World) -> None:
    rule = 'EXCLUDE ItemID WHERE Items.TITLE IN ("Title 30") IF CurrentUser.AGE < 18'
    assert world.items_of(rule, user="u50") == ALL
    user = {"userId": "u50", "properties": '{"age": 7}'}
    world.api.events.put_users(datasetArn=world.users, users=[user])
    assert world.items_of(rule, user="u50") == ALL - {30}
    world.api.events.put_users(
        datasetArn=world.users, users=[{"userId": "brand new", "properties": '{"AGE": "7"}'}]
    )
    assert world.items_of(rule, user="brand new") == ALL - {30}


def test_metadata_of_answers_is_the_newest(world: World) -> None:
    version = world.version("v2", "aws-user-personalization-v2")
    campaign = world.deployed("with-metadata", version)
    put(world, 5, title="Put title")
    items = world.recommend(campaign, userId="u1", numResults=40, metadataColumns={"ITEMS": ["TITLE"]})
    titles = {item["itemId"]: item["metadata"]["title"] for item in items["itemList"]}
    assert titles["i5"] == "Put title"
    assert titles["i6"] == "Title 6"


def test_a_later_import_is_newer_than_a_record_and_a_later_record_newer_than_it(world: World) -> None:
    put(world, 7, genre="comedy")
    put(world, 100, genre="western")
    world.bring(world.items, "second", items_rows())
    assert world.items_of(COMEDIES) == set()
    assert world.items_of('INCLUDE ItemID WHERE Items.GENRE IN ("drama")') == ALL
    put(world, 8, genre="comedy")
    assert world.items_of(COMEDIES) == {8}
    world.bring(world.items, "third", items_rows()[:2], "INCREMENTAL")
    assert world.items_of(COMEDIES) == {8}


def test_records_are_trained_on_and_new_items_recommended_afterwards(world: World) -> None:
    put(world, 200, genre="comedy", year=2020)
    version = world.version("after", "aws-user-personalization")
    campaign = world.deployed("after", version)
    found = world.recommend(campaign, userId="u1", numResults=200)["itemList"]
    assert {"i100", "i200"} <= {item["itemId"] for item in found}, "put before the import, and after it"
    assert world.items_of("INCLUDE ItemID WHERE Items.YEAR = 2020", campaign=campaign) == {200}


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("not json", "Error parsing properties json"),
        ("[1]", "Error parsing properties json"),
        ('{"genre": "a", "price": 1, "title": "t", "adult": true}', "YEAR is required"),
        ('{"year": "soon", "title": "t", "adult": true}', "YEAR is 'soon'; it must be a whole number"),
        ('{"year": 1.5, "title": "t", "adult": true}', "YEAR is 1.5; it must be a whole number"),
        ('{"year": 1, "title": "t", "adult": "perhaps"}', "ADULT is 'perhaps'; it must be true or false"),
        (
            '{"year": 1, "title": "t", "adult": true, "price": "1e999"}',
            "PRICE is '1e999'; it must be a finite",
        ),
        ('{"year": 1, "title": "t", "adult": true, "colour": 1}', "no field for colour"),
        (json.dumps({"year": 1, "title": "t" * 1001, "adult": True}), "more than 1000 characters for TITLE"),
        (json.dumps({"year": 1, "title": ["t"], "adult": True}), "TITLE is ['t']; it must be a text"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(world: World, properties: str, message: str) -> None:
    good = {"itemId": "good", "properties": '{"year": 4000, "title": "t", "adult": true}'}
    bad = {"itemId": "bad", "properties": properties}
    with pytest.raises(ClientError, match="InvalidInput") as refused:
        world.api.events.put_items(datasetArn=world.items, items=[good, bad])
    assert message in refused.value.response["Error"]["Message"]


def test_records_go_to_datasets_of_their_type(world: World) -> None:
    with pytest.raises(ClientError, match="is of type USERS, not ITEMS"):
        world.api.events.put_items(datasetArn=world.users, items=[{"itemId": "i1"}])
    with pytest.raises(ClientError, match="ResourceNotFound") as missing:
        world.api.events.put_items(datasetArn=world.users + "x", items=[{"itemId": "i1"}])
    assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(ClientError, match="InvalidInput"):
        world.api.events.put_items(datasetArn=world.items, items=[{"itemId": f"i{i}"} for i in range(11)])

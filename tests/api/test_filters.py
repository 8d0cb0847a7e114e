"""Filters through the API: created, evaluated at the next request, refused with a reason."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from films import ALL, COMEDY, HORROR, World
from worlds import in_state, open_api


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(Path(tmp_path_factory.mktemp("filters")), count_quotas=False)
    yield World(api)
    api.library.close()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('INCLUDE ItemID WHERE Items.GENRE IN ("comedy")', COMEDY),
        ("exclude itemid where items.genre in ('comedy')", ALL - COMEDY),
        ('INCLUDE ItemID WHERE Items.GENRE IN ("Comedy")', set()),
        ('INCLUDE ItemID WHERE Items.GENRE IN ("drama")', ALL - COMEDY),
        ('INCLUDE ItemID WHERE Items.GENRE IN ("horror") AND Items.GENRE IN ("drama")', HORROR),
        ('INCLUDE ItemID WHERE Items.GENRE NOT IN ("drama", "x")', COMEDY),
        ("INCLUDE ItemID WHERE Items.YEAR >= 1985 AND Items.YEAR < 1987", {5, 6}),
        ('INCLUDE ItemID WHERE Items.YEAR >= "1985" AND Items.YEAR < 1987', {5, 6}),
        ("INCLUDE ItemID WHERE Items.YEAR = 1985 OR Items.PRICE > 38 AND Items.PRICE != 39.5", {5, 38}),
        ('INCLUDE ItemID WHERE Items.TITLE IN ("Title 7")', {7}),
        ('INCLUDE ItemID WHERE Items.TITLE = "Title 7"', {7}),
        ('INCLUDE ItemID WHERE Items.ITEM_ID IN ("i3", "i4", "nobody")', {3, 4}),
        (
            'INCLUDE ItemID WHERE Items.YEAR < 1983 | INCLUDE ItemID WHERE Items.YEAR > 2018 | EXCLUDE ItemID WHERE '
            'Items.GENRE IN ("comedy")',
            {1, 2},
        ),
        ('EXCLUDE ItemID WHERE Items.YEAR < 2015 IF CurrentUser.AGE < 10', set(range(35, 40))),
        ('EXCLUDE ItemID WHERE Items.YEAR < 2015 IF CurrentUser.AGE > 10', ALL),
        ('EXCLUDE ItemID WHERE Items.YEAR < 2015 IF CurrentUser.AGE IN (1, 2) AND CurrentUser.AGE = 1',
         set(range(35, 40))),
    ],
)  # fmt: skip
def test_an_answer_has_what_the_filter_lets_through(
    world: World, expression: str, expected: set[int]
) -> None:
    assert world.items_of(expression) == expected


def test_items_that_only_fill_a_filtered_answer_up_are_called_popular(world: World) -> None:
    campaign = world.deployed("v2", world.version("v2", "aws-user-personalization-v2"))
    comedy = world.filter("filled", 'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")')
    items = world.recommend(campaign, userId="u1", filterArn=comedy)["itemList"]
    reasons = {int(item["itemId"][1:]): item.get("reason", []) for item in items}
    assert set(reasons) == COMEDY
    for number, reason in reasons.items():  # u1 has to do with odd items alone
        assert reason in ([["Exploration"], ["Popular item"]] if number % 2 == 0 else [[], ["Exploration"]])
    assert ["Popular item"] in reasons.values()
    for item in world.recommend(campaign, userId="u1", numResults=40)["itemList"]:
        assert item.get("reason", []) in ([], ["Exploration"]), "no filter has left a place to fill"


def test_filters_know_what_the_user_did_and_what_is_sent_a_moment_ago(world: World) -> None:
    bought, touched = (
        'EXCLUDE ItemID WHERE Interactions.event_type IN ("PURCHASE")',
        "Interactions.EVENT_TYPE",
    )
    user = 4
    own = [(2 * (user // 2 * 7 + step) + user % 2) % 40 for step in range(20)]
    assert world.items_of(bought, user="u4") == ALL - {own[0]}
    assert world.items_of(f'INCLUDE ItemID WHERE {touched} IN ("*")', user="u4") == set(own)
    assert world.items_of(f'INCLUDE ItemID WHERE {touched} IN ("click")', user="u4") == set(own[1:])
    assert world.items_of(f'INCLUDE ItemID WHERE {touched} NOT IN ("click")', user="u4") == {own[0]}
    event = {"eventType": "Purchase", "sentAt": 1_800_000_000, "itemId": "i11"}
    world.api.events.put_events(trackingId=world.tracker, userId="u4", sessionId="s", eventList=[event])
    assert world.items_of(bought, user="u4") == ALL - {own[0], 11}
    assert world.items_of(bought, user="stranger") == ALL


def test_expressions_about_events_and_about_items_join(world: World) -> None:
    seen = {(2 * (6 // 2 * 7 + step)) % 40 for step in range(1, 20)}
    clicked, comedy = 'Interactions.EVENT_TYPE IN ("click")', 'Items.GENRE IN ("comedy")'
    both = f"INCLUDE ItemID WHERE {comedy} | EXCLUDE ItemID WHERE {clicked}"
    assert world.items_of(both, user="u6") == COMEDY - seen
    either = f"INCLUDE ItemID WHERE {comedy} | INCLUDE ItemID WHERE {clicked}"
    assert world.items_of(either, user="u6") == COMEDY | seen
    less = f"INCLUDE ItemID WHERE {clicked} | EXCLUDE ItemID WHERE {comedy}"
    assert world.items_of(less, user="u6") == seen - COMEDY


def test_values_come_with_the_request(world: World) -> None:
    chosen = "INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)"
    assert world.items_of(chosen, filterValues={"GENRE": '"comedy"'}) == COMEDY
    assert world.items_of(chosen, filterValues={"GENRE": '"comedy","horror"'}) == COMEDY | HORROR
    assert world.items_of(chosen, filterValues={"GENRE": '"comedy,horror"'}) == set()
    cheap = "EXCLUDE ItemID WHERE Items.PRICE > $MOST"
    assert world.items_of(cheap, filterValues={"MOST": "2"}) == {0, 1}
    assert world.items_of(cheap, filterValues={"MOST": '"2"'}) == {0, 1}
    assert world.items_of(cheap) == ALL, "an EXCLUDE whose value is missing is left out"
    with pytest.raises(ClientError, match="filterValues lack GENRE"):
        world.items_of(chosen)
    with pytest.raises(ClientError, match="texts in quotes"):
        world.items_of(chosen, filterValues={"GENRE": "comedy"})
    with pytest.raises(ClientError, match="holds numbers"):
        world.items_of(cheap, filterValues={"MOST": '"dear"'})


def test_the_current_item_of_a_request_for_related_items(world: World) -> None:
    similar = world.deployed("similar", world.version("similar", "aws-sims"))
    cheaper = "INCLUDE ItemID WHERE Items.PRICE < CurrentItem.PRICE AND Items.GENRE IN CurrentItem.GENRE"
    assert world.items_of(cheaper, campaign=similar, itemId="i7") == {1, 2, 4, 5}
    assert world.items_of(cheaper, campaign=similar, itemId="unknown") == set()
    with pytest.raises(ClientError, match="CurrentItem"):
        world.items_of(cheaper)


def test_a_ranking_leaves_out_what_is_filtered(world: World) -> None:
    ranking = world.deployed("ranking", world.version("ranking", "aws-personalized-ranking"))
    comedy = world.filter("ranked", 'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")')
    ranked = world.api.runtime.get_personalized_ranking(
        campaignArn=ranking, userId="u1", inputList=["i1", "i3", "new", "i6", "i2"], filterArn=comedy
    )["personalizedRanking"]
    assert {item["itemId"] for item in ranked} == {"i3", "i6"}
    assert sum(item["score"] for item in ranked) == pytest.approx(1, abs=1e-6)


def test_promoted_items_take_their_share_in_the_order_of_their_scores(world: World) -> None:
    horror = world.filter("promoted", "INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)")
    comedy = world.filter("asked", 'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")')
    promotion = {
        "name": "scary",
        "percentPromotedItems": 50,
        "filterArn": horror,
        "filterValues": {"GENRE": '"horror"'},
    }
    answer = world.recommend(
        world.campaign, userId="u1", numResults=10, filterArn=comedy, promotions=[promotion]
    )["itemList"]
    promoted = [item for item in answer if item.get("promotionName") == "scary"]
    others = [item for item in answer if "promotionName" not in item]
    assert len(promoted) == len(others) == 5
    assert {int(item["itemId"][1:]) for item in promoted} <= HORROR
    assert {int(item["itemId"][1:]) for item in others} <= COMEDY
    scores = [item["score"] for item in promoted]
    assert scores == sorted(scores, reverse=True)
    none = world.recommend(
        world.campaign,
        userId="u1",
        promotions=[{**promotion, "filterValues": {"GENRE": '"nothing"'}}],
    )["itemList"]
    assert len(none) == 25
    assert not any("promotionName" in item for item in none)


def test_metadata_comes_as_text_under_camel_case(world: World) -> None:
    version = world.version("described", "aws-user-personalization")
    config = {"enableMetadataWithRecommendations": True}
    campaign = world.deployed("described", version, campaignConfig=config)
    columns = {"ITEMS": ["TITLE", "GENRE", "price", "YEAR", "ADULT", "TEXT"]}
    items = world.recommend(campaign, userId="u2", numResults=40, metadataColumns=columns)["itemList"]
    metadata = {item["itemId"]: item["metadata"] for item in items}
    assert metadata["i2"] == {
        "title": "Title 2", "genre": "horror|drama", "price": "2.5", "year": "1982", "adult": "true", "text": "about 2"
    }  # fmt: skip
    refused = {
        "gives no metadata": (world.campaign, 5, columns),
        "does not have": (campaign, 5, {"ITEMS": ["BRAND"]}),
        "at most 50 results": (campaign, 51, columns),
        "may have ITEMS": (campaign, 5, {"USERS": ["AGE"]}),
    }
    for words, (arn, k, asked) in refused.items():
        with pytest.raises(ClientError, match=words):
            world.recommend(arn, userId="u2", numResults=k, metadataColumns=asked)


def test_a_request_waits_for_a_filter_that_is_being_created(world: World) -> None:
    arn = world.filter("soon", 'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")')
    asked = partial(world.recommend, world.campaign, userId="u1", filterArn=arn)
    with ThreadPoolExecutor(1) as pool:
        with in_state(world.api, arn, "CREATE IN_PROGRESS"):
            answer = pool.submit(asked)
            with pytest.raises(TimeoutError):
                answer.result(timeout=0.2)
        assert len(answer.result()["itemList"]) == len(COMEDY)
    with (
        in_state(world.api, arn, "CREATE FAILED"),
        pytest.raises(ClientError, match="is CREATE FAILED") as no,
    ):
        asked()
    assert no.value.response["Error"]["Code"] == "InvalidInputException"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("INCLUDE ItemID WHERE Items.GENRE IN (comedy)", "at column 38: 'comedy'"),
        ("INCLUDE ItemID WHERE Items.BRAND IN (1)", "no column BRAND"),
        ("INCLUDE ItemID WHERE Items.TEXT IN ('x')", "TEXT is textual"),
        ("INCLUDE ItemID WHERE Items.ADULT IN ('true')", "Invalid Expression: ITEMS.ADULT is boolean"),
        ("INCLUDE ItemID WHERE Items.GENRE > 5", "holds texts"),
        ("INCLUDE ItemID WHERE Items.YEAR > 'long ago'", "'long ago' is none"),
        ("INCLUDE ItemID WHERE Items.GENRE NOT IN ($x)",
         r"Invalid input symbol: \$x. Placeholders are not allowed with NOT_IN"),
        ("INCLUDE ItemID WHERE Users.AGE > 5", "conditions on ITEMS or INTERACTIONS"),
        ("INCLUDE ItemID WHERE Items.YEAR > 5 AND Interactions.EVENT_TYPE IN ('a')", "on one dataset"),
        ("INCLUDE ItemID WHERE Items.YEAR > 5 | EXCLUDE UserID WHERE Users.AGE > 5", "about one of"),
        ("INCLUDE ActionID WHERE Actions.VALUE > 5", "no ACTIONS dataset"),
        ("INCLUDE ItemID WHERE Interactions.TIMESTAMP > 5", "only EVENT_TYPE"),
        ("INCLUDE ItemID WHERE Items.YEAR < CurrentItem.GENRE", "cannot be compared"),
        ("INCLUDE ItemID WHERE (Items.YEAR > 5)", r"column 22: '\('"),
        ("INCLUDE ItemID WHERE Items.YEAR > 5 IF CurrentUser.AGE > 5 OR CurrentUser.AGE < 3", "column 60: 'OR'"),
    ],
)  # fmt: skip
def test_an_expression_that_cannot_be_is_refused_and_says_where(
    world: World, expression: str, words: str
) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        world.filter("refused", expression)
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"


def test_new_metadata_is_filtered_by_once_its_import_is_active(world: World) -> None:
    fresh = 'INCLUDE ItemID WHERE Items.TITLE IN ("Fresh")'
    assert world.items_of(fresh) == set()
    rows = ["ITEM_ID,GENRE,PRICE,YEAR,TITLE,TEXT,ADULT", "i9,comedy,9.5,1989,Fresh,,true"]
    world.bring(world.items, "fresh", rows, "INCREMENTAL")
    assert world.items_of(fresh) == {9}
    assert world.items_of('INCLUDE ItemID WHERE Items.TITLE IN ("Title 9")') == set()


def test_new_interactions_are_filtered_by_once_their_import_is_active(world: World) -> None:
    bought = 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("rent")'
    assert world.items_of(bought, user="u8") == set()
    rows = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    rows += [f"u{8 + i % 3},i{i % 5},rent,{1_750_000_000 + i}" for i in range(1000)]
    world.bring(world.dataset, "rents", rows, "INCREMENTAL")
    assert world.items_of(bought, user="u8") == {0, 1, 2, 3, 4}


def test_filters_are_listed_described_and_deleted(world: World) -> None:
    expression = "INCLUDE ItemID WHERE Items.YEAR > 1990"
    arn = world.filter("kept", expression)
    described = world.api.personalize.describe_filter(filterArn=arn)["filter"]
    assert described["filterExpression"] == expression
    listed = world.api.personalize.list_filters(datasetGroupArn=world.group)["Filters"]
    assert arn in [summary["filterArn"] for summary in listed]
    assert all("filterExpression" not in summary for summary in listed)
    with pytest.raises(ClientError) as again:
        world.filter("kept", expression)
    assert again.value.response["Error"]["Code"] == "ResourceAlreadyExistsException"
    world.api.personalize.delete_filter(filterArn=arn)
    with pytest.raises(ClientError, match="Could not find a filter"):
        world.recommend(world.campaign, userId="u1", filterArn=arn)
    world.api.personalize.describe_filter(filterArn=arn)
    with pytest.raises(ClientError) as gone:
        world.api.personalize.delete_filter(filterArn=arn)
    assert gone.value.response["Error"]["Code"] == "ResourceNotFoundException"

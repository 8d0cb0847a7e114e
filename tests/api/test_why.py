"""Why an item is recommended, why another is not, and what would change that: each claim is tried."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from films import ALL, COMEDY, World
from nextpick.jobs.work import versions_dir
from nextpick.models.rows import read_only
from nextpick.models.topk import top_k
from nextpick.recipes import aws_hrnn
from nextpick.recipes.interface import Query, Reasons
from nextpick.serving import reasons
from nextpick.serving.versions import CampaignView, Version, load
from worlds import open_api

EXACT = {"itemExplorationConfig": {"explorationWeight": "0"}}
BOLD = {"itemExplorationConfig": {"explorationWeight": "1", "explorationItemAgeCutOff": "36500"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(tmp_path_factory.mktemp("home"), count_quotas=False)
    made = World(api)
    version = api.personalize.describe_campaign(campaignArn=made.campaign)["campaign"]["solutionVersionArn"]
    made.exact = made.deployed("exact", version, campaignConfig=EXACT)  # type: ignore[attr-defined]
    made.bold = made.deployed("bold", version, campaignConfig=BOLD)  # type: ignore[attr-defined]
    yield made
    api.library.close()


@pytest.fixture(scope="module")
def version(world: World) -> Version:
    """The version behind the campaigns, in this process."""
    directories = versions_dir(world.api.library.home).iterdir()
    return next(v for v in map(load, directories) if v.info.name == "aws-user-personalization")


def why(world: World, campaign: str, **request: Any) -> dict[str, Any]:
    return world.api.nextpick.explain_recommendations(campaignArn=campaign, **request)


def history(version: Version, user: str) -> Query:
    row = version.data.users.ids.row(user)
    offsets = version.data.interactions.offsets
    return Query(row, version.data.interactions.item[offsets[row] : offsets[row + 1]])


def own(user: int) -> set[int]:
    return {(2 * (user // 2 * 7 + step) + user % 2) % 40 for step in range(20)}


def test_it_explains_the_answer_that_is_given(world: World) -> None:
    for campaign in (world.campaign, world.exact, world.bold):
        answer = world.recommend(campaign, userId="u3", numResults=12)["itemList"]
        told = why(world, campaign, userId="u3", numResults=12)["items"]
        assert [item["itemId"] for item in told] == [item["itemId"] for item in answer]
        assert [item["place"] for item in told] == list(range(1, 13))


def test_contributions_sum_to_the_logit_which_is_the_log_of_the_score(world: World) -> None:
    told = why(world, world.exact, userId="u3", numResults=40)
    assert (told["method"], told["unit"], told["historyLength"]) == ("MODEL", "LOG_SCORE", 20)
    for item in told["items"]:
        found = item["reasons"]
        parts = sum(e["contribution"] for e in found["events"]) + found["otherEvents"] + found["rest"]
        assert parts == pytest.approx(found["logit"], abs=1e-9)
        assert sum(s["contribution"] for s in found["sources"]) == pytest.approx(found["logit"], abs=1e-9)
        assert np.exp(found["logit"]) == pytest.approx(item["score"], rel=1e-6)


def test_the_source_of_an_answer_to_a_stranger_is_popularity(world: World) -> None:
    told = why(world, world.exact, userId="a stranger", numResults=5)
    assert {item["source"] for item in told["items"]} == {"popularity"}


def test_a_ranking_says_what_the_engine_says(world: World) -> None:
    campaign = world.deployed("ranked", world.version("ranked", "aws-personalized-ranking"))
    told = why(world, campaign, userId="u3", inputList=["i1", "i2", "i3"])
    assert told["method"] == "MODEL"
    assert len(told["items"][0]["reasons"]["sources"]) > 5


def test_a_contribution_is_the_difference_that_leaving_the_event_out_makes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(aws_hrnn, "reasons")
    arn = world.version("silent", "aws-hrnn")
    campaign = world.deployed("silent", arn)
    told = why(world, campaign, userId="u3", numResults=1)
    assert told["method"] == "LEAVE_ONE_OUT"
    (item,) = told["items"]
    directories = versions_dir(world.api.library.home).iterdir()
    version = next(v for v in map(load, directories) if v.info.name == "aws-hrnn")
    query = history(version, "u3")
    row = version.data.items.ids.row(item["itemId"])
    whole = version.module.score(version.state, [query])[0, row]
    for event in item["reasons"]["events"]:
        place = len(query.items) - event["age"]
        assert version.data.items.ids.id(int(query.items[place])) == event["itemId"]
        rest = query._replace(items=read_only(np.delete(query.items, place)))
        without = version.module.score(version.state, [rest])[0, row]
        assert event["contribution"] == pytest.approx(np.log(whole) - np.log(without), abs=1e-6)


def test_the_rank_is_that_of_a_stable_sort(world: World, version: Version) -> None:
    scores = version.module.score(version.state, [history(version, "u5")])[0]
    order = version.data.items.ids.ids(np.argsort(-scores, kind="stable"))
    for at in (0, 9, 10, 39):
        asked = why(world, world.exact, userId="u5", numResults=10, itemId=order[at])["asked"]
        assert asked["rank"] == at + 1
        assert asked["outcome"] == ("RECOMMENDED" if at < 10 else "OUTRANKED")
        assert asked["lastScore"] == pytest.approx(float(scores[np.argsort(-scores, kind="stable")[9]]))


def test_the_number_of_results_that_is_needed_is_enough_and_no_less_is(world: World) -> None:
    for campaign in (world.exact, world.bold):
        ids = [item["itemId"] for item in world.recommend(campaign, userId="u7", numResults=40)["itemList"]]
        asked = why(world, campaign, userId="u7", numResults=5, itemId=ids[25])["asked"]
        needed = asked["neededResults"]
        for n, is_in in ((needed, True), (needed - 1, False)):
            answer = world.recommend(campaign, userId="u7", numResults=n)["itemList"]
            assert (ids[25] in [item["itemId"] for item in answer]) is is_in


def test_a_further_event_that_would_bring_it_in_does(world: World) -> None:
    brought = 0
    for user in range(20, 28):
        wanted = f"i{(user + 1) % 2 + 6}"  # of the items that this user's kind does not take
        asked = why(world, world.campaign, userId=f"u{user}", numResults=8, itemId=wanted)["asked"]
        if not asked.get("changes"):
            continue
        change = asked["changes"][-1]
        event = {"eventType": "click", "sentAt": time.time(), "itemId": change["itemId"]}
        world.api.events.put_events(
            trackingId=world.tracker, userId=f"u{user}", sessionId="s", eventList=[event]
        )
        answer = world.recommend(world.campaign, userId=f"u{user}", numResults=8)["itemList"]
        assert wanted in [item["itemId"] for item in answer]
        assert (
            why(world, world.campaign, userId=f"u{user}", numResults=8, itemId=wanted)["asked"]["rank"]
            == change["rank"]
        )
        brought += 1
    assert brought >= 4


def test_the_changes_are_the_best_of_every_event_there_is(world: World, version: Version) -> None:
    query = history(version, "u9")
    ids = version.data.items.ids
    for wanted in ("i2", "i8", "i14"):
        row, found = ids.row(wanted), []
        for at in range(len(ids)):
            items = read_only(np.append(query.items, np.int32(at)))
            scores = version.module.score(version.state, [query._replace(items=items)])[0]
            ranked = top_k(scores, 6).tolist()
            if row in ranked:
                found.append((ranked.index(row) + 1, at))
        asked = why(world, world.exact, userId="u9", numResults=6, itemId=wanted)["asked"]
        told = [(change["rank"], ids.row(change["itemId"])) for change in asked["changes"]]
        assert told == sorted(found)[:3]
        assert asked["eventsTried"] == 40


def test_a_filter_is_named_by_the_clause_that_removed_the_item(world: World) -> None:
    arn = world.filter(
        "mixed",
        "EXCLUDE ItemID WHERE Items.GENRE IN ($GENRE) | EXCLUDE ItemID WHERE Items.YEAR < 1985 IF CurrentUser.AGE > 30 "
        '| EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")',
    )
    values = {"GENRE": '"comedy"'}
    bought = next(iter(own(1) & ALL))

    def clauses(user: str, item: int) -> list[str]:
        asked = why(
            world,
            world.exact,
            userId=user,
            itemId=f"i{item}",
            numResults=3,
            filterArn=arn,
            filterValues=values,
        )["asked"]
        assert ("clauses" in asked) == (asked["outcome"] == "FILTERED")
        return asked.get("clauses", [])

    comedy = 'EXCLUDE ItemID WHERE Items.GENRE IN ("comedy")'
    old = "EXCLUDE ItemID WHERE Items.YEAR < 1985 IF CurrentUser.AGE > 30"
    purchased = 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")'
    assert clauses("u2", 3) == [comedy]
    assert clauses("u40", 3) == [comedy, old]
    assert clauses("u40", 4) == [old]
    first = (2 * (50 // 2 * 7)) % 40
    assert purchased in clauses("u50", first)
    assert clauses("u2", 37) == []
    assert bought in ALL


def test_of_includes_all_are_named_when_none_lets_it_in(world: World) -> None:
    arn = world.filter(
        "either", 'INCLUDE ItemID WHERE Items.YEAR > 2018 | INCLUDE ItemID WHERE Items.GENRE = "comedy"'
    )
    asked = why(world, world.exact, userId="u2", itemId="i1", filterArn=arn)["asked"]
    assert asked["clauses"] == [
        "INCLUDE ItemID WHERE Items.YEAR > 2018",
        'INCLUDE ItemID WHERE Items.GENRE IN ("comedy")',
    ]
    assert "Else its rank would be" in asked["message"]
    let_in = why(world, world.exact, userId="u2", itemId="i39", filterArn=arn, numResults=40)["asked"]
    assert let_in["outcome"] == "RECOMMENDED"
    assert let_in["rank"] <= len(COMEDY) + 1


def test_items_that_are_tried_out_are_told_and_so_are_those_they_displace(world: World) -> None:
    for user in (f"u{n}" for n in range(60)):  # what is drawn depends on the hour
        told = why(world, world.bold, userId=user, numResults=10)["items"]
        best = why(world, world.exact, userId=user, numResults=10)["items"]
        shown = {item["itemId"] for item in told}
        displaced = [item["itemId"] for item in best if item["itemId"] not in shown]
        if displaced:
            break
    tried = [item for item in told if item["source"] == "EXPLORATION"]
    assert tried
    assert any(item["rank"] > 10 for item in tried)
    asked = why(world, world.bold, userId=user, numResults=10, itemId=displaced[0])["asked"]
    assert asked["outcome"] == "DISPLACED_BY_EXPLORATION"
    assert asked["rank"] <= 10


def test_an_item_that_nobody_knows_and_one_that_came_later_are_told_apart(world: World) -> None:
    unknown = why(world, world.exact, userId="u1", itemId="nothing", numResults=3)["asked"]
    assert unknown["outcome"] == "UNKNOWN_ITEM"
    properties = '{"genre": "comedy", "price": 1.5, "year": 2020, "title": "New", "adult": false}'
    world.api.events.put_items(datasetArn=world.items, items=[{"itemId": "late", "properties": properties}])
    came = why(world, world.exact, userId="u1", itemId="late", numResults=3)["asked"]
    assert came["outcome"] == "NEW_ITEM"
    arn = world.filter("dramas", 'INCLUDE ItemID WHERE Items.GENRE IN ("drama")')
    kept_out = why(world, world.exact, userId="u1", itemId="late", numResults=3, filterArn=arn)["asked"]
    assert "the filter does not let it" in kept_out["message"]


def test_what_is_the_same_for_everyone_has_no_reason_in_a_history(world: World) -> None:
    campaign = world.deployed("popular", world.version("popular", "aws-popularity-count"))
    told = why(world, campaign, userId="u1", numResults=3, itemId="i39")
    assert told["unit"] == "SCORE"
    assert [item["reasons"]["events"] for item in told["items"]] == [[], [], []]
    assert "changes" not in told["asked"]


def test_related_items_are_explained_by_the_item_they_are_related_to(world: World) -> None:
    campaign = world.deployed("related", world.version("related", "aws-sims"))
    answer = world.recommend(campaign, itemId="i4", numResults=5)["itemList"]
    told = why(world, campaign, itemId="i4", numResults=5, aboutItemId="i5")
    assert [item["itemId"] for item in told["items"]] == [item["itemId"] for item in answer]
    assert told["asked"]["outcome"] == "OUTRANKED"
    assert why(world, campaign, itemId="i4", aboutItemId="i4")["asked"]["outcome"] == "OUTRANKED"


def test_a_ranking_is_explained_item_by_item(world: World) -> None:
    campaign = world.deployed("ranking", world.version("ranking", "aws-personalized-ranking"))
    listed = ["i4", "i9", "nobody", "i1"]
    ranked = world.api.runtime.get_personalized_ranking(campaignArn=campaign, userId="u1", inputList=listed)
    told = why(world, campaign, userId="u1", inputList=listed, itemId="i2")
    assert [item["itemId"] for item in told["items"]] == [i["itemId"] for i in ranked["personalizedRanking"]]
    assert told["items"][-1] == {"itemId": "nobody", "place": 4, "source": "NOT_KNOWN"}
    assert told["asked"]["outcome"] == "NOT_IN_LIST"
    with pytest.raises(ClientError, match="inputList is required"):
        why(world, campaign, userId="u1")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"userId": "u1"}, "exactly one of campaignArn and recommenderArn"),
        ({"campaignArn": "C", "numResults": 501, "userId": "u1"}, "numResults is 501"),
        ({"campaignArn": "C"}, "userId is required"),
        ({"campaignArn": "C", "userId": "u1", "inputList": ["i1"]}, "inputList cannot be given"),
        ({"campaignArn": "C-none", "userId": "u1"}, "Could not find a campaign"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(
    world: World, request_: dict[str, Any], message: str
) -> None:
    given = {
        name: world.campaign + value[1:] if name == "campaignArn" else value
        for name, value in request_.items()
    }
    with pytest.raises(ClientError, match=message):
        world.api.nextpick.explain_recommendations(**given)


def test_a_recipe_that_can_say_it_itself_is_asked(version: Version) -> None:
    query = history(version, "u3")

    class Recipe:
        score = staticmethod(version.module.score)

        @staticmethod
        def reasons(state: Any, query: Query, item: int) -> Reasons:
            return Reasons(np.arange(len(query.items), dtype=np.float64), float(item), {"a": 1.0, "b": 2.0})

    asked = version._replace(module=Recipe)  # type: ignore[arg-type]
    campaign = CampaignView("", "", version.name, version.info.name, {}, 0.0)
    found = reasons.explain(campaign, asked, query, [4, 7])
    assert found.method == reasons.MODEL
    told = found.by_row[7]
    assert told.events.sum() == 190
    assert (told.sources["a"], told.sources["b"]) == (1.0, 2.0)
    scores = version.module.score(version.state, [query])[0]
    assert told.logit == pytest.approx(np.log(scores[7]), abs=1e-6)

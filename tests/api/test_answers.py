"""Campaigns and what they answer, before and after events."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError

from nextpick.models import artifact
from nextpick.serving import versions
from worlds import Api, Shop, checkerboard, open_api


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with data, shared by tests that only add."""
    api = open_api(tmp_path_factory.mktemp("answers") / "home", count_quotas=False)
    made = Shop(api)
    assert made.imported(made.start_import("first", checkerboard()))["status"] == "ACTIVE"
    yield made
    api.library.close()


@pytest.fixture(scope="module")
def version(shop: Shop) -> str:
    """A version of the default recipe."""
    trained = shop.trained(shop.train(shop.solution("default")))
    assert trained["status"] == "ACTIVE", trained
    return trained["solutionVersionArn"]


@pytest.fixture(scope="module")
def campaign(shop: Shop, version: str) -> str:
    """A campaign that answers without exploration."""
    config = {"itemExplorationConfig": {"explorationWeight": "0"}}
    return shop.deployed("default", version, campaignConfig=config)


@pytest.fixture(scope="module")
def ranking(shop: Shop) -> str:
    """A campaign of the ranking recipe."""
    trained = shop.trained(shop.train(shop.solution("ranking", "aws-personalized-ranking")))
    return shop.deployed("ranking", trained["solutionVersionArn"])


@pytest.fixture(scope="module")
def tracking_id(shop: Shop) -> str:
    """The tracking id of the shop's event tracker."""
    return shop.api.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]


def code(raised: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def items(answer: dict) -> list[str]:
    return [item["itemId"] for item in answer["itemList"]]


def test_a_known_user_gets_25_items_by_falling_score(shop: Shop, campaign: str) -> None:
    answer = shop.recommend(campaign, userId="u4")
    scores = [item["score"] for item in answer["itemList"]]
    assert len(scores) == 25
    assert scores == sorted(scores, reverse=True)
    assert all(round(score, 7) == score for score in scores)
    assert re.fullmatch(r"RID-[0-9a-f-]{25}-CID-[0-9a-f]{6}", answer["recommendationId"])
    assert len(answer["recommendationId"]) == 40
    assert sum(int(item[1:]) % 2 == 0 for item in items(answer)[:10]) >= 9


def test_scores_of_the_whole_catalogue_sum_to_one(shop: Shop, campaign: str) -> None:
    answer = shop.recommend(campaign, userId="u4", numResults=500)
    assert len(answer["itemList"]) == 40
    assert sum(item["score"] for item in answer["itemList"]) == pytest.approx(1, abs=1e-5)


def test_a_recommendation_id_is_new_each_time_and_names_the_model(shop: Shop, campaign: str) -> None:
    first, second = (shop.recommend(campaign, userId="u4")["recommendationId"] for _ in range(2))
    assert first != second
    assert first[-6:] == second[-6:]


def test_fewer_results_are_a_prefix_of_more(shop: Shop, campaign: str) -> None:
    most = items(shop.recommend(campaign, userId="u7", numResults=40))
    for n in (1, 5, 24):
        assert items(shop.recommend(campaign, userId="u7", numResults=n)) == most[:n]
    assert len(items(shop.recommend(campaign, userId="u7", numResults=0))) == 25


def test_an_unknown_user_gets_what_is_popular(shop: Shop, campaign: str) -> None:
    one, other = (items(shop.recommend(campaign, userId=user)) for user in ("nobody", "no one"))
    assert len(one) == 25
    assert one == other


def test_a_request_needs_exactly_one_known_campaign(shop: Shop, campaign: str) -> None:
    with pytest.raises(ClientError) as raised:
        shop.recommend(campaign + "x", userId="u1")
    assert code(raised) == ("ResourceNotFoundException", 404)
    recommender = campaign.replace(":campaign/", ":recommender/")
    with pytest.raises(ClientError) as raised:
        shop.recommend(campaign, userId="u1", recommenderArn=recommender)
    assert code(raised) == ("InvalidInputException", 400)
    with pytest.raises(ClientError) as raised:
        shop.api.runtime.get_recommendations(userId="u1")
    assert code(raised) == ("InvalidInputException", 400)
    with pytest.raises(ClientError) as raised:
        shop.recommend(campaign)
    assert code(raised) == ("InvalidInputException", 400)
    with pytest.raises(ClientError) as raised:
        shop.recommend(campaign, userId="u1", numResults=501)
    assert code(raised) == ("InvalidInputException", 400)


def test_what_is_not_available_is_refused_and_not_ignored(shop: Shop, campaign: str) -> None:
    filter_arn = campaign.replace(":campaign/", ":filter/")
    for more in (
        {"filterArn": filter_arn},
        {"metadataColumns": {"ITEMS": ["GENRE"]}},
        {"promotions": [{"name": "p"}]},
    ):
        with pytest.raises(ClientError) as raised:
            shop.recommend(campaign, userId="u1", **more)
        assert code(raised)[0] in ("InvalidInputException", "ResourceNotFoundException")


@pytest.mark.parametrize("recipe", ["aws-sims", "aws-similar-items", "aws-popularity-count"])
def test_some_recipes_answer_without_scores(shop: Shop, recipe: str) -> None:
    trained = shop.trained(shop.train(shop.solution(recipe, recipe)))
    campaign = shop.deployed(recipe, trained["solutionVersionArn"])
    answer = shop.recommend(campaign, itemId="i6", userId="u1", numResults=5)
    assert [set(item) for item in answer["itemList"]] == [{"itemId"}] * 5
    if recipe != "aws-popularity-count":
        assert "i6" not in items(answer)
        assert len(shop.recommend(campaign, itemId="unknown")["itemList"]) == 25
        with pytest.raises(ClientError) as raised:
            shop.recommend(campaign, userId="u1")
        assert code(raised) == ("InvalidInputException", 400)


def test_sims_finds_the_items_of_the_same_users(shop: Shop) -> None:
    trained = shop.trained(shop.train(shop.solution("sims-2", "aws-sims")))
    campaign = shop.deployed("sims-2", trained["solutionVersionArn"])
    assert all(int(item[1:]) % 2 == 0 for item in items(shop.recommend(campaign, itemId="i6", numResults=10)))


def test_a_ranking_orders_the_list_and_puts_unknown_items_last_without_score(
    shop: Shop, ranking: str
) -> None:
    asked = ["i1", "unknown-b", "i2", "i3", "i4", "unknown-a"]
    answer = shop.api.runtime.get_personalized_ranking(campaignArn=ranking, userId="u4", inputList=asked)
    ranked = answer["personalizedRanking"]
    assert sorted(item["itemId"] for item in ranked) == sorted(asked)
    assert [item["itemId"] for item in ranked[-2:]] == ["unknown-b", "unknown-a"]
    assert all("score" not in item for item in ranked[-2:])
    assert sum(item["score"] for item in ranked[:-2]) == pytest.approx(1, abs=1e-5)
    assert {ranked[0]["itemId"], ranked[1]["itemId"]} == {"i2", "i4"}
    with pytest.raises(ClientError) as raised:
        shop.api.runtime.get_personalized_ranking(campaignArn=ranking, userId="u4", inputList=["i1"] * 501)
    assert code(raised) == ("InvalidInputException", 400)


def test_a_ranking_campaign_ranks_and_another_recommends(shop: Shop, ranking: str, campaign: str) -> None:
    with pytest.raises(ClientError) as raised:
        shop.recommend(ranking, userId="u1")
    assert code(raised) == ("InvalidInputException", 400)
    with pytest.raises(ClientError) as raised:
        shop.api.runtime.get_personalized_ranking(campaignArn=campaign, userId="u1", inputList=["i1"])
    assert code(raised) == ("InvalidInputException", 400)


def test_an_event_changes_the_next_answer(shop: Shop, campaign: str, tracking_id: str) -> None:
    before = items(shop.recommend(campaign, userId="newcomer"))
    answer = shop.api.events.put_events(
        trackingId=tracking_id,
        userId="newcomer",
        sessionId="s1",
        eventList=[{"eventType": "click", "sentAt": 1_700_010_000, "properties": '{"itemId": "i6"}'}],
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    after = items(shop.recommend(campaign, userId="newcomer"))
    assert after != before
    assert all(int(item[1:]) % 2 == 0 for item in after[:5])


def test_a_session_is_remembered_when_its_user_logs_in(shop: Shop, campaign: str, tracking_id: str) -> None:
    put, event = shop.api.events.put_events, {"eventType": "click", "sentAt": 1_700_010_000, "itemId": "i7"}
    put(trackingId=tracking_id, sessionId="s2", eventList=[event])
    anonymous = items(shop.recommend(campaign, userId="s2"))
    assert all(int(item[1:]) % 2 == 1 for item in anonymous[:5])
    put(trackingId=tracking_id, sessionId="s2", userId="ada", eventList=[{**event, "itemId": "i9"}])
    assert all(int(item[1:]) % 2 == 1 for item in items(shop.recommend(campaign, userId="ada"))[:5])


def test_events_that_cannot_be_are_refused(shop: Shop, tracking_id: str) -> None:
    event = {"eventType": "click", "sentAt": 1_700_010_000, "itemId": "i1"}
    put = {"trackingId": tracking_id, "sessionId": "s", "userId": "u"}
    for change, said in (
        ({"eventList": [event] * 11}, "eventList"),
        ({"eventList": [{**event, "properties": "not json"}]}, "Error parsing properties json"),
        ({"eventList": [{**event, "properties": '{"a": "\\ud800"}'}]}, "Error parsing properties json"),
        ({"eventList": [{**event, "properties": '{"userId": "x"}'}]}, "userId"),
        ({"eventList": [event], "trackingId": "00000000-0000-0000-0000-000000000000"}, "tracking"),
    ):
        with pytest.raises(ClientError) as raised:
            shop.api.events.put_events(**{**put, **change})
        assert code(raised) == ("InvalidInputException", 400)
        assert said in str(raised.value)


def test_a_fresh_campaign_shows_no_update(shop: Shop, version: str) -> None:
    arn = shop.deployed("fresh", version, minProvisionedTPS=2)
    described = shop.api.personalize.describe_campaign(campaignArn=arn)["campaign"]
    assert "latestCampaignUpdate" not in described
    assert "campaignConfig" not in described
    assert described["minProvisionedTPS"] == 2


def test_an_update_leaves_the_campaign_active_and_answering(shop: Shop, campaign: str, version: str) -> None:
    other = shop.trained(shop.train(version.rpartition("/")[0]))["solutionVersionArn"]
    arn = shop.deployed("updated", version)
    shop.api.personalize.update_campaign(campaignArn=arn, solutionVersionArn=other)
    summaries = shop.api.personalize.list_campaigns(solutionArn=version.rpartition("/")[0])["campaigns"]
    assert next(c for c in summaries if c["campaignArn"] == arn)["status"] == "ACTIVE"
    assert len(shop.recommend(arn, userId="u1")["itemList"]) == 25
    described = shop.api.settle(lambda: shop.api.personalize.describe_campaign(campaignArn=arn))
    assert described["status"] == "ACTIVE"
    assert described["latestCampaignUpdate"]["status"] == "ACTIVE"
    assert described["solutionVersionArn"] == other


def test_a_second_update_waits_for_the_first(shop: Shop, version: str) -> None:
    other = shop.trained(shop.train(version.rpartition("/")[0]))["solutionVersionArn"]
    arn = shop.deployed("twice", version)
    shop.api.personalize.update_campaign(campaignArn=arn, solutionVersionArn=other)
    with pytest.raises(ClientError) as raised:
        shop.api.personalize.update_campaign(campaignArn=arn, minProvisionedTPS=3)
    assert code(raised) == ("ResourceInUseException", 400)


def test_a_campaign_follows_its_solution_when_told(shop: Shop, version: str) -> None:
    solution = version.rpartition("/")[0]
    config = {"syncWithLatestSolutionVersion": True}
    arn = shop.deployed("following", f"{solution}/$LATEST", campaignConfig=config)
    newer = shop.trained(shop.train(solution))["solutionVersionArn"]
    described = shop.api.settle(lambda: shop.api.personalize.describe_campaign(campaignArn=arn))
    assert described["latestCampaignUpdate"]["solutionVersionArn"] == newer
    assert described["solutionVersionArn"] == newer


def test_a_damaged_version_is_refused_and_the_old_one_keeps_serving(shop: Shop, version: str) -> None:
    other = shop.trained(shop.train(version.rpartition("/")[0]))["solutionVersionArn"]
    arn = shop.deployed("damaged", version)
    newest = max(
        (shop.api.library.home / "blobs" / "versions").iterdir(), key=lambda path: path.stat().st_mtime
    )
    victim = max((newest / "model").glob("*.npy"), key=lambda path: path.stat().st_size)
    damaged = bytearray(victim.read_bytes())
    damaged[-1] ^= 1
    victim.write_bytes(damaged)
    shop.api.personalize.update_campaign(campaignArn=arn, solutionVersionArn=other)
    described = shop.api.settle(lambda: shop.api.personalize.describe_campaign(campaignArn=arn))
    assert described["status"] == "ACTIVE"
    assert described["latestCampaignUpdate"]["status"] == "CREATE FAILED"
    assert victim.name in described["latestCampaignUpdate"]["failureReason"]
    assert described["solutionVersionArn"] == version
    assert len(shop.recommend(arn, userId="u1")["itemList"]) == 25


@pytest.mark.parametrize(("recipe", "part"), [("aws-sims", "trust"), ("aws-item-affinity", "reach")])
def test_a_version_of_an_earlier_nextpick_is_refused_in_words(
    shop: Shop, recipe: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = shop.trained(shop.train(shop.solution(f"earlier-{recipe}", recipe)))
    assert version["status"] == "ACTIVE"
    directory = max(
        (shop.api.library.home / "blobs" / "versions").iterdir(), key=lambda path: path.stat().st_mtime
    )
    assert versions.load(directory).info.name == recipe
    load = artifact.load

    def earlier(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        state, manifest = load(path)
        return {name: array for name, array in state.items() if name != part}, manifest

    monkeypatch.setattr(artifact, "load", earlier)
    with pytest.raises(artifact.Damaged, match=f"of an earlier nextpick, without '{part}'"):
        versions.load(directory)


def test_a_solution_with_a_campaign_is_not_deleted_and_its_versions_go_with_it(tmp_path) -> None:
    api = open_api(tmp_path / "home")
    try:
        shop = Shop(api)
        shop.imported(shop.start_import("first", checkerboard()))
        version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
        solution, campaign = version.rpartition("/")[0], shop.deployed("c", version)
        with pytest.raises(ClientError) as raised:
            api.personalize.delete_solution(solutionArn=solution)
        assert code(raised) == ("ResourceInUseException", 400)
        api.personalize.delete_campaign(campaignArn=campaign)
        with pytest.raises(ClientError) as raised:
            shop.recommend(campaign, userId="u1")
        assert code(raised) == ("ResourceNotFoundException", 404)
        api.personalize.delete_solution(solutionArn=solution)
        with pytest.raises(ClientError) as raised:
            api.personalize.describe_solution_version(solutionVersionArn=version)
        assert code(raised) == ("ResourceNotFoundException", 400)
        versions, deadline = api.library.home / "blobs" / "versions", time.monotonic() + 30
        shop.imported(shop.start_import("second", checkerboard()))  # whose end sweeps
        while any(versions.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        api.library.close()


def test_exploration_is_checked_and_repeatable(shop: Shop, version: str) -> None:
    with pytest.raises(ClientError) as raised:
        shop.deployed("bad", version, campaignConfig={"itemExplorationConfig": {"explorationWeight": "2"}})
    assert code(raised) == ("InvalidInputException", 400)
    config = {"itemExplorationConfig": {"explorationWeight": "1", "explorationItemAgeCutOff": "30"}}
    arn = shop.deployed("explores", version, campaignConfig=config)
    assert items(shop.recommend(arn, userId="u4")) == items(shop.recommend(arn, userId="u4"))
    answer = shop.recommend(arn, userId="u4", numResults=500)
    assert sum(item["score"] for item in answer["itemList"]) == pytest.approx(1, abs=1e-5)
    counted = shop.trained(shop.train(shop.solution("counted", "aws-popularity-count")))
    with pytest.raises(ClientError, match="takes no itemExplorationConfig: it does not explore") as raised:
        shop.deployed("bold", counted["solutionVersionArn"], campaignConfig=config)
    assert code(raised) == ("InvalidInputException", 400)


def test_ranking_and_recommending_api_is_typed(api: Api) -> None:
    with pytest.raises(ClientError) as raised:
        api.runtime.get_recommendations(campaignArn="not an arn", userId="u1")
    assert code(raised) == ("InvalidInputException", 400)

"""The gateway's doors answer as the APIs that people put in front of GetRecommendations do."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from served import Server
from worlds import Shop, checkerboard


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    served = Server(tmp_path_factory.mktemp("gateway") / "home", workers=1).start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def campaign(server: Server) -> str:
    """A campaign of the default recipe, made after one that cannot be asked for a user."""
    shop = Shop(server)
    shop.imported(shop.start_import("j", checkerboard()))
    made = {}
    for recipe in ("aws-user-personalization", "aws-sims"):
        version = shop.trained(shop.train(shop.solution(recipe, recipe)))["solutionVersionArn"]
        made[recipe] = shop.deployed(recipe, version)
    return made["aws-user-personalization"]


def ask(server: Server, path: str, method: str = "GET", **query: Any) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and decoded body."""
    url = f"{server.url}/gateway/demo/dev/{path}?{urlencode(query)}"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, method=method))
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, headers, json.loads(body) if body else None


def test_before_there_is_a_campaign_it_says_so(server: Server) -> None:
    status, _, body = ask(server, "recommend", user_id=1)
    assert (status, body) == (404, {"message": "There is no ACTIVE user-personalization campaign yet."})


def test_a_user_gets_twenty_five_items_of_the_campaign_that_personalizes(
    server: Server, campaign: str
) -> None:
    status, headers, items = ask(server, "recommend", user_id="u10")
    assert (status, len(items)) == (200, 25)
    assert set(items[0]) == {"itemId", "score"}
    assert headers["access-control-allow-origin"] == "*"
    assert headers["content-type"] == "application/json"
    wanted = server.runtime.get_recommendations(campaignArn=campaign, userId="u10")["itemList"]
    assert items == wanted
    assert len(ask(server, "recommend", user_id="u10", numResults=3)[2]) == 3


def test_what_is_missing_or_cannot_be_is_named(server: Server, campaign: str) -> None:
    status, headers, body = ask(server, "recommend")
    assert (status, body) == (400, {"message": "Missing required request parameters: [user_id]"})
    assert headers["access-control-allow-origin"] == "*"
    assert ask(server, "recommend", user_id="u1", numResults=-1)[0] == 400
    status, _, body = ask(server, "recommend", user_id="u1", numResults=501)
    assert status == 400
    assert "501" in body["message"]


def test_a_number_of_results_that_is_none_is_the_default(server: Server, campaign: str) -> None:
    assert len(ask(server, "recommend", user_id="u1", numResults="many")[2]) == 25


def test_a_named_campaign_answers_as_the_sdk_does(server: Server, campaign: str) -> None:
    status, headers, body = ask(server, "getRecommendations", campaignArn=campaign, userId="u9", numResults=5)
    assert status == 200
    assert headers["access-control-allow-origin"] == "*"
    assert set(body) == {"$metadata", "itemList", "recommendationId"}
    assert set(body["$metadata"]) == {"httpStatusCode", "requestId", "attempts", "totalRetryDelay"}
    assert body["$metadata"]["httpStatusCode"] == 200
    wanted = server.runtime.get_recommendations(campaignArn=campaign, userId="u9", numResults=5)["itemList"]
    assert body["itemList"] == wanted
    assert len(body["recommendationId"]) == 40


def test_a_campaign_that_is_not_there_is_said_so(server: Server, campaign: str) -> None:
    gone = campaign.replace("aws-user-personalization", "gone")
    status, _, body = ask(server, "getRecommendations", campaignArn=gone, userId="u9")
    assert status == 500
    assert "does not exist" in json.dumps(body)


def test_a_page_of_another_origin_may_ask_first(server: Server) -> None:
    status, headers, _ = ask(server, "recommend", method="OPTIONS")
    assert status in (200, 204)
    assert "GET" in headers["access-control-allow-methods"]


def test_what_is_not_there_is_answered_as_api_gateway_does(server: Server) -> None:
    status, _, body = ask(server, "nothing-here")
    assert (status, body) == (403, {"message": "Missing Authentication Token"})

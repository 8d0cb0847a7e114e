"""GetRecommendations and GetPersonalizedRanking: typed struct in, bytes out."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from nextpick.errors import InvalidInput, ResourceNotFound
from nextpick.names import campaign_id, request_id
from nextpick.serving import recommend
from nextpick.serving.recommend import DEFAULT_RESULTS, MOST_RESULTS, Asker
from nextpick.serving.service import Serving
from nextpick.serving.versions import CampaignView, Version
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.structs import GetPersonalizedRanking, GetRecommendations

_SERVICE = "personalize-runtime"
OPERATIONS = ((_SERVICE, "GetRecommendations"), (_SERVICE, "GetPersonalizedRanking"))

_UNAVAILABLE = ("filterArn", "filterValues", "promotions", "metadataColumns")

_encode = msgspec.json.Encoder().encode

Answer = Callable[[Asker, CampaignView, Version, Any], bytes]


def routes(serving: Serving) -> dict[tuple[str, str], Route]:
    """Return the routes, served on the event loop once a campaign's version is loaded."""
    return {
        OPERATIONS[0]: Route(partial(_get_recommendations, serving), GetRecommendations, inline=True),
        OPERATIONS[1]: Route(
            partial(_get_personalized_ranking, serving), GetPersonalizedRanking, inline=True
        ),
    }


def _get_recommendations(
    serving: Serving, call: Call, request: GetRecommendations
) -> bytes | Awaitable[bytes]:
    if (request.campaignArn is None) == (request.recommenderArn is None):
        raise InvalidInput("Give exactly one of campaignArn and recommenderArn.")
    _refuse_unavailable(request)
    if (request.numResults or 0) > MOST_RESULTS:
        raise InvalidInput(f"numResults is {request.numResults}; it must be at most {MOST_RESULTS}.")
    campaign = _campaign(serving, call, request.campaignArn or request.recommenderArn or "")
    return _answer(serving, campaign, request, _recommendations)


def _recommendations(
    asker: Asker, campaign: CampaignView, version: Version, request: GetRecommendations
) -> bytes:
    k = request.numResults or DEFAULT_RESULTS
    items = recommend.recommend(asker, campaign, version, request.userId, request.itemId, k)
    return _encode({"itemList": items, "recommendationId": _recommendation_id(campaign)})


def _get_personalized_ranking(
    serving: Serving, call: Call, request: GetPersonalizedRanking
) -> bytes | Awaitable[bytes]:
    _refuse_unavailable(request)
    campaign = _campaign(serving, call, request.campaignArn)
    if len(request.inputList) > MOST_RESULTS:
        raise InvalidInput(f"inputList has {len(request.inputList)} items; it may have {MOST_RESULTS}.")
    return _answer(serving, campaign, request, _ranking)


def _ranking(
    asker: Asker, campaign: CampaignView, version: Version, request: GetPersonalizedRanking
) -> bytes:
    items = recommend.rank(asker, campaign, version, request.userId, request.inputList)
    return _encode({"personalizedRanking": items, "recommendationId": _recommendation_id(campaign)})


def _answer(
    serving: Serving, campaign: CampaignView, request: Any, write: Answer
) -> bytes | Awaitable[bytes]:
    version = serving.versions.get(campaign)
    if version is None:
        return _answer_when_loaded(serving, campaign, request, write)
    return write(Asker(serving.tails, serving.clock.now()), campaign, version, request)


async def _answer_when_loaded(serving: Serving, campaign: CampaignView, request: Any, write: Answer) -> bytes:
    version = await serving.versions.fetch(campaign)
    return write(Asker(serving.tails, serving.clock.now()), campaign, version, request)


def _campaign(serving: Serving, call: Call, arn: str) -> CampaignView:
    campaign = serving.find_campaign(arn, call.account, call.region)
    if campaign is None:
        raise ResourceNotFound(f"Could not find a campaign with Arn {arn} that answers.")
    return campaign


def _refuse_unavailable(request: Any) -> None:
    """Refuse what would change the answer and is not available, rather than leave it out in silence."""
    for member in _UNAVAILABLE:
        if getattr(request, member, None):
            raise InvalidInput(f"{member} is not available in this nextpick; leave it out.")


def _recommendation_id(campaign: CampaignView) -> str:
    return f"RID-{request_id()[11:]}-CID-{campaign_id(campaign.arn)}"

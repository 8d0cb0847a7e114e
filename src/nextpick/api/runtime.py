"""GetRecommendations, GetPersonalizedRanking, GetActionRecommendations: typed struct in, bytes out."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np

from nextpick.errors import InvalidInput, ResourceNotFound, StillCreating
from nextpick.names import campaign_id, parse_arn, request_id
from nextpick.serving import actions, metadata, recommend
from nextpick.serving.exclusions import exclusion_of
from nextpick.serving.filtering import Asked, FilterView
from nextpick.serving.impressions import SHOWN
from nextpick.serving.recommend import (
    DEFAULT_RESULTS,
    MOST_RESULTS,
    Asker,
    New,
    PredictedItem,
    Promotion,
    Wish,
)
from nextpick.serving.service import Serving
from nextpick.serving.versions import CampaignView, Version
from nextpick.serving.views import Group
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.structs import GetActionRecommendations, GetPersonalizedRanking, GetRecommendations

_SERVICE = "personalize-runtime"
OPERATIONS = (
    (_SERVICE, "GetRecommendations"),
    (_SERVICE, "GetPersonalizedRanking"),
    (_SERVICE, "GetActionRecommendations"),
)

# Source: developer guide, "Promoting items in recommendations": the recipes that can are named there.
_WITHOUT_PROMOTIONS = ("aws-hrnn", "aws-hrnn-metadata", "aws-hrnn-coldstart", "aws-semantic-similarity")

_LOOK_EVERY_S = 0.03

_encode = msgspec.json.Encoder().encode

Answer = Callable[[Asker, CampaignView, Version, Any], bytes]
AnswerByRules = Callable[[Asker, CampaignView, Version, Any, Any], bytes]
Handler = Callable[[Serving, Call, Any], bytes | Awaitable[bytes]]


def routes(serving: Serving) -> dict[tuple[str, str], Route]:
    """Return the routes, served on the event loop once a campaign's version is loaded."""
    return {
        operation: Route(partial(_patiently, handler, serving), struct, inline=True)
        for operation, handler, struct in zip(
            OPERATIONS,
            (_get_recommendations, _get_personalized_ranking, _get_action_recommendations),
            (GetRecommendations, GetPersonalizedRanking, GetActionRecommendations),
            strict=True,
        )
    }


def _patiently(handler: Handler, serving: Serving, call: Call, request: Any) -> bytes | Awaitable[bytes]:
    """Answer a request; one whose filter is being created is answered when it is ACTIVE, which takes moments."""
    try:
        return handler(serving, call, request)
    except StillCreating:
        return _when_created(handler, serving, call, request)


async def _when_created(handler: Handler, serving: Serving, call: Call, request: Any) -> bytes:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + serving.wait_s
    while True:
        try:
            answer = handler(serving, call, request)
        except StillCreating:
            if loop.time() >= deadline:
                raise
            await asyncio.sleep(_LOOK_EVERY_S)
            continue
        return answer if isinstance(answer, bytes) else await answer


def _get_recommendations(
    serving: Serving, call: Call, request: GetRecommendations
) -> bytes | Awaitable[bytes]:
    if (request.campaignArn is None) == (request.recommenderArn is None):
        raise InvalidInput("Give exactly one of campaignArn and recommenderArn.")
    if (request.numResults or 0) > MOST_RESULTS:
        raise InvalidInput(f"numResults is {request.numResults}; it must be at most {MOST_RESULTS}.")
    campaign = find_campaign(serving, call, request.campaignArn, request.recommenderArn)
    exclusion = exclusion_of(campaign) if request.userId is not None else None
    if not (request.filterArn or request.promotions or request.metadataColumns or exclusion):
        return _answer(serving, campaign, request, partial(_recommendations, serving))
    promotion = request.promotions[0] if request.promotions else None
    columns = _columns(campaign, request, request.numResults or DEFAULT_RESULTS)
    rules = Rules(
        serving,
        serving.find_group(campaign.group),
        find_filter(serving, call, campaign, request.filterArn),
        columns,
        _promoting(serving, call, campaign, promotion) if promotion else None,
        exclusion,
    )
    return _answer_by_rules(serving, campaign, request, rules, _recommendations_by_rules)


def _recommendations(
    serving: Serving, asker: Asker, campaign: CampaignView, version: Version, request: GetRecommendations
) -> bytes:
    k = request.numResults or DEFAULT_RESULTS
    wish = Wish(request.userId, request.itemId, k, context=request.context)
    if version.info.explores:
        new = serving.newcomers.of(version, serving.find_group(campaign.group))
        wish = wish._replace(new=New(new, None) if new is not None else None)
    items = recommend.recommend(asker, campaign, version, wish)
    return _encode({"itemList": items, "recommendationId": _recommendation_id(asker, campaign, items)})


def _recommendations_by_rules(
    asker: Asker, campaign: CampaignView, version: Version, request: GetRecommendations, rules: "Rules"
) -> bytes:
    promoting = request.promotions[0] if request.promotions else None
    promotion = None
    if promoting is not None and rules.promotion is not None:
        allowed = rules.allowed(
            version, rules.promotion, promoting.filterValues, request.userId, request.itemId
        )
        promotion = Promotion(promoting.name, promoting.percentPromotedItems or 0, allowed)
    allowed = rules.allowed(version, rules.filter, request.filterValues, request.userId, request.itemId)
    k = request.numResults or DEFAULT_RESULTS
    wish = Wish(request.userId, request.itemId, k, allowed, promotion, context=request.context)
    new = rules.serving.newcomers.of(version, rules.group) if version.info.explores else None
    if new is not None:
        among = rules.allowed(new, rules.filter, request.filterValues, request.userId, request.itemId)
        wish = wish._replace(new=New(new, among))
    items = recommend.recommend(asker, campaign, version, wish)
    rules.add_metadata(version, items)
    return _encode({"itemList": items, "recommendationId": _recommendation_id(asker, campaign, items)})


def _get_personalized_ranking(
    serving: Serving, call: Call, request: GetPersonalizedRanking
) -> bytes | Awaitable[bytes]:
    campaign = find_campaign(serving, call, request.campaignArn, None)
    if len(request.inputList) > MOST_RESULTS:
        raise InvalidInput(f"inputList has {len(request.inputList)} items; it may have {MOST_RESULTS}.")
    if not (request.filterArn or request.metadataColumns):
        return _answer(serving, campaign, request, _ranking)
    rules = Rules(
        serving,
        serving.find_group(campaign.group),
        find_filter(serving, call, campaign, request.filterArn),
        _columns(campaign, request, len(request.inputList)),
    )
    return _answer_by_rules(serving, campaign, request, rules, _ranking_by_rules)


def _ranking(
    asker: Asker, campaign: CampaignView, version: Version, request: GetPersonalizedRanking
) -> bytes:
    items = recommend.rank(
        asker, campaign, version, request.userId, request.inputList, context=request.context
    )
    return _encode(
        {"personalizedRanking": items, "recommendationId": _recommendation_id(asker, campaign, items)}
    )


def _ranking_by_rules(
    asker: Asker, campaign: CampaignView, version: Version, request: GetPersonalizedRanking, rules: "Rules"
) -> bytes:
    allowed = rules.allowed(version, rules.filter, request.filterValues, request.userId, None)
    items = recommend.rank(
        asker, campaign, version, request.userId, request.inputList, allowed, request.context
    )
    rules.add_metadata(version, items)
    return _encode(
        {"personalizedRanking": items, "recommendationId": _recommendation_id(asker, campaign, items)}
    )


def _get_action_recommendations(
    serving: Serving, call: Call, request: GetActionRecommendations
) -> bytes | Awaitable[bytes]:
    if (request.numResults or 0) > actions.MOST_RESULTS:
        raise InvalidInput(f"numResults is {request.numResults}; it must be at most {actions.MOST_RESULTS}.")
    if request.userId is None:
        raise InvalidInput("userId is required.")
    campaign = find_campaign(serving, call, request.campaignArn, None)
    filter = find_filter(serving, call, campaign, request.filterArn)
    rules = Rules(serving, serving.find_group(campaign.group), filter, (), None, None, "ACTIONS")
    return _answer_by_rules(serving, campaign, request, rules, _actions)


def _actions(
    asker: Asker, campaign: CampaignView, version: Version, request: GetActionRecommendations, rules: "Rules"
) -> bytes:
    user = request.userId or ""
    allowed = rules.allowed(version, rules.filter, request.filterValues, user, None)
    stream = rules.group.datasets.get("ACTION_INTERACTIONS", "")
    k = request.numResults or actions.DEFAULT_RESULTS
    later, new = rules.serving.newcomers.of(version, rules.group), None
    if later is not None:
        new = New(later, rules.allowed(later, rules.filter, request.filterValues, user, None))
    record = partial(rules.serving.filtering.record, version, rules.group, "ACTIONS")
    found = actions.recommend_actions(asker, campaign, version, stream, user, k, allowed, new, record)
    return _encode({"actionList": found, "recommendationId": _new_id(campaign)})


class Rules(NamedTuple):
    """What a request asks for beside the model's items: filters, a promotion, columns of items."""

    serving: Serving
    group: Group
    filter: FilterView | None
    columns: tuple[str, ...]
    promotion: FilterView | None = None
    exclusion: FilterView | None = None
    records: str = "ITEMS"

    @property
    def datasets(self) -> frozenset[str]:
        """The datasets whose views are needed."""
        filters = [f.filter.datasets for f in (self.filter, self.promotion, self.exclusion) if f is not None]
        return frozenset({self.records}).union(*filters)

    def allowed(
        self,
        version: Version,
        filter: FilterView | None,
        values: dict[str, str] | None,
        user: str | None,
        item: str | None,
    ) -> np.ndarray | None:
        """Return which items a filter and the use case let through, bool [n_items]; None means all."""
        if self.exclusion is not None and filter is not self.exclusion:
            kept = self.allowed(version, self.exclusion, None, user, item)
            among = self._allowed(version, filter, values, user, item)
            return kept if among is None or kept is None else kept & among
        return self._allowed(version, filter, values, user, item)

    def _allowed(
        self,
        version: Version,
        filter: FilterView | None,
        values: dict[str, str] | None,
        user: str | None,
        item: str | None,
    ) -> np.ndarray | None:
        if filter is None:
            return None
        if filter.filter.needs_item and version.info.type != "RELATED_ITEMS":
            raise InvalidInput(
                f"{filter.arn} speaks of CurrentItem, which recipes of type {version.info.type} do not have."
            )
        return self.serving.filtering.allowed(version, self.group, Asked(filter, values or {}, user, item))

    def add_metadata(self, version: Version, items: list[PredictedItem]) -> None:
        """Give each item the columns that were asked for."""
        if self.columns:
            types = self.serving.filtering.columns(self.group, "ITEMS")
            metadata.add(self.serving.filtering, version, self.group, items, self.columns, types)


def _answer(
    serving: Serving, campaign: CampaignView, request: Any, write: Answer
) -> bytes | Awaitable[bytes]:
    version = serving.versions.get(campaign)
    if version is None or not _is_ready(serving, campaign, version):
        return _answer_when_loaded(serving, campaign, request, write)
    return write(Asker(serving.tails, serving.clock.now()), campaign, version, request)


def _is_ready(serving: Serving, campaign: CampaignView, version: Version) -> bool:
    return not version.info.explores or serving.newcomers.is_ready(
        version, serving.find_group(campaign.group)
    )


async def _answer_when_loaded(serving: Serving, campaign: CampaignView, request: Any, write: Answer) -> bytes:
    version = await serving.versions.fetch(campaign)
    if not _is_ready(serving, campaign, version):
        await serving.filtering.prepare(version, serving.find_group(campaign.group), ("ITEMS",))
    return write(Asker(serving.tails, serving.clock.now()), campaign, version, request)


def _answer_by_rules(
    serving: Serving, campaign: CampaignView, request: Any, rules: Rules, write: AnswerByRules
) -> bytes | Awaitable[bytes]:
    version = serving.versions.get(campaign)
    if version is None or not serving.filtering.is_ready(version, rules.group, rules.datasets):
        return _answer_when_ready(serving, campaign, request, rules, write)
    return write(Asker(serving.tails, serving.clock.now()), campaign, version, request, rules)


async def _answer_when_ready(
    serving: Serving, campaign: CampaignView, request: Any, rules: Rules, write: AnswerByRules
) -> bytes:
    version = await serving.versions.fetch(campaign)
    await serving.filtering.prepare(version, rules.group, rules.datasets)
    return write(Asker(serving.tails, serving.clock.now()), campaign, version, request, rules)


def find_campaign(
    serving: Serving, call: Call, campaign_arn: str | None, recommender_arn: str | None
) -> CampaignView:
    kind, arn = (
        ("campaign", campaign_arn) if campaign_arn is not None else ("recommender", recommender_arn or "")
    )
    parts = parse_arn(arn)
    found = serving.find_campaign(arn, call.account, call.region)
    if found is None or parts is None or parts.kind != kind:
        raise ResourceNotFound(f"Could not find a {kind} with Arn {arn} that answers.")
    return found


def find_filter(serving: Serving, call: Call, campaign: CampaignView, arn: str | None) -> FilterView | None:
    if arn is None:
        return None
    found = serving.find_filter(arn, call.account, call.region)
    if found is None:
        raise ResourceNotFound(f"Could not find a filter with Arn {arn}.")
    if found.group != campaign.group:
        raise InvalidInput(f"{arn} is of {found.group}, {campaign.arn} of {campaign.group}.")
    return found


def _promoting(serving: Serving, call: Call, campaign: CampaignView, promotion: Any) -> FilterView | None:
    for member in ("filterArn", "percentPromotedItems"):
        if getattr(promotion, member) is None:
            raise InvalidInput(f"{member} is required in a promotion.")
    if campaign.recipe in _WITHOUT_PROMOTIONS:
        raise InvalidInput(f"{campaign.arn} serves {campaign.recipe}, which promotes no items.")
    return find_filter(serving, call, campaign, promotion.filterArn)


def _columns(campaign: CampaignView, request: Any, results: int) -> tuple[str, ...]:
    if not request.metadataColumns:
        return ()
    return metadata.columns_asked(campaign, request.metadataColumns, results)


def _recommendation_id(asker: Asker, campaign: CampaignView, items: list[PredictedItem]) -> str:
    """Return a new id, by which an event may say what was shown."""
    made = _new_id(campaign)
    if asker.tails.answers is not None:
        asker.tails.answers.put(made, [item.itemId for item in items[:SHOWN]])
    return made


def _new_id(campaign: CampaignView) -> str:
    return f"RID-{request_id()[11:]}-CID-{campaign_id(campaign.arn)}"

"""ExplainRecommendations: nextpick's own operation that says why an answer is what it is.

What the request needs is read where requests are served; the scoring, which takes as long as hundreds of answers, runs
in a thread.
"""

import asyncio
from functools import partial
from typing import Any

from nextpick.api.runtime import Rules, find_campaign, find_filter
from nextpick.errors import InvalidInput
from nextpick.serving import recommend, why
from nextpick.serving.exclusions import exclusion_of
from nextpick.serving.filtering import Asked
from nextpick.serving.recommend import DEFAULT_RESULTS, MOST_RESULTS, Asker, New, Wish
from nextpick.serving.service import Serving
from nextpick.serving.versions import CampaignView, Version
from nextpick.wire.dispatch import Call, Route

OPERATIONS = (("nextpick", "ExplainRecommendations"),)


def routes(serving: Serving) -> dict[tuple[str, str], Route]:
    """Return the route, which begins on the event loop."""
    return {OPERATIONS[0]: Route(partial(_explain, serving), inline=True)}


async def _explain(serving: Serving, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    campaign_arn, recommender_arn = request.get("campaignArn"), request.get("recommenderArn")
    if (campaign_arn is None) == (recommender_arn is None):
        raise InvalidInput("Give exactly one of campaignArn and recommenderArn.")
    for member, n in (
        ("numResults", request.get("numResults", 0)),
        ("inputList", len(request.get("inputList", ()))),
    ):
        if n > MOST_RESULTS:
            raise InvalidInput(f"{member} is {n}; it must be at most {MOST_RESULTS}.")
    campaign = find_campaign(serving, call, campaign_arn, recommender_arn)
    exclusion = exclusion_of(campaign) if request.get("userId") is not None else None
    group = serving.find_group(campaign.group)
    filter = find_filter(serving, call, campaign, request.get("filterArn"))
    rules = Rules(serving, group, filter, (), None, exclusion)
    version = await serving.versions.fetch(campaign)
    await serving.filtering.prepare(version, rules.group, rules.datasets)
    case = _case(serving, campaign, version, rules, request)
    return await asyncio.get_running_loop().run_in_executor(None, why.explained, case)


def _case(
    serving: Serving, campaign: CampaignView, version: Version, rules: Rules, request: dict[str, Any]
) -> why.Case:
    asker = Asker(serving.tails, serving.clock.now())
    user, item, values = request.get("userId"), request.get("itemId"), request.get("filterValues", {})
    ranks = version.info.type == "PERSONALIZED_RANKING"
    about = request.get("aboutItemId") or (None if version.info.type == "RELATED_ITEMS" else item)
    allowed = rules.allowed(version, rules.filter, values, user, item)
    wish = Wish(
        user, item, request.get("numResults") or DEFAULT_RESULTS, allowed, context=request.get("context")
    )
    listed = request.get("inputList")
    if (listed is not None) != ranks:
        raise InvalidInput(
            f"inputList {'is required' if ranks else 'cannot be given'}: {campaign.arn} serves {version.info.name}."
        )
    ranked = None
    if listed is not None:
        query = recommend.ask(asker, campaign, version, user or "", wish.context)
        ranked = recommend.rank(asker, campaign, version, user or "", listed, allowed, wish.context)
    else:
        query = recommend.query_of(asker, campaign, version, wish)
    new = serving.newcomers.of(version, rules.group) if version.info.explores else None
    if new is not None:
        wish = wish._replace(new=New(new, rules.allowed(new, rules.filter, values, user, item)))
    asked = Asked(rules.filter, values, user, item) if rules.filter else None
    use_case = Asked(rules.exclusion, {}, user, item) if rules.exclusion else None
    removed = why.Removed([], False)
    if about is not None:
        removed = why.removed_by(serving.filtering, version, rules.group, asked, use_case, about)
    tries = why.tries_of(version, *(f.filter for f in (rules.filter, rules.exclusion) if f))
    return why.Case(asker, campaign, version, wish, query, ranked, about, removed, tries)

"""``nextpick why``: the reasons of an answer, as text."""

import json
import math
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from nextpick.cli.connect import end, own_service, said
from nextpick.names import parse_arn
from nextpick.settings import Settings


def tell(settings: Settings, arn: str, given: dict[str, Any], *, as_json: bool) -> None:
    """Ask why, and print the answer."""
    client, parts = own_service(settings, arn), parse_arn(arn)
    named = "recommenderArn" if parts is not None and parts.kind == "recommender" else "campaignArn"
    request = {name: value for name, value in given.items() if value is not None}
    try:
        answer = client.explain_recommendations(**{named: arn}, **request)
    except (ClientError, BotoCoreError) as error:
        end(said(error))
    answer.pop("ResponseMetadata", None)
    print(json.dumps(answer, indent=1) if as_json else "\n".join(lines(answer)))


def lines(answer: dict[str, Any]) -> list[str]:
    """Return an answer of ExplainRecommendations as lines to read."""
    factor = _factor if answer["unit"] == "LOG_SCORE" else "{:+.4g}".format
    told = [f"{answer['recipe']}, {answer['historyLength']} events known of the user", ""]
    asked = answer.get("asked")
    if asked is not None:
        told += [f"{asked['itemId']}: {asked['outcome'].replace('_', ' ').lower()}. {asked['message']}"]
        if "score" in asked and "lastScore" in asked:
            told.append(f"  score {asked['score']:.3g}, that of the last item in {asked['lastScore']:.3g}")
        if "neededResults" in asked:
            told.append(f"  with numResults {asked['neededResults']} it would be in")
        for change in asked.get("changes", ()):
            told.append(f"  an event on {change['itemId']} would bring it to rank {change['rank']}")
        if asked.get("changes") == []:
            told.append(f"  no single further event would bring it in ({asked['eventsTried']} were tried)")
        if "reasons" in asked:
            told.append("  " + _reasons(asked["reasons"], factor))
        told.append("")
    for item in answer["items"]:
        score = f"  score {item['score']:.3g}" if "score" in item else ""
        rank = f"  rank {item['rank']}" if item.get("rank", item["place"]) != item["place"] else ""
        told.append(f"{item['place']:>3}. {item['itemId']}{score}{rank}  from {item['source']}")
        if "reasons" in item:
            told.append("     " + _reasons(item["reasons"], factor))
    return told


def _factor(contribution: float) -> str:
    return f"×{math.exp(max(min(contribution, 700.0), -700.0)):.3g}"


def _reasons(reasons: dict[str, Any], factor: Any) -> str:
    if not reasons["events"]:
        return "no event of the user counts for it"
    told = [f"{event['itemId']} {factor(event['contribution'])}" for event in reasons["events"]]
    return "because of " + ", ".join(told)

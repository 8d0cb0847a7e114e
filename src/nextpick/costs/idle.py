"""What nobody uses: campaigns and recommenders without requests, solutions without campaigns; and their removal."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from nextpick.costs import report

if TYPE_CHECKING:
    from nextpick.workflow.firing import Doing, Firing

_DAY_S = 86_400.0


class Idle(NamedTuple):
    """Something that is not used: its ARN, what kind of thing it is, when it was last used or made (epoch seconds)."""

    arn: str
    kind: str
    since: float


def find(personalize: Any, own: Any, days: float, now: float, *, solutions: bool = False) -> list[Idle]:
    """Return campaigns and recommenders that had no request for ``days`` and are as old, and, if asked for,
    ``solutions`` without campaigns whose newest version is as old. Clients are of personalize and of nextpick's own
    service."""
    before = now - days * _DAY_S
    asked = {arn for arn, n in report.usage(own, before, now).requests.items() if n}
    found = [
        Idle(one[f"{kind}Arn"], kind, one["lastUpdatedDateTime"].timestamp())
        for kind in ("campaign", "recommender")
        for one in _all(personalize, f"list_{kind}s", f"{kind}s")
        if one[f"{kind}Arn"] not in asked and one["lastUpdatedDateTime"].timestamp() <= before
    ]
    return found + (_unserved(personalize, before, {idle.arn for idle in found}) if solutions else [])


def _unserved(personalize: Any, before: float, going: set[str]) -> list[Idle]:
    """Return solutions without campaigns but those that are ``going`` anyway."""
    found = []
    for one in _all(personalize, "list_solutions", "solutions"):
        arn = one["solutionArn"]
        served = [
            campaign["campaignArn"]
            for campaign in _all(personalize, "list_campaigns", "campaigns", solutionArn=arn)
            if campaign["campaignArn"] not in going
        ]
        versions = _all(personalize, "list_solution_versions", "solutionVersions", solutionArn=arn)
        newest = max([one, *versions], key=lambda v: v["lastUpdatedDateTime"])[
            "lastUpdatedDateTime"
        ].timestamp()
        if not served and newest <= before:
            found.append(Idle(arn, "solution", newest))
    return found


def _all(personalize: Any, method: str, member: str, **request: Any) -> Iterator[dict[str, Any]]:
    for page in personalize.get_paginator(method).paginate(**request):
        yield from page[member]


def remove(personalize: Any, found: list[Idle]) -> list[tuple[Idle, str | None]]:
    """Delete what was found, in its order; return each with the reason why it is still there, None if it is not."""
    done: list[tuple[Idle, str | None]] = []
    for idle in found:
        try:
            getattr(personalize, f"delete_{idle.kind}")(**{f"{idle.kind}Arn": idle.arn})
        except ClientError as error:
            said = error.response.get("Error", {})
            is_gone = said.get("Code") == "ResourceNotFoundException"
            done.append((idle, None if is_gone else said.get("Message", str(error))))
        else:
            done.append((idle, None))
    return done


def perform(doing: "Doing", firing: "Firing") -> None:
    """Clean up as a schedule says: ``days``, whether ``solutions`` too; each deletion is a line in ``costs.jsonl``."""
    context, asked = doing.context, firing.action
    personalize, own = context.client("personalize"), context.client("nextpick")
    found = find(
        personalize, own, asked["days"], context.clock.now(), solutions=asked.get("solutions", False)
    )
    with (context.settings.home / "costs.jsonl").open("a") as file:
        for idle, reason in remove(personalize, found):
            told = {
                "at": time.strftime("%FT%TZ", time.gmtime(context.clock.now())),
                **idle._asdict(),
                "reason": reason,
            }
            file.write(json.dumps(told) + "\n")

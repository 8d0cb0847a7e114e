"""What a call of the API is, in the words of policies: its action, its resource, the role it passes on.

The administrator's own key is not asked. A Create that gives tags is a TagResource as well.
Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Personalize"; IAM User
Guide, "Grant a user permissions to pass a role to an AWS service".
"""

import inspect
import re
from typing import Any

import msgspec

from nextpick.access.guard import SERVICE, Caller, Guard
from nextpick.names import resource_arn
from nextpick.resources.kinds import DATASET, EVENT_TRACKER, KINDS, SOLUTION_VERSION
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.shapes import service

_PREFIXES = {"nextpick": "nextpick"}
_NO_RESOURCE = ("PutEvents", "PutActionInteractions")  # which name a tracking id, and that is no ARN
_ON_ONE = re.compile("(?:Describe|Update|Delete|Get|Start|Stop)(.+)")
_CREATED = {f"Create{kind.operation}": kind for kind in KINDS.values()}


def guarded(guard: Guard, name: str, route: Route) -> Route:
    """Return a route that asks ``guard`` before it serves a user or a role session."""
    handler = route.handler

    def ask(call: Call, request: Any) -> None:
        members = request if isinstance(request, dict) else msgspec.structs.asdict(request)
        caller = Caller.of(call)
        resource = resource_of(name, call, members)
        context = {**_asked_tags(members), **_held_tags(guard, resource)}
        guard.require(
            caller, f"{_PREFIXES.get(name, 'personalize')}:{call.operation}", resource, context=context
        )
        if members.get("tags") and call.operation in _CREATED:
            guard.require(caller, "personalize:TagResource", resource, context=context)
        for role in roles_in(members):
            guard.require(caller, "iam:PassRole", role, context={"iam:PassedToService": SERVICE})

    if inspect.iscoroutinefunction(handler):

        async def wait(call: Call, request: Any) -> Any:
            if call.principal:
                ask(call, request)
            return await handler(call, request)

        return route._replace(handler=wait)

    def handle(call: Call, request: Any) -> Any:
        if call.principal:
            ask(call, request)
        return handler(call, request)

    return route._replace(handler=handle)


def resource_of(name: str, call: Call, members: dict[str, Any]) -> str:
    """Return the ARN that a call is about, ``*`` where it is about none."""
    operation = call.operation
    if operation in _NO_RESOURCE or (operation.startswith("List") and operation != "ListTagsForResource"):
        return "*"
    kind = _CREATED.get(operation)
    if kind is SOLUTION_VERSION:
        return members["solutionArn"]
    if kind is DATASET:
        group = members["datasetGroupArn"].rpartition("/")[2]
        return resource_arn(call.region, call.account, "dataset", f"{group}/{members['datasetType'].upper()}")
    if kind is not None:
        path = "*" if kind is EVENT_TRACKER else members[kind.named_by]
        return resource_arn(call.region, call.account, kind.arn_kind, path)
    match = _ON_ONE.fullmatch(operation)
    own = f"{match[1][0].lower()}{match[1][1:]}Arn" if match else ""
    shape = service(name).operations[operation].input
    names = service(name).shapes[shape]["members"] if shape else {}
    given = [
        member for member in names if member.endswith("Arn") and member != "filterArn" and members.get(member)
    ]
    return members[own if own in given else given[0]] if given else "*"


def _asked_tags(members: dict[str, Any]) -> dict[str, str | tuple[str, ...]]:
    """Return the condition keys of the tags that a request gives or takes away."""
    tags = members.get("tags") or []
    keys = tuple(tag["tagKey"] for tag in tags) + tuple(members.get("tagKeys") or ())
    context: dict[str, str | tuple[str, ...]] = {
        f"aws:RequestTag/{tag['tagKey']}": tag["tagValue"] for tag in tags
    }
    return {**context, "aws:TagKeys": keys} if keys else context


def _held_tags(guard: Guard, resource: str) -> dict[str, str]:
    """Return the condition keys of the tags that a resource has."""
    return {f"aws:ResourceTag/{key}": value for key, value in guard.tags(resource).items()}


def roles_in(value: Any) -> list[str]:
    """Return the roles that a request passes on, at any depth."""
    if not isinstance(value, dict):
        return []
    found = [value["roleArn"]] if isinstance(value.get("roleArn"), str) else []
    return found + [role for inner in value.values() for role in roles_in(inner)]

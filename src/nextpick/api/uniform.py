"""Describe, List and Delete, which are the same for every kind of resource.

The members of an answer are those of the service model's output shape; a resource's body holds more.
"""

import functools
from typing import Any

from nextpick.api.context import HANDLERS, Context, Handler, Request
from nextpick.errors import ResourceNotFound
from nextpick.names import parse_arn
from nextpick.resources import lifecycle, rules, updates
from nextpick.resources.kinds import CAMPAIGN, DATA_DELETION_JOB, KINDS, SOLUTION, SOLUTION_VERSION, Kind
from nextpick.store.records import Resource, Transaction
from nextpick.wire import paging, shapes
from nextpick.wire.dispatch import Unsettled

_LISTED_AT_MOST = 100


def enter_all() -> None:
    """Enter the uniform handlers; a handler that a kind has of its own wins."""
    for kind in KINDS.values():
        HANDLERS.setdefault(("personalize", f"Describe{kind.operation}"), _describe(kind))
        HANDLERS.setdefault(("personalize", f"List{kind.operation}s"), _list(kind))
        if kind.is_deletable:
            HANDLERS.setdefault(("personalize", f"Delete{kind.operation}"), _delete(kind))


def _describe(kind: Kind) -> Handler:
    members = _members(f"Describe{kind.operation}", kind.member)

    def handle(ctx: Context, request: Request) -> dict[str, Any] | Unsettled:
        arn = request[kind.arn_member]
        with ctx.records.read() as tx:
            resource = tx.get(arn)
            if resource is not None and resource.deleted_at is None:
                resource = lifecycle.get(tx, kind, arn, **ctx.owner)
                answer = {kind.member: _pick(_complete(tx, kind, resource), members)}
                return Unsettled(answer, ctx.settings.describe_wait_s) if _is_unsettled(resource) else answer
        return {kind.member: _pick(_full(kind, _exhume(ctx, kind, arn)), members)}

    return handle


def _exhume(ctx: Context, kind: Kind, arn: str) -> Resource:
    """Return a resource that was just deleted, for the last time; raises ResourceNotFound."""
    with ctx.records.write() as tx:
        resource = tx.get(arn)
        if (
            resource is None
            or resource.deleted_at is None
            or resource.kind != kind.arn_kind
            or (resource.account, resource.region) != (ctx.call.account, ctx.call.region)
            or not kind.has_status
        ):
            raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
        tx.remove(resource)
    if ctx.now() - resource.deleted_at > ctx.settings.tombstone_s:
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    return resource


def _list(kind: Kind) -> Handler:
    name = f"List{kind.operation}s"
    members = _members(name, kind.plural)

    def handle(ctx: Context, request: Request) -> dict[str, Any]:
        parent = request.get(kind.parent) if kind.parent else None
        if kind is CAMPAIGN and parent is not None:
            parent = _solution_of(parent)
        scope = f"{name} {ctx.call.account} {ctx.call.region} {parent or ''}"
        secret, size = ctx.services.page_secret, request.get("maxResults", _LISTED_AT_MOST)
        after = paging.position(request.get("nextToken"), scope=scope, secret=secret)
        with ctx.records.read() as tx:
            if kind is SOLUTION_VERSION and parent is not None:
                lifecycle.get(tx, SOLUTION, parent, **ctx.owner)
            if kind is DATA_DELETION_JOB:  # the one list that is documented as newest first
                every = reversed(tx.find(kind.arn_kind, **ctx.owner, parent=parent))
                rows = [row for row in every if not after or row.seq < after][: size + 1]
            else:
                rows = tx.find(kind.arn_kind, **ctx.owner, parent=parent, after=after, limit=size + 1)
        answer: dict[str, Any] = {kind.plural: [_pick(_full(kind, row), members) for row in rows[:size]]}
        if len(rows) > size:
            answer["nextToken"] = paging.token(rows[size - 1].seq, scope=scope, secret=secret)
        return answer

    return handle


def _delete(kind: Kind) -> Handler:
    def handle(ctx: Context, request: Request) -> None:
        with ctx.records.write() as tx:
            resource = lifecycle.get(tx, kind, request[kind.arn_member], **ctx.owner)
            rules.delete(tx, resource, ctx.now())

    return handle


def _complete(tx: Transaction, kind: Kind, resource: Resource) -> dict[str, Any]:
    full = _full(kind, resource)
    if kind is SOLUTION:
        made = tx.find(SOLUTION_VERSION.arn_kind, parent=resource.arn)
        if made:
            summary = _members("ListSolutionVersions", "solutionVersions")
            full["latestSolutionVersion"] = _pick(_full(SOLUTION_VERSION, made[-1]), summary)
    return full


def _full(kind: Kind, resource: Resource) -> dict[str, Any]:
    return {
        **resource.body,
        kind.arn_member: resource.arn,
        "status": resource.status,
        "creationDateTime": resource.created_at,
        "lastUpdatedDateTime": resource.updated_at,
    }


@functools.cache
def _members(operation: str, key: str) -> frozenset[str]:
    """Return the members of what an operation answers under ``key``: of the structure, or of the list's."""
    model = shapes.service("personalize")
    output = model.shapes[model.operations[operation].output or ""]
    shape = model.shapes[output["members"][key]["shape"]]
    if shape["type"] == "list":
        shape = model.shapes[shape["member"]["shape"]]
    return frozenset(shape["members"])


def _pick(full: dict[str, Any], members: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in full.items() if name in members}


def _is_unsettled(resource: Resource) -> bool:
    return resource.status in lifecycle.UNSETTLED or updates.is_running(resource)


def _solution_of(arn: str) -> str:
    """Return the solution's ARN, also of one of its versions, which some programs pass."""
    parts = parse_arn(arn)
    return arn.rpartition("/")[0] if parts and "/" in parts.path else arn

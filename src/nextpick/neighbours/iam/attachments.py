"""What policies a user or a role has: managed ones attached, inline ones its own."""

from nextpick.access import directory
from nextpick.access.directory import Entity
from nextpick.neighbours.context import Answer, Context, Request
from nextpick.neighbours.iam.common import (
    HANDLERS,
    NAME,
    Holder,
    LimitExceeded,
    NoSuchEntity,
    check_document,
    encoded,
    holder,
    page,
)
from nextpick.neighbours.iam.policies import find_policy

_MOST_ATTACHED = 10
_INLINE_LIMIT = 10240


def _enter(kind: Holder, title: str) -> None:
    """Enter the operations on one kind of holder; those on users and roles differ in names only."""

    def attach(ctx: Context, request: Request) -> None:
        with ctx.records.write() as tx:
            entity = holder(ctx, tx, kind, request)
            arn = find_policy(tx, request["PolicyArn"])["Arn"]
            if arn in entity["attached"]:
                return
            if len(entity["attached"]) >= _MOST_ATTACHED:
                raise LimitExceeded(f"Cannot exceed quota for PoliciesPer{title}: {_MOST_ATTACHED}")
            entity["attached"].append(arn)
            directory.put(tx, kind, ctx.account, entity)

    def detach(ctx: Context, request: Request) -> None:
        arn = request["PolicyArn"]
        with ctx.records.write() as tx:
            entity = holder(ctx, tx, kind, request)
            if arn not in entity["attached"]:
                raise NoSuchEntity(f"Policy {arn} was not found among those attached to {entity['Arn']}.")
            entity["attached"].remove(arn)
            directory.put(tx, kind, ctx.account, entity)

    def list_attached(ctx: Context, request: Request) -> Answer:
        with ctx.records.read() as tx:
            entity = holder(ctx, tx, kind, request)
            found = [find_policy(tx, arn) for arn in entity["attached"]]
        prefix = request.get("PathPrefix", "/")
        items = [
            (policy["PolicyName"], {"PolicyName": policy["PolicyName"], "PolicyArn": policy["Arn"]})
            for policy in found
            if policy["Path"].startswith(prefix)
        ]
        return page("AttachedPolicies", items, request)

    def put(ctx: Context, request: Request) -> None:
        check_document(request["PolicyDocument"], kind="identity", limit=_INLINE_LIMIT)
        with ctx.records.write() as tx:
            entity = holder(ctx, tx, kind, request)
            entity["inline"][request["PolicyName"]] = request["PolicyDocument"]
            directory.put(tx, kind, ctx.account, entity)

    def get(ctx: Context, request: Request) -> Answer:
        with ctx.records.read() as tx:
            entity = holder(ctx, tx, kind, request)
        name = request["PolicyName"]
        document = _inline(kind, entity, name)
        return {NAME[kind]: entity[NAME[kind]], "PolicyName": name, "PolicyDocument": encoded(document)}

    def delete(ctx: Context, request: Request) -> None:
        with ctx.records.write() as tx:
            entity = holder(ctx, tx, kind, request)
            _inline(kind, entity, request["PolicyName"])
            del entity["inline"][request["PolicyName"]]
            directory.put(tx, kind, ctx.account, entity)

    def list_inline(ctx: Context, request: Request) -> Answer:
        with ctx.records.read() as tx:
            entity = holder(ctx, tx, kind, request)
        return page("PolicyNames", [(name, name) for name in entity["inline"]], request)

    HANDLERS.operation(f"Attach{title}Policy")(attach)
    HANDLERS.operation(f"Detach{title}Policy")(detach)
    HANDLERS.operation(f"ListAttached{title}Policies")(list_attached)
    HANDLERS.operation(f"Put{title}Policy")(put)
    HANDLERS.operation(f"Get{title}Policy")(get)
    HANDLERS.operation(f"Delete{title}Policy")(delete)
    HANDLERS.operation(f"List{title}Policies")(list_inline)


def _inline(kind: Holder, entity: Entity, name: str) -> str:
    if name not in entity["inline"]:
        raise NoSuchEntity(f"The {kind} policy with name {name} cannot be found.")
    return entity["inline"][name]


_enter("user", "User")
_enter("role", "Role")

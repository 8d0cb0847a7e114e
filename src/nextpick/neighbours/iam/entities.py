"""Users, their access keys, and roles."""

from typing import Any

from nextpick.access import directory
from nextpick.access.directory import Entity
from nextpick.errors import InvalidInput
from nextpick.names import resource_name
from nextpick.neighbours.context import Answer, Context, Request
from nextpick.neighbours.iam.common import (
    HANDLERS,
    NAME,
    DeleteConflict,
    EntityAlreadyExists,
    Holder,
    LimitExceeded,
    NoSuchEntity,
    check_document,
    encoded,
    holder,
    new_entity,
    page,
    shown,
)
from nextpick.store.records import Transaction

_MOST_KEYS = 2
_TRUST_LIMIT = 2048
_TITLE = {"user": "User", "role": "Role"}


def _create(ctx: Context, kind: Holder, prefix: str, request: Request, **more: Any) -> Entity:
    entity = new_entity(ctx, kind, prefix, request) | {"attached": [], "inline": {}} | more
    if "Tags" in request:
        entity["Tags"] = request["Tags"]
    with ctx.records.write() as tx:
        if directory.get(tx, kind, ctx.account, request[NAME[kind]]) is not None:
            raise EntityAlreadyExists(f"{_TITLE[kind]} with name {request[NAME[kind]]} already exists.")
        if "PermissionsBoundary" in request:
            _bound(tx, entity, request["PermissionsBoundary"])
        directory.put(tx, kind, ctx.account, entity)
    return entity


def _bound(tx: Transaction, entity: Entity, arn: str) -> None:
    if directory.policy_text(tx, arn) is None:
        raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")
    entity["boundary"] = arn
    entity["PermissionsBoundary"] = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}


@HANDLERS.operation("CreateUser")
def create_user(ctx: Context, request: Request) -> Answer:
    return {"User": shown(_create(ctx, "user", "AIDA", request))}


@HANDLERS.operation("CreateRole")
def create_role(ctx: Context, request: Request) -> Answer:
    trust = request["AssumeRolePolicyDocument"]
    check_document(trust, kind="trust", limit=_TRUST_LIMIT)
    more = {"trust": trust, "MaxSessionDuration": request.get("MaxSessionDuration", 3600)}
    if "Description" in request:
        more["Description"] = request["Description"]
    return {"Role": _role(_create(ctx, "role", "AROA", request, **more))}


def _role(entity: Entity) -> Entity:
    return shown(entity) | {"AssumeRolePolicyDocument": encoded(entity["trust"])}


def _shown(kind: Holder, entity: Entity) -> Entity:
    return _role(entity) if kind == "role" else shown(entity)


@HANDLERS.operation("GetUser")
def get_user(ctx: Context, request: Request) -> Answer:
    if "UserName" not in request and not ctx.call.principal:
        arn = f"arn:aws:iam::{ctx.account}:root"
        return {"User": {"UserId": ctx.account, "Arn": arn, "Path": "/", "CreateDate": 0.0}}
    with ctx.records.read() as tx:
        return {"User": shown(holder(ctx, tx, "user", request))}


@HANDLERS.operation("GetRole")
def get_role(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        return {"Role": _role(holder(ctx, tx, "role", request))}


def _list(ctx: Context, kind: Holder, request: Request) -> Answer:
    with ctx.records.read() as tx:
        found = directory.find(tx, kind, ctx.account)
    prefix = request.get("PathPrefix", "/")
    items = [(e[NAME[kind]], _shown(kind, e)) for e in found if e["Path"].startswith(prefix)]
    return page(f"{_TITLE[kind]}s", items, request)


@HANDLERS.operation("ListUsers")
def list_users(ctx: Context, request: Request) -> Answer:
    return _list(ctx, "user", request)


@HANDLERS.operation("ListRoles")
def list_roles(ctx: Context, request: Request) -> Answer:
    return _list(ctx, "role", request)


def _delete(ctx: Context, kind: Holder, request: Request) -> None:
    with ctx.records.write() as tx:
        entity = holder(ctx, tx, kind, request)
        if kind == "user" and directory.keys_of(tx, entity["Arn"]):
            raise DeleteConflict("Cannot delete entity, must delete access keys first.")
        if entity["inline"]:
            raise DeleteConflict("Cannot delete entity, must delete policies first.")
        if entity["attached"]:
            raise DeleteConflict("Cannot delete entity, must detach all policies first.")
        directory.delete(tx, kind, ctx.account, entity[NAME[kind]])


@HANDLERS.operation("DeleteUser")
def delete_user(ctx: Context, request: Request) -> None:
    _delete(ctx, "user", request)


@HANDLERS.operation("DeleteRole")
def delete_role(ctx: Context, request: Request) -> None:
    _delete(ctx, "role", request)


@HANDLERS.operation("UpdateRole")
def update_role(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        role = holder(ctx, tx, "role", request)
        role |= {name: request[name] for name in ("Description", "MaxSessionDuration") if name in request}
        directory.put(tx, "role", ctx.account, role)
    return {}


@HANDLERS.operation("UpdateAssumeRolePolicy")
def update_assume_role_policy(ctx: Context, request: Request) -> None:
    check_document(request["PolicyDocument"], kind="trust", limit=_TRUST_LIMIT)
    with ctx.records.write() as tx:
        role = holder(ctx, tx, "role", request)
        directory.put(tx, "role", ctx.account, role | {"trust": request["PolicyDocument"]})


def _enter_boundaries(kind: Holder) -> None:
    def put(ctx: Context, request: Request) -> None:
        with ctx.records.write() as tx:
            entity = holder(ctx, tx, kind, request)
            _bound(tx, entity, request["PermissionsBoundary"])
            directory.put(tx, kind, ctx.account, entity)

    def delete(ctx: Context, request: Request) -> None:
        with ctx.records.write() as tx:
            entity = holder(ctx, tx, kind, request)
            if entity.pop("boundary", None) is None:
                raise NoSuchEntity(f"{entity['Arn']} has no permissions boundary.")
            del entity["PermissionsBoundary"]
            directory.put(tx, kind, ctx.account, entity)

    HANDLERS.operation(f"Put{_TITLE[kind]}PermissionsBoundary")(put)
    HANDLERS.operation(f"Delete{_TITLE[kind]}PermissionsBoundary")(delete)


_enter_boundaries("user")
_enter_boundaries("role")


@HANDLERS.operation("CreateAccessKey")
def create_access_key(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        user = holder(ctx, tx, "user", request)
        if len(directory.keys_of(tx, user["Arn"])) >= _MOST_KEYS:
            raise LimitExceeded(f"Cannot exceed quota for AccessKeysPerUser: {_MOST_KEYS}")
        key = {
            "UserName": user["UserName"],
            "AccessKeyId": directory.unique_id("AKIA", 20),
            "Status": "Active",
            "SecretAccessKey": directory.new_secret(),
            "CreateDate": ctx.now(),
        }
        directory.put_key(tx, key | {"account": ctx.account, "user": user["Arn"]})
    return {"AccessKey": key}


@HANDLERS.operation("ListAccessKeys")
def list_access_keys(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        keys = directory.keys_of(tx, holder(ctx, tx, "user", request)["Arn"])
    items = [(key["AccessKeyId"], shown(key, "SecretAccessKey")) for key in keys]
    return page("AccessKeyMetadata", items, request)


@HANDLERS.operation("UpdateAccessKey")
def update_access_key(ctx: Context, request: Request) -> None:
    if request["Status"] not in ("Active", "Inactive"):
        raise InvalidInput(f"Status is {request['Status']}; it must be Active or Inactive.")
    with ctx.records.write() as tx:
        directory.put_key(tx, _key(ctx, tx, request) | {"Status": request["Status"]})


@HANDLERS.operation("DeleteAccessKey")
def delete_access_key(ctx: Context, request: Request) -> None:
    with ctx.records.write() as tx:
        directory.delete_key(tx, _key(ctx, tx, request)["AccessKeyId"])


def _key(ctx: Context, tx: Transaction, request: Request) -> dict[str, Any]:
    user = holder(ctx, tx, "user", request)
    for key in directory.keys_of(tx, user["Arn"]):
        if key["AccessKeyId"] == request["AccessKeyId"]:
            return key
    raise NoSuchEntity(
        f"The Access Key with id {request['AccessKeyId']} of {resource_name(user['Arn'])} cannot be found."
    )

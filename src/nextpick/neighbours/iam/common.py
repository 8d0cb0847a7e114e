"""What IAM's operations share: errors, look-ups, pages, and the resource that each is about.

Source: IAM API Reference, "Common Errors", and the errors of each action.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import quote

from nextpick.access import directory
from nextpick.access.directory import Entity
from nextpick.access.grammar import Malformed, parse_policy
from nextpick.access.policy import Kind as PolicyKind
from nextpick.errors import InvalidInput, ServiceError
from nextpick.names import resource_name
from nextpick.neighbours.context import Answer, Context, Request
from nextpick.neighbours.handlers import Handlers
from nextpick.store.records import Transaction

HANDLERS: Handlers[Context, Answer] = Handlers()

Holder = Literal["user", "role"]
NAME = {"user": "UserName", "role": "RoleName"}

_PAGE = 100


class NoSuchEntity(ServiceError):
    """It does not exist."""

    status, code = 404, "NoSuchEntity"


class EntityAlreadyExists(ServiceError):
    """It exists already."""

    status, code = 409, "EntityAlreadyExists"


class DeleteConflict(ServiceError):
    """It has subordinate entities, which must go first."""

    status, code = 409, "DeleteConflict"


class LimitExceeded(ServiceError):
    """There are as many as there may be."""

    status, code = 409, "LimitExceeded"


class MalformedPolicyDocument(ServiceError):
    """The policy document is not valid."""

    code = "MalformedPolicyDocument"


def holder(ctx: Context, tx: Transaction, kind: Holder, request: Request) -> Entity:
    """Return the user or role that a request names; raises NoSuchEntity.

    A user who leaves the name out is meant; the administrator, who is no user, has to name one.
    """
    name = request.get(NAME[kind])
    if name is None and kind == "user" and ":user/" in ctx.call.principal:
        name = resource_name(ctx.call.principal)
    if name is None:
        raise InvalidInput(
            f"Must specify {NAME[kind][0].lower()}{NAME[kind][1:]} when calling with non-User credentials"
        )
    entity = directory.get(tx, kind, ctx.account, name)
    if entity is None:
        raise NoSuchEntity(f"The {kind} with name {name} cannot be found.")
    return entity


def check_document(text: str, *, kind: PolicyKind, limit: int) -> None:
    """Raise MalformedPolicyDocument, saying what is wrong, for a document that is no policy of that kind."""
    try:
        parse_policy(text, name="the policy", kind=kind, limit=limit)
    except Malformed as error:
        raise MalformedPolicyDocument(str(error)) from None


def encoded(document: str) -> str:
    """Return a policy document as IAM answers it: percent-encoded (RFC 3986)."""
    return quote(document, safe="-_.~")


def new_entity(ctx: Context, kind: str, prefix: str, request: Request) -> Entity:
    """Return the members that every new user, role and policy has."""
    name = request[f"{kind.capitalize()}Name"]
    path = request.get("Path", "/")
    return {
        f"{kind.capitalize()}Name": name,
        f"{kind.capitalize()}Id": directory.unique_id(prefix),
        "Arn": f"arn:aws:iam::{ctx.account}:{kind}{path}{name}",
        "Path": path,
        "CreateDate": ctx.now(),
    }


def shown(entity: Entity, *left_out: str) -> Entity:
    """Return the members of an entity that are IAM's."""
    return {name: value for name, value in entity.items() if name[0].isupper() and name not in left_out}


def page(key: str, items: Iterable[tuple[str, Any]], request: Request) -> dict[str, Any]:
    """Return a page of named items under ``key``; they come in the order of their names.

    Raises InvalidInput for a Marker that was not given with a page.
    """
    try:
        after = urlsafe_b64decode(request["Marker"]).decode() if "Marker" in request else None
    except ValueError:
        raise InvalidInput("The Marker is not one that was returned with a page.") from None
    left = [
        (name, item)
        for name, item in sorted(items, key=lambda pair: pair[0])
        if after is None or name > after
    ]
    size = request.get("MaxItems", _PAGE)
    answer: dict[str, Any] = {key: [item for _, item in left[:size]], "IsTruncated": len(left) > size}
    if len(left) > size:
        answer["Marker"] = urlsafe_b64encode(left[size - 1][0].encode()).decode()
    return answer


def resource_of(ctx: Context, request: Request) -> str:
    """Return the ARN that an operation is about, for the policies that allow it; ``*`` for a list."""
    if "PolicySourceArn" in request:
        return request["PolicySourceArn"]
    for kind in ("role", "user"):
        name = request.get(NAME[kind])
        if name is None:
            continue
        with ctx.records.read() as tx:
            entity = directory.get(tx, kind, ctx.account, name)
        return (
            entity["Arn"] if entity else f"arn:aws:iam::{ctx.account}:{kind}{request.get('Path', '/')}{name}"
        )
    if "PolicyArn" in request:
        return request["PolicyArn"]
    if "PolicyName" in request:
        return f"arn:aws:iam::{ctx.account}:policy{request.get('Path', '/')}{request['PolicyName']}"
    return ctx.call.principal if ":user/" in ctx.call.principal else "*"

"""Managed policies and their versions, AWS's and the customer's own."""

from typing import Any

from nextpick.access import directory, managed
from nextpick.access.directory import Entity
from nextpick.errors import InvalidInput
from nextpick.neighbours.context import Answer, Context, Request
from nextpick.neighbours.iam.common import (
    HANDLERS,
    DeleteConflict,
    EntityAlreadyExists,
    LimitExceeded,
    NoSuchEntity,
    check_document,
    encoded,
    new_entity,
    page,
    shown,
)
from nextpick.store.records import Transaction

_LIMIT = 6144
_MOST_VERSIONS = 5
_EPOCH = 1_423_180_800.0  # when managed policies came to be: what AWS's own are shown as made at


@HANDLERS.operation("CreatePolicy")
def create_policy(ctx: Context, request: Request) -> Answer:
    check_document(request["PolicyDocument"], kind="identity", limit=_LIMIT)
    policy = new_entity(ctx, "policy", "ANPA", request) | {
        "DefaultVersionId": "v1",
        "UpdateDate": ctx.now(),
        "versions": [_version(1, request["PolicyDocument"], ctx.now())],
    }
    policy |= {name: request[name] for name in ("Description", "Tags") if name in request}
    with ctx.records.write() as tx:
        if directory.get(tx, "policy", ctx.account, request["PolicyName"]) is not None:
            raise EntityAlreadyExists(
                f"A policy called {request['PolicyName']} already exists. Duplicate names are not allowed."
            )
        directory.put(tx, "policy", ctx.account, policy)
    return {"Policy": shown(policy) | {"AttachmentCount": 0, "IsAttachable": True}}


def _version(number: int, document: str, now: float) -> dict[str, Any]:
    return {"VersionId": f"v{number}", "Document": document, "CreateDate": now}


def find_policy(tx: Transaction, arn: str) -> Entity:
    """Return a managed policy, AWS's or a customer's; raises NoSuchEntity."""
    if arn in managed.MANAGED:
        known = managed.MANAGED[arn]
        return {
            "PolicyName": known.name,
            "PolicyId": "ANPA" + known.name.upper()[:17].ljust(17, "A"),
            "Arn": known.arn,
            "Path": known.path,
            "Description": known.description,
            "DefaultVersionId": "v1",
            "CreateDate": _EPOCH,
            "UpdateDate": _EPOCH,
            "versions": [_version(1, known.document, _EPOCH)],
        }
    policy = directory.by_arn(tx, "policy", arn)
    if policy is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    return policy


def _own(ctx: Context, tx: Transaction, arn: str) -> Entity:
    """Return a customer's policy, which may be changed; raises NoSuchEntity."""
    policy = directory.by_arn(tx, "policy", arn)
    if policy is None or arn.split(":")[4] != ctx.account:
        raise NoSuchEntity(f"Policy {arn} was not found, or is one of AWS's own.")
    return policy


def holders(tx: Transaction, account: str, arn: str) -> dict[str, list[Entity]]:
    """Return the users and roles that a managed policy is attached to, by kind."""
    return {
        "user": [e for e in directory.find(tx, "user", account) if arn in e["attached"]],
        "role": [e for e in directory.find(tx, "role", account) if arn in e["attached"]],
    }


def _shown(ctx: Context, tx: Transaction, policy: Entity) -> Entity:
    count = sum(len(found) for found in holders(tx, ctx.account, policy["Arn"]).values())
    return shown(policy) | {"AttachmentCount": count, "IsAttachable": True}


@HANDLERS.operation("GetPolicy")
def get_policy(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        return {"Policy": _shown(ctx, tx, find_policy(tx, request["PolicyArn"]))}


@HANDLERS.operation("ListPolicies")
def list_policies(ctx: Context, request: Request) -> Answer:
    scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
    with ctx.records.read() as tx:
        found: list[Entity] = []
        if scope in ("All", "Local"):
            found += directory.find(tx, "policy", ctx.account)
        if scope in ("All", "AWS"):
            found += [find_policy(tx, arn) for arn in dict.fromkeys(p.arn for p in managed.MANAGED.values())]
        policies = [_shown(ctx, tx, policy) for policy in found if policy["Path"].startswith(prefix)]
    if request.get("OnlyAttached"):
        policies = [policy for policy in policies if policy["AttachmentCount"]]
    items = [(policy["Arn"], {k: v for k, v in policy.items() if k != "Description"}) for policy in policies]
    return page("Policies", items, request)


@HANDLERS.operation("DeletePolicy")
def delete_policy(ctx: Context, request: Request) -> None:
    with ctx.records.write() as tx:
        policy = _own(ctx, tx, request["PolicyArn"])
        if any(holders(tx, ctx.account, policy["Arn"]).values()):
            raise DeleteConflict("Cannot delete a policy attached to entities.")
        if len(policy["versions"]) > 1:
            raise DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        directory.delete(tx, "policy", ctx.account, policy["PolicyName"])


@HANDLERS.operation("CreatePolicyVersion")
def create_policy_version(ctx: Context, request: Request) -> Answer:
    check_document(request["PolicyDocument"], kind="identity", limit=_LIMIT)
    with ctx.records.write() as tx:
        policy = _own(ctx, tx, request["PolicyArn"])
        if len(policy["versions"]) >= _MOST_VERSIONS:
            raise LimitExceeded(
                f"A managed policy can have up to {_MOST_VERSIONS} versions. Before you create a new version, you "
                "must delete an existing version."
            )
        policy["newest"] = policy.get("newest", 1) + 1
        version = _version(policy["newest"], request["PolicyDocument"], ctx.now())
        policy["versions"].append(version)
        if request.get("SetAsDefault"):
            policy |= {"DefaultVersionId": version["VersionId"], "UpdateDate": ctx.now()}
        directory.put(tx, "policy", ctx.account, policy)
    return {"PolicyVersion": _shown_version(policy, version, document=False)}


def _find_version(policy: Entity, version_id: str) -> dict[str, Any]:
    for version in policy["versions"]:
        if version["VersionId"] == version_id:
            return version
    raise NoSuchEntity(f"Policy {policy['Arn']} version {version_id} does not exist.")


def _shown_version(policy: Entity, version: dict[str, Any], *, document: bool = True) -> dict[str, Any]:
    answer = {
        "VersionId": version["VersionId"],
        "IsDefaultVersion": version["VersionId"] == policy["DefaultVersionId"],
        "CreateDate": version["CreateDate"],
    }
    return answer | ({"Document": encoded(version["Document"])} if document else {})


@HANDLERS.operation("GetPolicyVersion")
def get_policy_version(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        policy = find_policy(tx, request["PolicyArn"])
    return {"PolicyVersion": _shown_version(policy, _find_version(policy, request["VersionId"]))}


@HANDLERS.operation("ListPolicyVersions")
def list_policy_versions(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        policy = find_policy(tx, request["PolicyArn"])
    versions = [
        (v["VersionId"].zfill(8), _shown_version(policy, v, document=False)) for v in policy["versions"]
    ]
    return page("Versions", versions, request)


@HANDLERS.operation("SetDefaultPolicyVersion")
def set_default_policy_version(ctx: Context, request: Request) -> None:
    with ctx.records.write() as tx:
        policy = _own(ctx, tx, request["PolicyArn"])
        version = _find_version(policy, request["VersionId"])
        policy |= {"DefaultVersionId": version["VersionId"], "UpdateDate": ctx.now()}
        directory.put(tx, "policy", ctx.account, policy)


@HANDLERS.operation("DeletePolicyVersion")
def delete_policy_version(ctx: Context, request: Request) -> None:
    with ctx.records.write() as tx:
        policy = _own(ctx, tx, request["PolicyArn"])
        version = _find_version(policy, request["VersionId"])
        if version["VersionId"] == policy["DefaultVersionId"]:
            raise DeleteConflict("Cannot delete the default version of a policy.")
        policy["versions"].remove(version)
        directory.put(tx, "policy", ctx.account, policy)


@HANDLERS.operation("ListEntitiesForPolicy")
def list_entities_for_policy(ctx: Context, request: Request) -> Answer:
    kinds = {"User": "user", "Role": "role"}
    wanted = request.get("EntityFilter")
    if wanted is not None and wanted not in kinds:
        raise InvalidInput(f"EntityFilter is {wanted}; nextpick knows User and Role.")
    with ctx.records.read() as tx:
        found = holders(tx, ctx.account, find_policy(tx, request["PolicyArn"])["Arn"])
    answer: dict[str, Any] = {"IsTruncated": False, "PolicyGroups": [], "PolicyUsers": [], "PolicyRoles": []}
    for title, kind in kinds.items():
        if wanted in (None, title):
            members = (f"{title}Name", f"{title}Id")
            answer[f"Policy{title}s"] = [{name: entity[name] for name in members} for entity in found[kind]]
    return answer

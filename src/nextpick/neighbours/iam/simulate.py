"""SimulatePrincipalPolicy and SimulateCustomPolicy: what would be decided, and by which statement.

``MatchedStatements`` tell the policy and where in it the statement is; ``EvalDecisionDetails``, whose keys are
free text, name the statement, or say which is missing. Source: IAM User Guide, "IAM policy testing with the
IAM policy simulator".
"""

import json
from collections.abc import Mapping
from typing import Any

from nextpick.access import directory, guard
from nextpick.access.directory import Identity
from nextpick.access.grammar import Malformed, parse_policy
from nextpick.access.guard import Verdict
from nextpick.access.policy import Policy, Principal
from nextpick.errors import InvalidInput
from nextpick.names import resource_name
from nextpick.neighbours.context import Answer, Context, Request
from nextpick.neighbours.iam.common import HANDLERS, NoSuchEntity, page

_LONGEST_DETAIL = 256
_LIMIT = 10 * 1024 * 1024


@HANDLERS.operation("SimulatePrincipalPolicy")
def simulate_principal_policy(ctx: Context, request: Request) -> Answer:
    arn = request["PolicySourceArn"]
    with ctx.records.read() as tx:
        identity = directory.identity(tx, arn)
    if identity is None:
        raise NoSuchEntity(f"The user or role {arn} cannot be found.")
    added = _inputs(request.get("PolicyInputList", []), "PolicyInputList")
    bounds = _inputs(
        request.get("PermissionsBoundaryPolicyInputList", []), "PermissionsBoundaryPolicyInputList"
    )
    identity = identity._replace(policies=(*identity.policies, *added))
    if bounds:
        identity = identity._replace(boundaries=(bounds,))
    return _simulate(request, identity)


@HANDLERS.operation("SimulateCustomPolicy")
def simulate_custom_policy(ctx: Context, request: Request) -> Answer:
    arn = request.get("CallerArn", guard.root_arn(ctx.account))
    bounds = _inputs(
        request.get("PermissionsBoundaryPolicyInputList", []), "PermissionsBoundaryPolicyInputList"
    )
    policies = _inputs(request["PolicyInputList"], "PolicyInputList")
    identity = Identity(Principal(arn, ctx.account), policies, (bounds,) if bounds else (), {})
    return _simulate(request, identity)


def _inputs(texts: list[str], name: str) -> tuple[Policy, ...]:
    labels = [f"{name}.{i}" for i in range(1, len(texts) + 1)]
    return tuple(_parse(text, label, "identity") for text, label in zip(texts, labels, strict=True))


def _parse(text: str, name: str, kind: Any) -> Policy:
    try:
        return parse_policy(text, name=name, kind=kind, limit=_LIMIT)
    except Malformed as error:
        raise InvalidInput(f"{name}: {error}") from None


def _simulate(request: Request, identity: Identity) -> Answer:
    context = _context(request)
    resource_policy = None
    if "ResourcePolicy" in request:
        resource_policy = _parse(request["ResourcePolicy"], "ResourcePolicy", "resource")
    if "CallerArn" in request and request["CallerArn"] != identity.principal.arn:
        if resource_name(request["CallerArn"]) == "root" or ":user/" not in request["CallerArn"]:
            raise InvalidInput("CallerArn must be the ARN of a user.")
        arn = request["CallerArn"]
        identity = identity._replace(principal=Principal(arn, arn.split(":")[4]))
    owner = (
        request["ResourceOwner"].split(":")[4] if request.get("ResourceOwner", "").count(":") >= 5 else None
    )
    results = []
    for action in request["ActionNames"]:
        if action.count(":") != 1:
            raise InvalidInput(f"Invalid Action Name: {action}. An action is named service:Action.")
        for resource in request.get("ResourceArns", ["*"]):
            verdict = guard.judge(identity, action, resource, context, resource_policy, owner)
            missing = _missing(identity, resource_policy, context)
            results.append((f"{len(results):06d}", _result(action, resource, verdict, missing)))
    return page("EvaluationResults", results, request)


def _context(request: Request) -> dict[str, str | tuple[str, ...]]:
    return {
        entry["ContextKeyName"]: tuple(entry.get("ContextKeyValues", ()))
        for entry in request.get("ContextEntries", [])
        if "ContextKeyName" in entry
    }


def _missing(identity: Identity, resource_policy: Policy | None, context: Mapping[str, Any]) -> list[str]:
    """Return the condition keys of the policies that the simulation was given no value for."""
    given = {key.lower() for key in (*context, *identity.context)}
    policies = [*identity.policies, *([resource_policy] if resource_policy else [])]
    keys = {
        key
        for policy in policies
        for statement in policy.statements
        for key in (one.key for one in statement.conditions)
    }
    return sorted(key for key in keys if key.lower() not in given)


def _result(action: str, resource: str, verdict: Verdict, missing: list[str]) -> dict[str, Any]:
    decision = verdict.decision
    matched = []
    if decision is not None and decision.policy is not None and decision.statement is not None:
        start, end = _place(decision.policy, decision.statement.index)
        matched.append(
            {
                "SourcePolicyId": decision.policy.name,
                "SourcePolicyType": "IAM Policy" if decision.policy.kind == "identity" else "Resource Policy",
                "StartPosition": start,
                "EndPosition": end,
            }
        )
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": verdict.outcome,
        "MatchedStatements": matched,
        "MissingContextValues": missing,
        "EvalDecisionDetails": {verdict.reason[:_LONGEST_DETAIL]: verdict.outcome},
    }


def _place(policy: Policy, index: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return line and column of the statement's first character and of the one after its last."""
    text = policy.text
    decoder, at = json.JSONDecoder(), text.index('"Statement"') + len('"Statement"')
    at = _next(text, at, ":")
    single = text[at] == "{"
    at = at if single else _next(text, at, "[")
    for _ in range(index):
        at = _next(text, decoder.raw_decode(text, at)[1], ",")
    end = decoder.raw_decode(text, at)[1]
    return _position(text, at), _position(text, end)


def _next(text: str, at: int, mark: str) -> int:
    """Return where the next value begins, after ``mark``."""
    at = text.index(mark, at) + 1
    while text[at].isspace():
        at += 1
    return at


def _position(text: str, at: int) -> dict[str, int]:
    before = text[:at]
    return {"Line": before.count("\n") + 1, "Column": at - (before.rfind("\n") + 1) + 1}

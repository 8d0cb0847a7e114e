"""STS: who is calling, and credentials of a role.

Source: AWS STS API Reference, "GetCallerIdentity", "AssumeRole".
"""

from nextpick.access import directory, guard
from nextpick.access.grammar import Malformed, parse_policy
from nextpick.access.guard import Verdict
from nextpick.access.policy import Principal
from nextpick.access.sessions import open_session
from nextpick.errors import AccessDenied, InvalidInput, ServiceError
from nextpick.neighbours.context import Answer, Context, Request
from nextpick.neighbours.handlers import Handlers

HANDLERS: Handlers[Context, Answer] = Handlers()

_SHORTEST_S = 900
_DEFAULT_S = 3600
_SESSION_POLICY_LIMIT = 2048


class MalformedPolicyDocument(ServiceError):
    """The policy document is not valid."""

    code = "MalformedPolicyDocument"


@HANDLERS.operation("GetCallerIdentity")
def get_caller_identity(ctx: Context, request: Request) -> Answer:
    """Anyone may ask, as in AWS: no policy can deny it."""
    arn = ctx.call.principal
    if not arn:
        return {"UserId": ctx.account, "Account": ctx.account, "Arn": guard.root_arn(ctx.account)}
    with ctx.records.read() as tx:
        identity = directory.identity(tx, arn, ctx.call.access_key)
    user_id = identity.context["aws:userid"] if identity else ctx.call.access_key
    return {"UserId": user_id, "Account": ctx.account, "Arn": arn}


@HANDLERS.operation("AssumeRole")
def assume_role(ctx: Context, request: Request) -> Answer:
    """The trust policy must allow the caller; the role's own account's root means whoever it lets."""
    arn, name = request["RoleArn"], request["RoleSessionName"]
    duration = request.get("DurationSeconds", _DEFAULT_S)
    now = ctx.now()
    with ctx.records.write() as tx:
        role = directory.by_arn(tx, "role", arn)
        identity = (
            directory.identity(tx, ctx.call.principal, ctx.call.access_key) if ctx.call.principal else None
        )
        verdict = _judge(ctx, role, identity, request)
        ctx.services.guard.note(
            ctx.call.request_id,
            ctx.call.principal or guard.root_arn(ctx.account),
            "sts:AssumeRole",
            arn,
            verdict,
        )
        if not verdict.is_allowed:
            who = ctx.call.principal or guard.root_arn(ctx.account)
            raise AccessDenied(
                f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn} because {verdict.reason}"
            )
        assert role is not None
        longest = role["MaxSessionDuration"]
        if not _SHORTEST_S <= duration <= longest:
            raise InvalidInput(
                f"The requested DurationSeconds {duration} is not between {_SHORTEST_S} and the MaxSessionDuration "
                f"set for this role, {longest}."
            )
        limits = _session_policies(request)
        session = open_session(tx, role, name, now=now, duration_s=duration, policies=limits)
    return {
        "Credentials": {
            "AccessKeyId": session["access_key"],
            "SecretAccessKey": session["secret"],
            "SessionToken": session["token"],
            "Expiration": session["expires_at"],
        },
        "AssumedRoleUser": {"AssumedRoleId": f"{role['RoleId']}:{name}", "Arn": session["arn"]},
    }


def _judge(
    ctx: Context, role: directory.Entity | None, identity: directory.Identity | None, request: Request
) -> Verdict:
    if role is None:
        return Verdict("implicitDeny", f"there is no role {request['RoleArn']}")
    owner = role["Arn"].split(":")[4]
    context = {"sts:ExternalId": request["ExternalId"]} if "ExternalId" in request else {}
    context["sts:RoleSessionName"] = request["RoleSessionName"]
    if ctx.call.principal and identity is None:
        return Verdict("implicitDeny", f"{ctx.call.principal} does not exist any more")
    if identity is None and owner == ctx.account:
        return Verdict("allowed", guard.ADMINISTRATOR)
    root = Principal(guard.root_arn(ctx.account), ctx.account)
    principal, known = (identity.principal, identity.context) if identity else (root, {})
    verdict = guard.judge_trust(role, principal, {**context, **known})
    if identity is None or not verdict.is_allowed:
        return verdict
    return guard.judge(identity, "sts:AssumeRole", role["Arn"], context, directory.trust_of(role), owner)


def _session_policies(request: Request) -> list[tuple[str, str | None]]:
    """Return names and texts of what limits the session further; managed policies have no text here."""
    found: list[tuple[str, str | None]] = []
    if "Policy" in request:
        try:
            parse_policy(
                request["Policy"], name="session policy", kind="identity", limit=_SESSION_POLICY_LIMIT
            )
        except Malformed as error:
            raise MalformedPolicyDocument(str(error)) from None
        found.append(("session policy", request["Policy"]))
    found += [(policy["arn"], None) for policy in request.get("PolicyArns", []) if "arn" in policy]
    return found

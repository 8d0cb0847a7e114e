"""May this principal do this? The one place that answers, for calls of the API, for S3, for what jobs read.

Source: IAM User Guide, "Policy evaluation logic" and "Cross-account policy evaluation logic".
"""

import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nextpick.access import directory
from nextpick.access.audit import Audit
from nextpick.access.directory import Entity, Identity
from nextpick.access.policy import Ask, Decision, Policy, Principal, decide, describe
from nextpick.clock import Clock
from nextpick.errors import AccessDenied
from nextpick.names import resource_name
from nextpick.store.records import Records
from nextpick.wire.dispatch import Call

Context = Mapping[str, str | tuple[str, ...]]

SERVICE = "personalize.amazonaws.com"
ADMINISTRATOR = "administrator"


class Verdict(NamedTuple):
    """What was decided (``allowed``, ``explicitDeny``, ``implicitDeny``) and by what, in words.

    ``decision`` is that of the policies that settled it; None where none was asked.
    """

    outcome: str
    reason: str
    decision: Decision | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether it may be done."""
        return self.outcome == "allowed"


class Caller(NamedTuple):
    """Who asks: ``principal`` is "" for the administrator of the account."""

    account: str
    region: str
    principal: str
    access_key: str
    request: str
    source_ip: str = ""

    @classmethod
    def of(cls, call: Call) -> "Caller":
        """Return who makes a call."""
        return cls(
            call.account, call.region, call.principal, call.access_key, call.request_id, call.source_ip
        )


class Guard:
    """Judges requests by the users, roles and policies in the records, and writes each decision down."""

    def __init__(self, records: Records, audit: Audit, clock: Clock, *, strict: bool) -> None:
        self._records, self._audit, self._clock = records, audit, clock
        self.strict = strict

    def require(
        self,
        caller: Caller,
        action: str,
        resource: str,
        *,
        context: Context | None = None,
        resource_policy: Policy | None = None,
        owner: str | None = None,
    ) -> None:
        """Raise AccessDenied unless the caller may do it; ``owner`` is the resource's account."""
        verdict = self.ask(
            caller, action, resource, context=context, resource_policy=resource_policy, owner=owner
        )
        if not verdict.is_allowed:
            who = caller.principal or root_arn(caller.account)
            raise AccessDenied(
                f"User: {who} is not authorized to perform: {action} on resource: {resource} because {verdict.reason}"
            )

    def ask(
        self,
        caller: Caller,
        action: str,
        resource: str,
        *,
        context: Context | None = None,
        resource_policy: Policy | None = None,
        owner: str | None = None,
    ) -> Verdict:
        """Return whether the caller may do it, after writing it to the audit log."""
        if caller.principal:
            with self._records.read() as tx:
                identity = directory.identity(tx, caller.principal, caller.access_key)
        else:
            identity = None
        context = {**self._surroundings(caller), **(context or {})}
        if identity is not None:
            verdict = judge(identity, action, resource, context, resource_policy, owner)
        elif caller.principal:
            verdict = Verdict("implicitDeny", f"{caller.principal} does not exist any more")
        else:
            verdict = self._administrator(caller.account, action, resource, context, resource_policy)
        self.note(caller.request, caller.principal or root_arn(caller.account), action, resource, verdict)
        return verdict

    def tags(self, resource: str) -> dict[str, str]:
        """Return the tags of a resource, none where there is no such resource."""
        if resource == "*":
            return {}
        with self._records.read() as tx:
            found = tx.get(resource)
        return found.internal.get("tags", {}) if found is not None and found.deleted_at is None else {}

    def _surroundings(self, caller: Caller) -> dict[str, str | tuple[str, ...]]:
        """Return the condition keys that every request has."""
        now = self._clock.now()
        keys: dict[str, str | tuple[str, ...]] = {
            "aws:CurrentTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "aws:EpochTime": str(int(now)),
            "aws:RequestedRegion": caller.region,
            "aws:SecureTransport": "false",
        }
        return keys | ({"aws:SourceIp": caller.source_ip} if caller.source_ip else {})

    def _administrator(
        self, account: str, action: str, resource: str, context: Context, resource_policy: Policy | None
    ) -> Verdict:
        """The administrator's own key may do all; under strict rules a bucket policy may deny it."""
        if self.strict and resource_policy is not None:
            ask = Ask(Principal(root_arn(account), account), action, resource, context)
            decision = decide([resource_policy], ask)
            if decision.outcome == "explicitDeny":
                return Verdict("explicitDeny", _explicit(decision), decision)
        return Verdict("allowed", ADMINISTRATOR)

    def note(self, request: str, principal: str, action: str, resource: str, verdict: Verdict) -> None:
        """Write a decision to the audit log."""
        self._audit.write(
            now=self._clock.now(),
            request=request,
            principal=principal,
            action=action,
            resource=resource,
            outcome=verdict.outcome,
            reason=verdict.reason,
        )


def root_arn(account: str) -> str:
    """Return the ARN of an account's administrator."""
    return f"arn:aws:iam::{account}:root"


def judge(
    identity: Identity,
    action: str,
    resource: str,
    context: Context,
    resource_policy: Policy | None = None,
    owner: str | None = None,
) -> Verdict:
    """Return what policies say of a user or role: its own, those that bound it, and the resource's.

    A principal of the account that owns the resource needs one side to allow it, one of another account both.
    """
    ask = Ask(identity.principal, action, resource, {**context, **identity.context})
    everything = [*identity.policies, *(policy for bound in identity.boundaries for policy in bound)]
    denied = decide([*everything, *([resource_policy] if resource_policy else [])], ask)
    if denied.outcome == "explicitDeny":
        return Verdict("explicitDeny", _explicit(denied), denied)
    own = decide(identity.policies, ask)
    by_resource = decide([resource_policy], ask) if resource_policy else None
    granted = by_resource is not None and by_resource.is_allowed
    foreign = owner is not None and owner != identity.principal.account
    if foreign and not granted:
        return Verdict("implicitDeny", _missing(action, by_resource, "resource-based", ask), by_resource)
    if not own.is_allowed and (foreign or not (granted and by_resource and by_resource.is_direct)):
        return Verdict("implicitDeny", _missing(action, own, "identity-based", ask, identity), own)
    decision = own if own.is_allowed else by_resource
    for bound in identity.boundaries if own.is_allowed else ():
        limit = decide(bound, ask)
        if not limit.is_allowed:
            return Verdict(
                "implicitDeny", _missing(action, limit, "permissions boundary or session", ask), limit
            )
    assert decision is not None
    return Verdict("allowed", _by(decision), decision)


def judge_trust(role: Entity, principal: Principal, context: Context) -> Verdict:
    """Return whether a role's trust policy lets a principal, a service or anyone else, take the role."""
    trust = directory.trust_of(role)
    decision = decide([trust], Ask(principal, "sts:AssumeRole", role["Arn"], context))
    if decision.outcome == "implicitDeny":
        who = principal.service or principal.arn
        reason = f"no statement of the {trust.name} allows sts:AssumeRole to {who}{_near(decision.near)}"
        return Verdict("implicitDeny", reason, decision)
    reason = _by(decision) if decision.is_allowed else _explicit(decision)
    return Verdict(decision.outcome, reason, decision)


def judge_service(policy: Policy | None, action: str, resource: str, context: Context) -> Verdict:
    """Return what a resource's policy says of the Personalize service itself."""
    ask = Ask(Principal("", "", SERVICE), action, resource, context)
    decision = decide([policy] if policy else [], ask)
    if decision.is_allowed:
        return Verdict("allowed", _by(decision), decision)
    if decision.outcome == "explicitDeny":
        return Verdict("explicitDeny", _explicit(decision), decision)
    bucket = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    if policy is None:
        return Verdict(
            "implicitDeny", f"bucket {bucket} has no bucket policy, which must allow it to {SERVICE}"
        )
    near = _near(decision.near)
    return Verdict(
        "implicitDeny",
        f"no statement of the bucket policy of {bucket} allows it to {SERVICE}{near}",
        decision,
    )


def names_service(policy: Policy) -> bool:
    """Tell whether any statement of a policy is about the Personalize service."""
    return any(SERVICE in statement.services() for statement in policy.statements)


def _by(decision: Decision) -> str:
    assert decision.statement is not None
    assert decision.policy is not None
    return describe(decision.statement, decision.policy)


def _explicit(decision: Decision) -> str:
    return f"of an explicit deny: {_by(decision)}"


def _missing(
    action: str, decision: Decision | None, sort: str, ask: Ask, identity: Identity | None = None
) -> str:
    near = _near(decision.near) if decision else ""
    whose = ""
    if identity is not None:
        name = resource_name(ask.principal.role or ask.principal.arn)
        names = [policy.name for policy in identity.policies]
        whose = f" ({name} has {_listed(names) if names else 'no policies'})"
    return f"no {sort} policy allows the {action} action{whose}{near}"


def _near(near: Iterable[str]) -> str:
    told = "; ".join(near)
    return f"; closest: {told}" if told else ""


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

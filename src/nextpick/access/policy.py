"""Policies: what a document says, and what it decides.

Sources: IAM User Guide, "Grammar of the IAM JSON policy language", "How AWS enforcement code logic evaluates
requests to allow or deny access", "AWS JSON policy elements: Principal".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nextpick.access.conditions import Condition, explain, holds
from nextpick.access.patterns import Words, arn_matches, matches, substitute

Kind = Literal["identity", "resource", "trust"]
Outcome = Literal["allowed", "explicitDeny", "implicitDeny"]

_MOST_NEAR = 3
_REGIONAL = re.compile(r"([a-z0-9-]+)\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com")


class Principal(NamedTuple):
    """Who asks: a user or role by its ARN, a role session with its ``role`` too, or a ``service``."""

    arn: str
    account: str
    service: str = ""
    role: str = ""


class Ask(NamedTuple):
    """A question: may ``principal`` do ``action`` ("s3:GetObject") on ``resource`` (an ARN, or ``*``)?"""

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, str | Words]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. A list that the document does not have is empty; ``not_`` lists are those to keep out of.

    ``principals`` are pairs of type (``AWS``, ``Service``, …, or ``*``) and value.
    """

    sid: str
    index: int
    allows: bool
    actions: Words = ()
    not_actions: Words = ()
    resources: Words = ()
    not_resources: Words = ()
    principals: tuple[tuple[str, str], ...] = ()
    not_principals: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()

    def services(self) -> list[str]:
        """Return the services that the statement is for, without the regions that their names may have."""
        return [service_name(value) for kind, value in self.principals if kind == "Service"]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy; ``name`` is what messages call it, ``text`` the document it was read from."""

    name: str
    kind: Kind
    text: str
    statements: tuple[Statement, ...]


class Decision(NamedTuple):
    """What was decided and by which statement; ``near`` are those that almost allowed it, in words.

    ``is_direct`` is true where the statement names the principal, and not merely its account.
    """

    outcome: Outcome
    policy: Policy | None = None
    statement: Statement | None = None
    near: tuple[str, ...] = ()
    is_direct: bool = False

    @property
    def is_allowed(self) -> bool:
        """Whether it may be done."""
        return self.outcome == "allowed"


def service_name(text: str) -> str:
    """Return the name of a service without a region: lambda.us-east-1.amazonaws.com is lambda.amazonaws.com."""
    return _REGIONAL.sub(r"\1.amazonaws.com", text)


def describe(statement: Statement, policy: Policy) -> str:
    """Return what messages call a statement: by its Sid, or its number."""
    name = f'"{statement.sid}"' if statement.sid else str(statement.index + 1)
    return f"statement {name} of {policy.name}"


def decide(policies: Iterable[Policy], ask: Ask) -> Decision:
    """Return what policies say together: a deny anywhere wins, then an allow anywhere, else it is not allowed."""
    context = {
        key.lower(): (value,) if isinstance(value, str) else value for key, value in ask.context.items()
    }
    allowed: Decision | None = None
    near: list[tuple[int, str]] = []
    for policy in policies:
        for statement in policy.statements:
            match = _match(statement, policy, ask, context)
            if match.holds and not statement.allows:
                return Decision("explicitDeny", policy, statement, is_direct=match.is_direct)
            if match.holds and (allowed is None or match.is_direct > allowed.is_direct):
                allowed = Decision("allowed", policy, statement, is_direct=match.is_direct)
            if statement.allows and match.reason:
                near.append((match.rank, f"{describe(statement, policy)}: {match.reason}"))
    if allowed is not None:
        return allowed
    near.sort(key=lambda pair: pair[0])
    return Decision("implicitDeny", near=tuple(text for _, text in near[:_MOST_NEAR]))


class _Match(NamedTuple):
    """Whether a statement is about a question; if not, why, where it was near, and the nearer the lower."""

    holds: bool
    is_direct: bool = False
    rank: int = 0
    reason: str = ""


def _match(statement: Statement, policy: Policy, ask: Ask, context: Mapping[str, Words]) -> _Match:
    if not _matches_action(statement, ask.action):
        return _Match(False)
    direct = policy.kind == "identity"
    if not direct:
        found = _matches_principal(statement, ask.principal)
        if found is None:
            who = ", ".join(value for _, value in statement.principals or statement.not_principals)
            asker = ask.principal.service or ask.principal.arn
            return _Match(False, rank=2, reason=f"it is for {who}, not for {asker}")
        direct = found
    if policy.kind != "trust" and not _matches_resource(statement, ask.resource, context):
        about = ", ".join(statement.resources) or f"all but {', '.join(statement.not_resources)}"
        return _Match(False, rank=1, reason=f"it is about {about}, not about {ask.resource}")
    for condition in statement.conditions:
        if not holds(condition, context):
            return _Match(False, rank=0, reason=explain(condition, context))
    return _Match(True, direct)


def _matches_action(statement: Statement, action: str) -> bool:
    if statement.not_actions:
        return not any(matches(pattern, action, fold=True) for pattern in statement.not_actions)
    return any(matches(pattern, action, fold=True) for pattern in statement.actions)


def _matches_resource(statement: Statement, resource: str, context: Mapping[str, Words]) -> bool:
    patterns = statement.not_resources or statement.resources
    found = (substitute(pattern, context) for pattern in patterns)
    covered = any(pattern is not None and arn_matches(pattern, resource) for pattern in found)
    return covered != bool(statement.not_resources)


def _matches_principal(statement: Statement, principal: Principal) -> bool | None:
    """Return whether a statement names the principal itself (True), its account (False), or neither (None)."""
    if statement.not_principals:
        named = [_names(kind, value, principal) for kind, value in statement.not_principals]
        return None if any(answer is not None for answer in named) else True
    answers = [_names(kind, value, principal) for kind, value in statement.principals]
    known = [answer for answer in answers if answer is not None]
    return any(known) if known else None


def _names(kind: str, value: str, principal: Principal) -> bool | None:
    if kind == "*" or (kind == "AWS" and value == "*"):
        return True
    if kind == "Service":
        return True if principal.service and service_name(value) == principal.service else None
    if kind != "AWS" or principal.service:
        return None
    if value in (principal.account, f"arn:aws:iam::{principal.account}:root"):
        return False
    return True if value and value in (principal.arn, principal.role) else None

"""Roles that a service takes to work for somebody: Lambda for a function, API Gateway for an integration.

The role's trust policy must let the service take it. What was never set up is not asked: of a role that IAM does not
know there is no session, and the service works as the administrator, unless the rules are strict.
Source: IAM User Guide, "Creating a role to delegate permissions to an AWS service".
"""

import threading
from typing import NamedTuple

from nextpick.access import directory, guard
from nextpick.access.guard import Guard, Verdict
from nextpick.access.policy import Principal
from nextpick.access.sessions import open_session
from nextpick.clock import Clock
from nextpick.store.records import Records

DURATION_S = 3600.0
RENEW_BEFORE_S = 1500.0  # the longest invocation of a function lasts 900 s; SDKs renew 600 s before the end


class RoleRefused(Exception):
    """A service may not take a role; the text says why."""


class Session(NamedTuple):
    """A key of a role; ``arn`` is the principal."""

    access_key: str
    secret: str
    token: str
    arn: str
    expires_at: float


class For(NamedTuple):
    """For whom a role is taken: what the session is called, and what policies may ask of the source."""

    name: str
    account: str
    source_arn: str


class Held(NamedTuple):
    """What was found for a role: a session, None where IAM does not know the role. ``version`` of the records then."""

    session: Session | None
    version: bytes


class Assuming:
    """The sessions that one service has; may be asked by many threads."""

    def __init__(self, service: str, records: Records, judge: Guard, clock: Clock) -> None:
        self._service, self._records, self._guard, self._clock = service, records, judge, clock
        self._held: dict[tuple[str, For], Held] = {}
        self._lock = threading.Lock()

    def current(self, role: str, whom: For) -> Held | None:
        """Return what was found before and is still good, None where it must be looked for: quick."""
        held = self._held.get((role, whom))
        if held is None or held.version != self._records.version():
            return None
        return held if held.session is None or self._is_fresh(held.session) else None

    def find(self, role: str, whom: For) -> Held:
        """Return a session that lasts for a while. Raises RoleRefused."""
        with self._lock:
            found = self.current(role, whom)
            if found is None:
                session = self._find(role, whom)
                found = self._held[role, whom] = Held(session, self._records.version())
            return found

    def check(self, role: str, whom: For, request: str) -> directory.Entity | None:
        """Return the role where IAM knows it, after writing the decision to the audit log. Raises RoleRefused."""
        with self._records.read() as tx:
            known = directory.by_arn(tx, "role", role)
        if known is not None:
            context = {"aws:SourceAccount": whom.account, "aws:SourceArn": whom.source_arn}
            verdict = guard.judge_trust(known, Principal("", "", self._service), context)
        elif self._guard.strict:
            verdict = Verdict("implicitDeny", f"there is no role {role}")
        else:
            verdict = Verdict("allowed", "IAM does not know the role, and the rules are not strict")
        self._guard.note(request, self._service, "sts:AssumeRole", role, verdict)
        if not verdict.is_allowed:
            raise RoleRefused(f"{role}: {verdict.reason}.")
        return known

    def _find(self, role: str, whom: For) -> Session | None:
        known = self.check(role, whom, whom.source_arn)
        if known is None:
            return None
        held = self._held.get((role, whom))
        if held is not None and held.session is not None and self._is_fresh(held.session):
            with self._records.read() as tx:
                if directory.find_key(tx, held.session.access_key) is not None:
                    return held.session
        with self._records.write() as tx:
            opened = open_session(tx, known, whom.name, now=self._clock.now(), duration_s=DURATION_S)
        return Session(*(opened[name] for name in ("access_key", "secret", "token", "arn", "expires_at")))

    def _is_fresh(self, session: Session) -> bool:
        return session.expires_at - self._clock.now() > RENEW_BEFORE_S

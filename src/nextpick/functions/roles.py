"""The keys that functions work with: sessions of their roles.

A role's trust policy must let Lambda take it. What was never set up is not asked: with a role that IAM does not know a
function works with the administrator's key, unless the rules are strict. Source: AWS Lambda Developer Guide,
"Defining Lambda function permissions with an execution role".
"""

import math
import threading
from pathlib import Path
from typing import NamedTuple

from nextpick.access import directory, guard
from nextpick.access.guard import Guard, Verdict
from nextpick.access.policy import Principal
from nextpick.access.sessions import open_session
from nextpick.clock import Clock
from nextpick.functions.registry import Function
from nextpick.store import keys
from nextpick.store.records import Records

SERVICE = "lambda.amazonaws.com"

_DURATION_S = 3600.0
_RENEW_BEFORE_S = 1500.0  # the longest invocation lasts 900 s; SDKs renew 600 s before the end


class RoleRefused(Exception):
    """A function may not work with its role; the text says why."""


class Credentials(NamedTuple):
    """A key as a function gets it; the administrator's has no token and does not expire."""

    access_key: str
    secret: str
    token: str = ""
    expires_at: float = math.inf


class Roles:
    """Finds and renews the keys of functions; may be asked by many threads."""

    def __init__(self, home: Path, records: Records, judge: Guard, clock: Clock) -> None:
        self._home, self._records, self._guard, self._clock = home, records, judge, clock
        self._held: dict[tuple[str, str], tuple[bytes, Credentials]] = {}  # by function and role
        self._lock = threading.Lock()

    def current(self, function: Function) -> Credentials | None:
        """Return a key that was found before and is still good, None where one must be looked for."""
        held = self._held.get((function.arn, function.role))
        if held is None or held[0] != self._records.version():
            return None
        return held[1] if held[1].expires_at - self._clock.now() > _RENEW_BEFORE_S else None

    def find(self, function: Function) -> Credentials:
        """Return a key for an invocation that begins now. Raises RoleRefused."""
        with self._lock:
            found = self.current(function)
            if found is None:
                found = self._find(function)
                self._held[function.arn, function.role] = self._records.version(), found
            return found

    def check(self, function: Function, request: str) -> directory.Entity | None:
        """Return the role of a function where IAM knows it. Raises RoleRefused."""
        with self._records.read() as tx:
            role = directory.by_arn(tx, "role", function.role)
        if role is None:
            reason = "IAM does not know the role, and the rules are not strict"
            verdict = Verdict("allowed", reason)
            if self._guard.strict:
                verdict = Verdict("implicitDeny", f"there is no role {function.role}")
        else:
            context = {"aws:SourceAccount": function.account, "aws:SourceArn": function.arn}
            verdict = guard.judge_trust(role, Principal("", "", SERVICE), context)
        self._guard.note(request, SERVICE, "sts:AssumeRole", function.role, verdict)
        if not verdict.is_allowed:
            raise RoleRefused(
                f"The role defined for the function cannot be assumed by Lambda. {function.role}: {verdict.reason}."
            )
        return role

    def _find(self, function: Function) -> Credentials:
        held = self._held.get((function.arn, function.role))
        role = self.check(function, function.arn)
        if role is None:
            pairs = keys.read(self._home / "credentials")
            pair = next((pair for pair in pairs if pair.account == function.account), pairs[0])
            return Credentials(pair.access_key, pair.secret)
        now = self._clock.now()
        if held is not None and held[1].token:
            with self._records.read() as tx:
                known = directory.find_key(tx, held[1].access_key)
            if known is not None and held[1].expires_at - now > _RENEW_BEFORE_S:
                return held[1]
        with self._records.write() as tx:
            session = open_session(tx, role, function.name, now=now, duration_s=_DURATION_S)
        return Credentials(session["access_key"], session["secret"], session["token"], session["expires_at"])

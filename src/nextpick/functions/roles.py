"""The keys that functions work with: sessions of their roles, or the administrator's key where IAM knows no such role.

Source: AWS Lambda Developer Guide, "Defining Lambda function permissions with an execution role".
"""

import math
from pathlib import Path
from typing import NamedTuple

from nextpick.access import directory
from nextpick.access.assuming import Assuming, For, Held, RoleRefused
from nextpick.access.guard import Guard
from nextpick.clock import Clock
from nextpick.functions.registry import Function
from nextpick.store import keys
from nextpick.store.records import Records

SERVICE = "lambda.amazonaws.com"


class Credentials(NamedTuple):
    """A key as a function gets it; the administrator's has no token and does not expire."""

    access_key: str
    secret: str
    token: str = ""
    expires_at: float = math.inf


class Roles:
    """Finds and renews the keys of functions; may be asked by many threads."""

    def __init__(self, home: Path, records: Records, judge: Guard, clock: Clock) -> None:
        self._home = home
        self._assuming = Assuming(SERVICE, records, judge, clock)
        self._administrators: dict[str, Credentials] = {}

    def current(self, function: Function) -> Credentials | None:
        """Return a key that was found before and is still good, None where one must be looked for."""
        held = self._assuming.current(function.role, _whom(function))
        return self._key(function, held) if held is not None else None

    def find(self, function: Function) -> Credentials:
        """Return a key for an invocation that begins now. Raises RoleRefused."""
        try:
            held = self._assuming.find(function.role, _whom(function))
        except RoleRefused as refused:
            raise _refused(refused) from None
        if held.session is None:
            pairs = keys.read(self._home / "credentials")
            pair = next((pair for pair in pairs if pair.account == function.account), pairs[0])
            self._administrators[function.account] = Credentials(pair.access_key, pair.secret)
        return self._key(function, held)

    def check(self, function: Function, request: str) -> directory.Entity | None:
        """Return the role of a function where IAM knows it. Raises RoleRefused."""
        try:
            return self._assuming.check(function.role, _whom(function), request)
        except RoleRefused as refused:
            raise _refused(refused) from None

    def _key(self, function: Function, held: Held) -> Credentials:
        session = held.session
        if session is None:
            return self._administrators[function.account]
        return Credentials(session.access_key, session.secret, session.token, session.expires_at)


def _whom(function: Function) -> For:
    return For(function.name, function.account, function.arn)


def _refused(refused: RoleRefused) -> RoleRefused:
    return RoleRefused(f"The role defined for the function cannot be assumed by Lambda. {refused}")

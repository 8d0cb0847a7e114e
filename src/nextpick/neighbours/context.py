"""What a handler of STS or IAM is given beside its request."""

from typing import Any, NamedTuple

from nextpick.access import guard
from nextpick.access.guard import Guard
from nextpick.clock import Clock
from nextpick.store.records import Records
from nextpick.wire.dispatch import Call

Request = dict[str, Any]
Answer = dict[str, Any] | None


class Services(NamedTuple):
    """What handlers share."""

    records: Records
    guard: Guard
    clock: Clock


class Context(NamedTuple):
    """One call: who makes it, and what serves it."""

    services: Services
    call: Call

    @property
    def records(self) -> Records:
        """Where users, roles and policies are."""
        return self.services.records

    @property
    def account(self) -> str:
        """The caller's account."""
        return self.call.account

    @property
    def caller(self) -> guard.Caller:
        """Who calls, as the guard sees it."""
        return guard.Caller.of(self.call)

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self.services.clock.now()

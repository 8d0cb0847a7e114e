"""What the gateway calls behind itself: the engine's public operations, streams, functions. Given to it, so that it
knows nothing of how they are made."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.clock import Clock


class Identity(NamedTuple):
    """As whom a service is called: a role session, or, without a principal, the administrator."""

    principal: str = ""
    access_key: str = ""


class Door(NamedTuple):
    """The calls, and the home and the clock they go by.

    ``recommend(operation, request)`` takes a struct of ``wire.structs`` and returns the answer's bytes, at once where
    the campaign is in memory; ``put_events(account, region, request)`` returns when the events are on disk; both raise
    ServiceError. ``service(account, region, identity, service, operation, body)`` answers one call with status and
    body, errors included. ``assume(account, role, source)`` takes a role for the ARN of a method, and raises
    RoleRefused; ``require(account, region, identity, action, resource)`` raises AccessDenied. ``newest_campaign()`` is
    the newest campaign that recommends items to users; ``read_object(location)`` blocks.
    """

    home: Path
    clock: Clock
    recommend: Callable[[str, Any], bytes | Awaitable[bytes]]
    put_events: Callable[[str, str, Any], Awaitable[None]]
    service: Callable[[str, str, Identity, str, str, bytes], Awaitable[tuple[int, bytes]]]
    assume: Callable[[str, str, str], Awaitable[Identity]]
    require: Callable[[str, str, Identity, str, str], Awaitable[None]]
    newest_campaign: Callable[[], str | None]
    read_object: Callable[[str], bytes]

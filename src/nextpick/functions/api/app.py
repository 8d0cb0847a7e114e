"""Lambda's application, for requests that are signed for it."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nextpick.access.guard import Guard
from nextpick.clock import Clock
from nextpick.errors import AccessDenied
from nextpick.functions import code
from nextpick.functions.api import (  # noqa: F401  each enters its handlers
    deploy,
    describe,
    invoke,
    limits,
    permissions,
    versions,
)
from nextpick.functions.api.common import HANDLERS, Context, Services
from nextpick.functions.registry import Registry
from nextpick.functions.roles import Roles
from nextpick.names import Key
from nextpick.settings import Settings
from nextpick.store.records import Records
from nextpick.wire.asgi import ASGIApp
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.reading import Bodies
from nextpick.wire.restjson import restjson_app

_THREADS = 8
_LARGEST_BODY = code.LARGEST_ARCHIVE * 4 // 3 + 1024**2  # an archive in base64, and the rest of its request


class Functions:
    """Lambda's door of one process."""

    def __init__(
        self,
        records: Records,
        guard: Guard,
        find_key: Callable[[str], Key | None],
        settings: Settings,
        clock: Clock,
        auth: bool,
    ) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-lambda")
        services = Services(
            Registry(settings.home), guard, Roles(settings.home, records, guard, clock), settings, clock
        )
        routes = {("lambda", operation): Route(_handler(services, operation)) for operation in HANDLERS}
        callers = Callers(find_key, settings, clock, auth, frozenset({"lambda"}))
        bodies = Bodies(dataclasses.replace(settings, max_body_bytes=_LARGEST_BODY))
        self.app: ASGIApp = restjson_app("lambda", routes, callers, bodies, self._pool)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _handler(services: Services, operation: str) -> Callable[[Call, Any], Any]:
    def handle(call: Call, request: Any) -> Any:
        if services.settings.functions == "never":
            raise AccessDenied(
                "Functions are off on this server: NEXTPICK_FUNCTIONS is 'never', or it is 'loopback' and the server "
                "listens on an address that others can reach."
            )
        return HANDLERS[operation](Context(services, call), request)

    return handle

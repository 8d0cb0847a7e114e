"""The neighbours' applications, by the name that requests to them are signed for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nextpick.access.guard import Caller, Guard
from nextpick.clock import Clock
from nextpick.names import Key
from nextpick.neighbours import sts
from nextpick.neighbours.context import Answer, Context, Services
from nextpick.neighbours.handlers import Handlers
from nextpick.neighbours.iam import attachments, entities, policies, simulate  # noqa: F401  each enters its handlers
from nextpick.neighbours.iam import common as iam
from nextpick.neighbours.s3 import context as s3
from nextpick.neighbours.s3.app import s3_app
from nextpick.settings import Settings
from nextpick.store.buckets import Buckets
from nextpick.store.records import Records
from nextpick.wire.asgi import ASGIApp
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.query import query_app
from nextpick.wire.reading import Bodies

_THREADS = 16

FindKey = Callable[[str], Key | None]


class Neighbours:
    """S3, STS and IAM of one process. S3 is left out where objects are in another S3 service."""

    def __init__(
        self,
        records: Records,
        buckets: Buckets,
        guard: Guard,
        find_key: FindKey,
        settings: Settings,
        clock: Clock,
        auth: bool,
        events: s3.Events,
    ) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-neighbours")
        services, bodies = Services(records, guard, clock), Bodies(settings)

        def query(name: str, handlers: Handlers[Context, Answer], guarded: bool) -> ASGIApp:
            routes = {
                (name, operation): Route(_handler(services, name, handlers, operation, guarded))
                for operation in handlers
            }
            callers = Callers(find_key, settings, clock, auth, frozenset({name}))
            return query_app(name, routes, callers, bodies, self._pool)

        # STS asks for itself: anyone may know who they are, and a role's trust policy is part of the question.
        self.apps: dict[str, ASGIApp] = {
            "sts": query("sts", sts.HANDLERS, guarded=False),
            "iam": query("iam", iam.HANDLERS, guarded=True),
        }
        if not settings.s3_endpoint:
            held = s3.Services(buckets, guard, settings, clock, events)
            self.apps["s3"] = s3_app(held, find_key, bodies, self._pool, auth)

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _handler(
    services: Services, name: str, handlers: Handlers[Context, Answer], operation: str, guarded: bool
) -> Callable[[Call, Any], Any]:
    def handle(call: Call, request: Any) -> Any:
        ctx = Context(services, call)
        if guarded:
            context = {"iam:PolicyARN": request["PolicyArn"]} if "PolicyArn" in request else {}
            services.guard.require(
                Caller.of(call), f"{name}:{operation}", iam.resource_of(ctx, request), context=context
            )
        return handlers[operation](ctx, request)

    return handle

"""Assembly: settings, stores, serving, routes, HTTP applications. The only place that constructs them."""

import asyncio
import functools
import secrets
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nextpick.access.assuming import Assuming, For
from nextpick.access.audit import Audit
from nextpick.access.guard import Caller, Guard
from nextpick.access.keys import Keys
from nextpick.api import table
from nextpick.api.context import Services
from nextpick.clock import Clock
from nextpick.functions.api.app import Functions
from nextpick.gateway.app import Alone, Gateway
from nextpick.gateway.door import Door, Identity
from nextpick.jobs.work import datasets_dir, versions_dir
from nextpick.names import parse_arn, request_id
from nextpick.neighbours.assemble import Neighbours
from nextpick.notify.eventbus import EventBus
from nextpick.notify.topics import Topics
from nextpick.recipes.catalogue import RECIPES
from nextpick.resources.index import Index
from nextpick.serving.filtering import Filtering
from nextpick.serving.impressions import Answers
from nextpick.serving.live import Tails
from nextpick.serving.newcomers import Newcomers
from nextpick.serving.service import Serving
from nextpick.serving.versions import Versions
from nextpick.serving.views import Views
from nextpick.settings import Settings
from nextpick.store import blobs
from nextpick.store.buckets import Buckets
from nextpick.store.keys import KeyFile
from nextpick.store.log import LogReader, LogWriter
from nextpick.store.rates import Rates
from nextpick.store.records import Records
from nextpick.store.usage import UsageCounter
from nextpick.stream.kinesis import Kinesis
from nextpick.stream.registry import Streams
from nextpick.stream.writer import StreamWriter
from nextpick.wire.asgi import ASGIApp
from nextpick.wire.caller import Callers
from nextpick.wire.direct import answer
from nextpick.wire.dispatch import Call
from nextpick.wire.reading import Bodies
from nextpick.wire.server import asgi_app
from nextpick.workflow.door import StepFunctions
from nextpick.workflow.outbox import Outbox

_THREADS = 4
_GATEWAY_SESSION = "BackplaneAssumeRoleSession"  # as API Gateway calls it

_RECOMMENDING = {
    info.name
    for info in RECIPES
    if info.type == "USER_PERSONALIZATION" and info.is_live and info.domain is None
}


class Engine:
    """Everything one process answers with. ``worker`` names the process's own event log file."""

    def __init__(self, settings: Settings, clock: Clock, *, worker: str, auth: bool = True) -> None:
        home = settings.home
        self.records = Records(home / "nextpick.db")
        self._audit = Audit(home / "audit", worker)
        self._guard = guard = Guard(self.records, self._audit, clock, strict=settings.strict_access)
        keys = Keys(KeyFile(home / "credentials"), self.records)
        self._writer = LogWriter(home / "log", worker)
        self._reader = LogReader(home / "log")
        index = Index(self.records)
        tails = Tails(self._reader, Answers())
        in_use = lambda: {c.version for c in index.campaigns()}  # noqa: E731
        versions = Versions(versions_dir(home), tails, in_use)
        views = Views(datasets_dir(home), tails, index.views)
        filtering = Filtering(views, tails, in_use)
        serving = Serving(
            index.campaign,
            index.filter,
            index.tracked,
            index.group,
            filtering,
            Newcomers(views, filtering, tails, in_use),
            versions,
            tails,
            self._writer,
            clock,
            settings.describe_wait_s,
        )
        with self.records.write() as tx:
            page_secret = tx.secret("pages", secrets.token_bytes(32))
        self._usage = UsageCounter(home / "usage", worker, clock)
        self._rates = Rates(home / "rates") if settings.rate_quotas else None
        services = Services(self.records, settings, clock, page_secret, clock.now(), self._usage, self._rates)
        self._index = index
        self._routes = routes = table.routes(services, serving, guard)
        self._neighbours = self._states = self._outbox = None
        if settings.neighbours:
            buckets = Buckets(home / "buckets", owner=worker)
            self._outbox = Outbox(home, buckets, clock)
            self._neighbours = Neighbours(
                self.records, buckets, guard, keys.find, settings, clock, auth, self._outbox
            )
            self._states = StepFunctions(home, self.records, guard, settings, clock)
        self._streams = Streams(home)
        self._stream_writer = StreamWriter(self._streams, clock)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-streams")
        self._kinesis = Kinesis(self._streams, self._stream_writer, guard, clock, self._pool)
        neighbours = dict(self._neighbours.apps) if self._neighbours else {}
        self._functions = Functions(self.records, guard, keys.find, settings, clock, auth)
        neighbours["lambda"] = self._functions.app
        self._topics = Topics(home, self.records, guard, clock)
        self._bus = EventBus(self.records, guard, clock)
        if settings.neighbours:
            callers = Callers(keys.find, settings, clock, auth, frozenset({"sns"}))
            neighbours["sns"] = self._topics.asgi(callers, Bodies(settings))
            callers = Callers(keys.find, settings, clock, auth, frozenset({"events"}))
            neighbours["events"] = self._bus.asgi(callers, Bodies(settings))
            callers = Callers(keys.find, settings, clock, auth, frozenset({"kinesis"}))
            neighbours["kinesis"] = self._kinesis.service.asgi(callers, Bodies(settings))
        if self._states is not None:
            callers = Callers(keys.find, settings, clock, auth, frozenset({"states"}))
            neighbours["states"] = self._states.service.asgi(callers, Bodies(settings))
        self._assuming = Assuming("apigateway.amazonaws.com", self.records, guard, clock)
        door = Door(
            home,
            clock,
            self._recommend,
            self._put_events,
            self._serve,
            self._assume,
            self._require,
            self._newest_campaign,
            lambda location: _read(location, settings),
        )
        self._gateway = Gateway(
            door, Bodies(settings), settings.account, settings.region, settings.trace_segments
        )
        self.gateway_alone: ASGIApp = Alone(self._gateway)
        mounts: dict[str, ASGIApp] = {
            "/healthz": _plain(b"ok\n"),
            "/readyz": _plain(b"ready\n"),
            "/gateway": self._gateway,
        }
        self.asgi: ASGIApp = asgi_app(routes, keys.find, settings, clock, mounts, auth, neighbours)

    def _recommend(self, operation: str, request: Any) -> bytes | Awaitable[bytes]:
        """Ask the runtime as the owner of the campaign that is named, for doors that are unsigned by design."""
        arn = parse_arn(request.campaignArn or getattr(request, "recommenderArn", None) or "")
        account, region = (arn.account, arn.region) if arn else ("", "")
        call = Call(account, region, "", "", operation)
        return self._routes["personalize-runtime", operation].handler(call, request)

    async def _put_events(self, account: str, region: str, request: Any) -> None:
        call = Call(account, region, "", request_id(), "PutEvents")
        await self._routes["personalize-events", "PutEvents"].handler(call, request)

    async def _serve(
        self, account: str, region: str, who: Identity, service: str, operation: str, body: bytes
    ) -> tuple[int, bytes]:
        """Call an operation for a client of the gateway."""
        call = Call(account, region, who.access_key, request_id(), operation, who.principal)
        if service == "kinesis":
            return await self._kinesis.service.answer(call, body)
        return await answer(self._routes, call, service, body, self._pool)

    async def _assume(self, account: str, role: str, source: str) -> Identity:
        """Take a role for a method of the gateway. Raises RoleRefused."""
        whom = For(_GATEWAY_SESSION, account, source)
        held = self._assuming.current(role, whom)
        if held is None:
            loop = asyncio.get_running_loop()
            held = await loop.run_in_executor(self._pool, self._assuming.find, role, whom)
        return Identity(held.session.arn, held.session.access_key) if held.session else Identity()

    async def _require(self, account: str, region: str, who: Identity, action: str, resource: str) -> None:
        caller = Caller(account, region, who.principal, who.access_key, request_id())
        ask = functools.partial(self._guard.require, caller, action, resource)
        await asyncio.get_running_loop().run_in_executor(self._pool, ask)

    def _newest_campaign(self) -> str | None:
        served = (c for c in self._index.campaigns() if c.recipe in _RECOMMENDING)
        newest = max(served, key=lambda campaign: campaign.created_at, default=None)
        return newest.arn if newest else None

    def close(self) -> None:
        """Write what is queued for the log and close the stores."""
        self._gateway.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._stream_writer.close()
        self._streams.close()
        self._functions.close()
        self._topics.close()
        self._bus.close()
        for part in (self._neighbours, self._states, self._outbox):
            if part is not None:
                part.close()
        self._usage.close()
        if self._rates is not None:
            self._rates.close()
        self._writer.close()
        self._reader.close()
        self._audit.close()
        self.records.close()


def _read(location: str, settings: Settings) -> bytes:
    """Return the content of an object; raises BlobError, LookupError."""
    (found,) = blobs.list_objects(location, settings)[:1]
    with found.open() as file:
        return file.read()


def _plain(text: bytes) -> ASGIApp:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return answer

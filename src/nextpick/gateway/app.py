"""The gateway: REST APIs at ``/gateway/API/STAGE/…``, as their documents declare them."""

import asyncio
import inspect
import json
import logging
import time
from collections.abc import Awaitable
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from nextpick.errors import RequestEntityTooLarge, ServiceError
from nextpick.gateway import store
from nextpick.gateway.accesslog import AccessLog
from nextpick.gateway.document import DocumentError
from nextpick.gateway.door import Door
from nextpick.gateway.keys import Keys
from nextpick.gateway.messages import Header, Refusal, Reply, Request, decoded_path
from nextpick.gateway.stage import Route, Stage
from nextpick.gateway.store import GatewayStore, StageRow
from nextpick.gateway.tracing import Tracer
from nextpick.tracing import header
from nextpick.wire.asgi import Receive, Scope, Send
from nextpick.wire.reading import Bodies, Gone
from nextpick.wire.sigv4 import header_map

PREFIX = "/gateway/"
_BARE = {204, 304}  # whose answers have no body, and no length of it

log = logging.getLogger(__name__)


class Gateway:
    """The APIs of a home, in one worker. Nothing is opened before the first request."""

    def __init__(self, door: Door, bodies: Bodies, account: str, region: str, trace_segments: int) -> None:
        self._door, self._bodies = door, bodies
        self._account, self._region = account, region
        self._stages: dict[tuple[str, str], Stage | None] = {}
        self._version = b""
        self._store: GatewayStore | None = None
        self._keys: Keys | None = None
        self._log = AccessLog(door.home / "gateway" / "logs")
        self._tracer = Tracer(door.home, trace_segments)
        self._refreshing: set[asyncio.Task] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = time.perf_counter()
        values = header_map(scope["headers"])
        try:
            body = await self._bodies.read(receive, values)
        except Gone:
            return
        except RequestEntityTooLarge:
            refusal = Refusal("REQUEST_TOO_LARGE")
            await _send(send, Reply(refusal.status, refusal.body(), (("content-type", "application/json"),)))
            return
        except ServiceError as error:
            told = json.dumps({"message": error.message}).encode()
            await _send(send, Reply(error.status, told, (("content-type", "application/json"),)))
            return
        client = scope.get("client") or ("",)
        found = self._request(
            scope["method"], scope["raw_path"], scope["query_string"], scope["headers"], body, client[0]
        )
        if found is None:
            refusal = Refusal("ACCESS_DENIED")
            headers = (("content-type", "application/json"), ("x-amzn-ErrorType", refusal.error_type))
            await _send(send, Reply(refusal.status, refusal.body(), headers))
            return
        request = found
        stage = request.stage
        if stage.tracing is not None:
            self._tracer.begin(request, stage.tracing)
        header.current.set(request.trace)
        try:
            reply = self._answer(request)
            if inspect.isawaitable(reply):
                reply = await reply
        except Refusal as refusal:
            reply = stage.refuse(request, refusal)
        except Exception:
            log.exception("request %s to %s/%s failed", request.id, stage.api, stage.name)
            reply = stage.refuse(request, Refusal("API_CONFIGURATION_ERROR"))
        reply = _finished(request, reply)
        await _send(send, reply, is_head=request.verb == "HEAD")
        self._tracer.end(request, reply.status)
        if stage.line is not None:
            self._log.write(stage.api, stage.name, stage.line(request, reply, time.perf_counter() - started))

    def answer_now(self, url: bytes, headers: list[tuple[bytes, bytes]], client: str) -> bytes | None:
        """Return headers and body of a 200 to a GET without a body, when that needs no waiting; None for all else:
        then nothing has happened, and the application is to be called."""
        started = time.perf_counter()
        path, _, query = url.partition(b"?")
        try:
            request = self._request("GET", path, query, headers, b"", client)
            route = request.stage.find(request) if request is not None else None
            if request is None or route is None or not route.is_quick or request.stage.tracing is not None:
                return None
            request.is_quick = True
            reply = self._follow(request, route)
            if inspect.iscoroutine(reply):
                reply.close()
            if not isinstance(reply, Reply) or reply.status != 200:
                return None
            self._admit(request, route)  # last, so that nobody is counted who is then asked again
        except Exception:
            return None
        stage = request.stage
        reply = _finished(request, reply)
        if stage.line is not None:
            self._log.write(stage.api, stage.name, stage.line(request, reply, time.perf_counter() - started))
        lines = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
        return b"%bcontent-length: %d\r\n\r\n%b" % (
            lines.encode("latin-1", "replace"),
            len(reply.body),
            reply.body,
        )

    def _request(
        self,
        verb: str,
        raw_path: bytes,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        client: str,
    ) -> Request | None:
        """Return a request to a stage there is."""
        path = raw_path.decode("latin-1")
        if not path.startswith(PREFIX):
            return None
        parts = path[len(PREFIX) :].split("/", 2)
        if len(parts) < 2:
            return None
        stage = self._stage(parts[0], parts[1])
        if stage is None:
            return None
        rest = f"/{parts[2]}" if len(parts) > 2 else "/"
        if "%" in rest:
            rest = decoded_path(rest.encode("latin-1"))
        return Request(stage, verb, rest, query, headers, body, client, self._door.clock.now())

    def _stage(self, api: str, name: str) -> Stage | None:
        if self._store is None and store.exists(self._door.home):
            self._store = GatewayStore(self._door.home)
        version = self._store.version() if self._store is not None else b""
        if version != self._version:
            self._stages, self._version = {}, version
        key = (api, name)
        if key not in self._stages:
            if len(self._stages) > 10_000:  # names that were only tried
                self._stages = {}
            self._stages[key] = self._load(api, name)
        return self._stages[key]

    def _load(self, api: str, name: str) -> Stage | None:
        if (api, name) == ("demo", "dev"):
            row = StageRow(
                "demo", "demo", "dev", self._account, self._region, "demo", {}, {"accessLog": ""}, 0.0
            )
            text = resources.files("nextpick.gateway").joinpath("demo.json").read_text()
            return Stage(row, json.loads(text), self._door)
        rows = self._store.stages(api, name) if self._store is not None else []
        if not rows or self._store is None:
            return None
        try:
            return Stage(rows[0], self._store.document(rows[0].deployment), self._door)
        except DocumentError as error:
            log.error("stage %s of API %s cannot be served: %s", name, api, error)
            return None

    def _answer(self, request: Request) -> Reply | Awaitable[Reply]:
        route = request.stage.find(request)
        if route is None:
            preflight = request.stage.preflight(request)
            if preflight is None:
                raise Refusal("MISSING_AUTHENTICATION_TOKEN")
            return preflight
        pending = self._admit(request, route)
        return self._follow(request, route) if pending is None else self._wait(pending, request, route)

    async def _wait(self, pending: Awaitable[None], request: Request, route: Route) -> Reply:
        await pending
        reply = self._follow(request, route)
        return await reply if inspect.isawaitable(reply) else reply

    def _admit(self, request: Request, route: Route) -> Awaitable[None] | None:
        """Let a request through: its key, the stage's rate, the key's plan. Raises what ``Keys`` does."""
        stage = request.stage
        if stage.throttle is None and not route.method.needs_key:
            return None
        judge = self._judge()
        holder = judge.identify(request) if route.method.needs_key else None
        if stage.throttle is not None:
            judge.throttle(f"{stage.api} {stage.name}", *stage.throttle)
        return judge.charge(holder) if holder is not None else None

    def _follow(self, request: Request, route: Route) -> Reply | Awaitable[Reply]:
        """Answer by a route: validate, look into the cache, integrate. Raises Refusal."""
        stage = request.stage
        for check in route.checks:
            check(request)
        if stage.cache is None or route.cache_key is None or request.verb != "GET":
            return self._tracer.call(request, route.called, route.integration)
        key, now = (route.method.resource, route.cache_key(request)), request.now
        kept, is_due = stage.cache.get(key, now)
        if is_due:
            self._refresh(request, route, key)
        if kept is not None:
            request.noted["cache"] = "hit"
            return kept
        request.noted["cache"] = "miss"
        reply = self._tracer.call(request, route.called, route.integration)
        if inspect.isawaitable(reply):
            return _keep(stage, key, reply, now)
        stage.cache.put(key, reply, now)
        return reply

    def _refresh(self, request: Request, route: Route, key: object) -> None:
        """Make a kept answer anew, beside the request that found it old."""

        async def refresh() -> None:
            stage = request.stage
            again = Request(
                stage,
                request.verb,
                request.path,
                request.raw_query,
                request.raw_headers,
                b"",
                request.source_ip,
                self._door.clock.now(),
            )
            stage.find(again)
            try:
                reply = route.integration(again)
                if inspect.isawaitable(reply):
                    reply = await reply
                if stage.cache is not None:
                    stage.cache.put(key, reply, self._door.clock.now())
            except Exception as error:
                log.info("an answer could not be made anew: %s", error)

        task = asyncio.ensure_future(refresh())
        self._refreshing.add(task)
        task.add_done_callback(self._refreshing.discard)

    def _judge(self) -> Keys:
        if self._keys is None:
            self._store = self._store or GatewayStore(self._door.home)
            self._keys = Keys(self._door.home, self._store, self._door.clock)
        return self._keys

    def close(self) -> None:
        """Write what is queued, give back what was reserved."""
        self._log.close()
        self._tracer.close()
        if self._keys is not None:
            self._keys.close()
        if self._store is not None:
            self._store.close()


class Alone:
    """The gateway on a port of its own, where the prefix may be left out: ``/API/STAGE/…``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.quick_mounts = {b"/": self.answer_now}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            await self._gateway({**scope, "raw_path": _prefixed(scope["raw_path"])}, receive, send)

    def answer_now(self, url: bytes, headers: list[tuple[bytes, bytes]], client: str) -> bytes | None:
        """As ``Gateway.answer_now``."""
        return self._gateway.answer_now(_prefixed(url), headers, client)


def _prefixed(url: bytes) -> bytes:
    prefix = PREFIX.encode()
    return url if url.startswith(prefix) else prefix + url.removeprefix(b"/")


async def _keep(stage: Stage, key: object, pending: Awaitable[Reply], now: float) -> Reply:
    reply = await pending
    if stage.cache is not None:
        stage.cache.put(key, reply, now)
    return reply


def _finished(request: Request, reply: Reply) -> Reply:
    """Return a reply with the headers that every one has."""
    cors = request.stage.cors
    always: tuple[Header, ...] = ()
    if cors is not None and request.verb != "OPTIONS":
        given = {name.lower() for name, _ in reply.headers}  # a browser refuses a header that comes twice
        always = tuple(header for header in cors.always if header[0].lower() not in given)
    headers = (
        *reply.headers,
        *always,
        ("x-amzn-RequestId", request.id),
        ("x-amz-apigw-id", request.id.replace("-", "")[:16]),
        ("X-Amzn-Trace-Id", _told(request)),
    )
    return reply._replace(headers=headers)


def _told(request: Request) -> str:
    """Return the trace as the client is told: its root, and whether it is recorded."""
    return f"Root={request.trace.root}{';Sampled=1' if request.segment is not None else ''}"


async def _send(send: Send, reply: Reply, is_head: bool = False) -> None:
    headers = [(name.lower().encode("latin-1"), _clean(value)) for name, value in reply.headers]
    body = reply.body
    if reply.status in _BARE:
        body = b""
        headers = [header for header in headers if header[0] != b"content-type"]
    else:
        headers.append((b"content-length", b"%d" % len(body)))
    status = reply.status if reply.status in _STATUSES else 502
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})


_STATUSES = {*range(200, 600)}


def _clean(value: str) -> bytes:
    """Return a header's value without what would end it."""
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")


def invoke_url(url: str, api: str, stage: str) -> str:
    """Return where a stage is called."""
    return f"{url}{PREFIX}{quote(api)}/{quote(stage)}"


def logs_of(home: Path, api: str, stage: str) -> Path:
    """Return the directory of a stage's access log."""
    return home / "gateway" / "logs" / api / stage

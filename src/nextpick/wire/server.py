"""The ASGI application that speaks the AWS wire: reads, verifies, dispatches, answers."""

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nextpick.clock import Clock
from nextpick.errors import (
    InternalFailure,
    ServiceError,
    UnknownOperation,
    UnsupportedMediaType,
)
from nextpick.names import Key
from nextpick.names import request_id as new_request_id
from nextpick.settings import Settings
from nextpick.tracing.store import Recorder
from nextpick.wire.asgi import ASGIApp, Receive, Scope, Send
from nextpick.wire.body import encode
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import SERVICES, Call, Routes, Unsettled
from nextpick.wire.protocol import (
    SIGNING_NAMES,
    Endpoint,
    ForeignService,
    claimed_service,
    endpoints,
    find_target,
    is_json,
    not_implemented,
    status_of,
    write_error,
)
from nextpick.wire.reading import Bodies, Gone
from nextpick.wire.shapes import service
from nextpick.wire.sigv4 import Headers, header_map
from nextpick.wire.tracing import is_sampled, traced

STOPPING = "nextpick.stopping"  # in the lifespan state: an asyncio.Event, set when the server begins to stop

_THREADS = 16
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.03, 0.1

_log = logging.getLogger("nextpick.wire")


def asgi_app(
    routes: Routes,
    find_key: Callable[[str], Key | None],
    settings: Settings,
    clock: Clock,
    mounts: Mapping[str, ASGIApp] | None = None,
    auth: bool = True,
    neighbours: Mapping[str, ASGIApp] | None = None,
) -> ASGIApp:
    """Return the application that serves ``routes``, on one event loop.

    ``find_key(access_key)`` is asked at each request, on the event loop: it must be quick. ``mounts`` are
    other applications by path prefix, the longest wins; they see the path whole, and get no lifespan events. One that
    has ``answer_now(url, headers, peer)`` may answer GETs where they arrive (``wire/at_once``).
    ``neighbours`` serve, and verify, the requests that are signed for other services, by signing name.
    With ``auth=False`` nothing is verified, and only requests to a loopback Host and without a foreign Origin
    are served. Raises ValueError for a route whose operation no service model has.
    """
    return _App(routes, find_key, settings, clock, mounts or {}, auth, neighbours or {})


class _Refused(ServiceError):
    """An error with a code of its own status, for what is no operation at all."""

    code = UnknownOperation.code

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _App:
    def __init__(
        self,
        routes: Routes,
        find_key: Callable[[str], Key | None],
        settings: Settings,
        clock: Clock,
        mounts: Mapping[str, ASGIApp],
        auth: bool,
        neighbours: Mapping[str, ASGIApp],
    ) -> None:
        self.neighbours = neighbours
        self.endpoints = endpoints(routes)
        self.at_once = {
            path: endpoint
            for path, endpoint in self.endpoints.by_path.items()
            if (route := endpoint.route) and route.inline and not inspect.iscoroutinefunction(route.handler)
        }
        self.settings = settings
        self.callers = Callers(find_key, settings, clock, auth)
        self.bodies = Bodies(settings)
        self.recorder = Recorder(settings.home, settings.trace_segments)
        self.quick_mounts = {
            f"{prefix}/".encode(): mount.answer_now  # type: ignore[attr-defined]
            for prefix, mount in mounts.items()
            if hasattr(mount, "answer_now")
        }
        self.mounts = sorted(mounts.items(), key=lambda mount: -len(mount[0]))
        self.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-api")
        self.stopping = asyncio.Event()
        self.undeclared: set[tuple[str, str, str]] = set()
        self.declarable = frozenset(code for name in SERVICES for code in service(name).statuses)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            values = header_map(scope["headers"])
            claimed = claimed_service(values.get(b"authorization"), scope["query_string"])
            if claimed is None or not is_sampled(values):
                await self.serve(scope, receive, send, values, claimed)
            else:
                serve = functools.partial(self.serve, values=values, claimed=claimed)
                called = self.called(claimed, scope, values)
                await traced(serve, self.recorder, called, values, scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
        elif mount := self.find_mount(scope["path"]):
            await mount(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, values: Headers, claimed: str | None
    ) -> None:
        """Serve a request that is signed for ``claimed``."""
        path = scope["path"]
        if claimed is not None and claimed in self.neighbours:
            await self.neighbours[claimed](scope, receive, send)
        elif scope["method"] == "POST" and (path == "/" or path in self.endpoints.by_path):
            await self.post(scope, receive, send, values)
        else:
            await self.other(scope, receive, send, values, claimed)

    def called(self, claimed: str, scope: Scope, values: Headers) -> tuple[str, str]:
        """Return the service and the operation of a request, of those without a name the method and the path."""
        endpoint = self.endpoints.by_path.get(scope["path"])
        if endpoint is not None:
            return endpoint.service, endpoint.operation
        target = values.get(b"x-amz-target", b"").decode("latin-1").rpartition(".")[2]
        return claimed, target or f"{scope['method']} {scope['path']}"

    async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                if "state" in scope:
                    scope["state"][STOPPING] = self.stopping
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.stopping.set()
                self.recorder.close()
                self.pool.shutdown(wait=False, cancel_futures=True)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def find_mount(self, path: str, root: bool = True) -> ASGIApp | None:
        for prefix, app in self.mounts:
            stem = prefix.rstrip("/")
            if (root or stem) and (path == stem or path.startswith(stem + "/")):
                return app
        return None

    async def other(
        self, scope: Scope, receive: Receive, send: Send, values: Headers, claimed: str | None
    ) -> None:
        """Serve what calls no operation: a mount, another service's request, a wrong method or path."""
        path, method = scope["path"], scope["method"]
        # What is mounted at the root must not hide the answer to another service's requests.
        mount = self.find_mount(path, root=claimed is None)
        if mount is not None:
            await mount(scope, receive, send)
            return
        request_id = new_request_id()
        known = path == "/" or path in self.endpoints.by_path
        if claimed is not None and claimed not in SIGNING_NAMES:
            error: ServiceError = ForeignService(claimed)
        elif known and method == "OPTIONS":
            await _send(send, 204, [(b"allow", b"OPTIONS, POST")], b"", request_id)
            return
        elif known:
            error = _Refused(405, f"{path} is called by POST, not by {method}.")
        else:
            error = _Refused(404, f"There is nothing at {path[:200]}.")
        allow = [(b"allow", b"OPTIONS, POST")] if known else []
        await self.fail(send, error, request_id, None, values, allow)

    async def post(self, scope: Scope, receive: Receive, send: Send, values: Headers) -> None:
        """Serve a call of an operation."""
        request_id = new_request_id()
        endpoint = self.endpoints.by_path.get(scope["path"])
        try:
            body = await self.bodies.read(receive, values)
            method, path = scope["method"].encode(), scope["raw_path"]
            caller = self.callers.find(method, path, scope["query_string"], values, body)
            if endpoint is None:
                endpoint = find_target(self.endpoints, values.get(b"x-amz-target"))
            if not is_json(values.get(b"content-type")):
                raise UnsupportedMediaType(f"The content type must be {endpoint.content_type.decode()}.")
            call = caller.call(request_id, endpoint.operation, scope)
            answer = await self.answer(endpoint, call, body, receive)
        except ServiceError as error:
            await self.fail(send, error, request_id, endpoint, values)
        except Gone:
            return
        except Exception:
            operation = endpoint.operation if endpoint else scope["path"]
            _log.exception("request %s: %s failed", request_id, operation)
            await self.fail(send, InternalFailure(), request_id, endpoint, values)
        else:
            await _send(send, 200, [(b"content-type", endpoint.content_type)], answer, request_id)

    def answer_now(self, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes | None:
        """Return headers and body of a 200 to a POST that has arrived whole, when that needs no waiting.

        ``path`` is one of ``at_once``. None is for everything else, errors included: nothing has happened then,
        and the application is to be called.
        """
        endpoint = self.at_once[path.decode()]
        if len(body) > self.settings.max_body_bytes:
            return None
        assert endpoint.route is not None
        values = header_map(headers)
        request_id = new_request_id()
        try:
            caller = self.callers.find(b"POST", path, b"", values, body)
            # Whether a user may call this is found out by reading, which takes its time.
            if caller.principal or not is_json(values.get(b"content-type")) or is_sampled(values):
                return None
            call = Call(caller.account, caller.region, caller.access_key, request_id, endpoint.operation)
            result = endpoint.route.handler(call, endpoint.read(body))
        except Exception:
            return None
        if type(result) is bytes:
            told = (endpoint.content_type, request_id.encode(), len(result), result)
            return b"content-type: %b\r\nx-amzn-requestid: %b\r\ncontent-length: %d\r\n\r\n%b" % told
        if inspect.iscoroutine(result):
            result.close()  # it has not begun
        return None

    async def answer(self, endpoint: Endpoint, call: Call, body: bytes, receive: Receive) -> bytes:
        """Return the body of the answer."""
        route = endpoint.route
        if route is None:
            raise not_implemented(endpoint)
        try:
            if route.inline:
                request = endpoint.read(body)
                result = route.handler(call, request)
            else:
                loop = asyncio.get_running_loop()
                request, result = await loop.run_in_executor(self.pool, _serve, endpoint, call, body)
            if type(result) is bytes:
                return result
            if inspect.isawaitable(result):
                result = await result
            if isinstance(result, Unsettled):
                result = await self.settle(route.handler, call, request, result, receive)
        except ServiceError as error:
            self.note_undeclared(endpoint, error, call)
            raise
        if result is None:
            return b""
        return result if isinstance(result, bytes) else encode(endpoint.service, endpoint.operation, result)

    async def settle(
        self, handler: Callable[[Call, Any], Any], call: Call, request: Any, result: Any, receive: Receive
    ) -> Any:
        """Ask the handler again until its answer is settled, the wait is over, or nobody waits any more."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        pause = _FIRST_PAUSE_S
        gone = asyncio.ensure_future(receive())
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            while isinstance(result, Unsettled):
                left = started + result.wait_s - loop.time()
                if left <= 0 or stopping.done():
                    return result.answer
                if gone.done():
                    raise Gone
                await asyncio.wait(
                    (gone, stopping), timeout=min(pause, left), return_when=asyncio.FIRST_COMPLETED
                )
                pause = min(pause * 1.3, _LONGEST_PAUSE_S)
                result = await loop.run_in_executor(self.pool, handler, call, request)
                if inspect.isawaitable(result):
                    result = await result
            return result
        finally:
            gone.cancel()
            stopping.cancel()

    def note_undeclared(self, endpoint: Endpoint, error: ServiceError, call: Call) -> None:
        """Log once an error that the model has but does not declare for the operation: a handler's bug."""
        declared = service(endpoint.service).operations[endpoint.operation].errors
        seen = (endpoint.service, endpoint.operation, error.code)
        if error.code in self.declarable and error.code not in declared and seen not in self.undeclared:
            self.undeclared.add(seen)
            _log.warning(
                "request %s: %s does not declare %s", call.request_id, endpoint.operation, error.code
            )

    async def fail(
        self,
        send: Send,
        error: ServiceError,
        request_id: str,
        endpoint: Endpoint | None,
        values: Headers,
        headers: list[tuple[bytes, bytes]] | None = None,
    ) -> None:
        content_type, body = write_error(error, request_id, endpoint, values.get(b"content-type"))
        headers = [
            (b"content-type", content_type),
            (b"x-amzn-errortype", error.code.encode()),
            *(headers or ()),
        ]
        await _send(send, status_of(error, endpoint), headers, body, request_id)


def _serve(endpoint: Endpoint, call: Call, body: bytes) -> tuple[Any, Any]:
    """Return the request as the handler saw it, and what it returned."""
    assert endpoint.route is not None
    request = endpoint.read(body)
    return request, endpoint.route.handler(call, request)


async def _send(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes, request_id: str
) -> None:
    headers.append((b"x-amzn-requestid", request_id.encode()))
    if status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""Real boto3 clients of an application in this process: everything but the network."""

import asyncio
import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from nextpick.wire.asgi import ASGIApp
from nextpick.wire.client import http_client

ENDPOINT = "http://nextpick.local"


def client(
    app: ASGIApp,
    loop: asyncio.AbstractEventLoop,
    service: str,
    *,
    region: str,
    access_key: str,
    secret: str,
    token: str | None = None,
    **config: Any,
) -> Any:
    """Return a client of ``service`` ("personalize", "s3", …, or "nextpick") that calls ``app`` on ``loop``.

    The loop runs in another thread. ``config`` are fields of ``botocore.config.Config``. Nothing is read from
    AWS_* variables or configuration files. The client may be used by many threads.
    """
    made = http_client(
        service, ENDPOINT, region=region, access_key=access_key, secret=secret, token=token, **config
    )
    made.meta.events.register("before-send", _sender(app, loop))
    return made


def _sender(app: ASGIApp, loop: asyncio.AbstractEventLoop) -> Callable[..., AWSResponse]:
    def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        if asyncio._get_running_loop() is loop:
            raise RuntimeError("the client would block the event loop that it waits for")
        call = exchange(app, request.method, request.url, _headers(request), _body(request.body))
        status, headers, body = asyncio.run_coroutine_threadsafe(call, loop).result()
        return AWSResponse(request.url, status, HTTPHeaders.from_dict(headers), _Raw(body))

    return send


class _Raw(io.BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, amt: int = 65536, **_: Any) -> Iterator[bytes]:
        while piece := self.read(amt):
            yield piece


def _headers(request: AWSPreparedRequest) -> list[tuple[bytes, bytes]]:
    headers = [
        (name.lower().encode("latin-1"), value if isinstance(value, bytes) else str(value).encode("latin-1"))
        for name, value in request.headers.items()
    ]
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", urlsplit(request.url).netloc.encode()))
    return headers


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


async def exchange(
    app: ASGIApp, method: str, url: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers and the body that the application answers."""
    parts = urlsplit(url)
    path = parts.path or "/"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": parts.query.encode("ascii"),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port or 80),
        "state": {},
    }
    unread = [body]
    answered = asyncio.Event()
    start: dict[str, Any] = {}
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                answered.set()

    await app(scope, receive, send)
    answer_headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], answer_headers, b"".join(pieces)

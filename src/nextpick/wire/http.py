"""The HTTP server under the application: uvicorn with deadlines.

The protocol adds what uvicorn has not: a request's headers must arrive within a time and a size, and a client
that is still sending when it gets its answer (too large, too slow) has a moment to read it before the
connection closes.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import uvicorn

from nextpick.settings import Settings
from nextpick.wire.asgi import ASGIApp
from nextpick.wire.at_once import AtOnceProtocol
from nextpick.wire.server import STOPPING

KEEP_ALIVE_S = 75
GRACE_S = 30
LARGEST_HEADERS = 64 * 1024
LINGER_S = 2.0

# Some HTTP clients offer HTTP/2 with every request; llhttp would then take the body for the other protocol's.
_H2C = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n|\Z)", re.IGNORECASE)

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class HttpProtocol(AtOnceProtocol):
    """One connection. Its deadlines are looked at by one timer, not set for each request."""

    header_timeout_s: ClassVar[float]
    others: ClassVar[Mapping[int, Any]] = {}  # applications by the port of the socket that only they serve

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers_since: float | None = None  # loop time at which the headers being read began
        self._headers_size = 0
        self._receiving = False  # between the first byte of a message and its last
        self._lingering = False
        self._timer: asyncio.TimerHandle | None = None
        self._resting_since: float | None = None  # loop time of an answer after which nothing has come

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.others and self.server is not None:
            self.serve(self.others.get(self.server[1] or 0, self.app))
        self._headers_since = self.loop.time()
        self._timer = self.loop.call_later(self.header_timeout_s, self._check_deadline)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _check_deadline(self) -> None:
        if self._lingering or self.transport.is_closing():
            return
        now = self.loop.time()
        since = now if self._headers_since is None else self._headers_since
        left = since + self.header_timeout_s - now
        if self._resting_since is not None and now - self._resting_since >= KEEP_ALIVE_S:
            left = 0
        if left <= 0:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(left, self._check_deadline)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self._resting_since = None
        if self._headers_since is None and not self._receiving:
            self._headers_since = self.loop.time()
        if self._headers_since is not None and b"h2c" in data:
            head, blank, rest = data.partition(b"\r\n\r\n")
            data = _H2C.sub(b"", head) + blank + rest
        super().data_received(data)
        if self._headers_since is None:
            self._headers_size = 0
        else:
            self._headers_size += len(data)
            if self._headers_size > LARGEST_HEADERS and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self._linger()

    def on_message_begin(self) -> None:
        self._headers_since = self.loop.time()
        self._receiving = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._headers_since = None
        if self.parser is not None and self.parser.should_upgrade():
            raise ValueError("there is nothing to upgrade to")  # the parser makes it a 400
        super().on_headers_complete()

    def rest(self) -> None:
        self._resting_since = self.loop.time()

    def on_message_complete(self) -> None:
        self._receiving = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        # With a pipeline, what is being received is a later request.
        unread = self._receiving and self._headers_since is None and not self.pipeline
        if unread and not self.transport.is_closing():
            self.server_state.total_requests += 1
            self.flow.resume_reading()
            self._linger()
        else:
            super().on_response_complete()

    def _linger(self) -> None:
        """End our side, drop what still comes, and close: an abrupt close would discard the answer."""
        self._lingering = True
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def shutdown(self) -> None:
        if self._lingering:
            self.transport.abort()
        else:
            super().shutdown()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, asked_to_exit: Callable[[], bool] | None) -> None:
        super().__init__(config)
        self._asked_to_exit = asked_to_exit

    async def on_tick(self, counter: int) -> bool:
        if self._asked_to_exit is not None and self._asked_to_exit():
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping = self.lifespan.state.get(STOPPING)
        if stopping is not None:
            stopping.set()
        await super().shutdown(sockets)


def run_server(
    app: ASGIApp,
    sockets: list[socket.socket],
    settings: Settings,
    should_exit: Callable[[], bool] | None = None,
    others: Mapping[int, ASGIApp] | None = None,
) -> None:
    """Serve ``app`` on listening sockets until SIGTERM, SIGINT, or until ``should_exit()``.

    A socket whose port is in ``others`` is served by that application instead.

    ``should_exit`` is asked ten times a second. At the end no more connections are accepted, answers that
    wait for a job are sent, and requests being served have ``GRACE_S`` seconds to finish.
    """
    _Server(_config(app, settings, "on", others), should_exit).run(sockets)


async def serve_here(
    app: ASGIApp, sockets: list[socket.socket], settings: Settings, should_exit: Callable[[], bool]
) -> None:
    """Serve ``app`` on the running event loop until ``should_exit()``. Its lifespan is somebody else's."""
    await _Server(_config(app, settings, "off"), should_exit).serve(sockets)


def _config(
    app: ASGIApp,
    settings: Settings,
    lifespan: Literal["on", "off"],
    others: Mapping[int, ASGIApp] | None = None,
) -> uvicorn.Config:
    members = {"header_timeout_s": settings.header_timeout_s, "others": others or {}}
    protocol = type("_HttpProtocol", (HttpProtocol,), members)
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )

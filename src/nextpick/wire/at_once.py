"""What the application can answer from memory is answered where the request's last byte arrives.

A task, an event and the messages of ASGI cost more than such an answer. A POST whose path is one of the
application's ``at_once``, or a GET under one of its ``quick_mounts``, is held while it arrives; when it is whole with
the packet that began it, ``app.answer_now`` or the mount's is asked. Whatever that does not answer goes uvicorn's way
as if nothing had been held.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OK = b"HTTP/1.1 200 OK\r\n"
_CONTINUE = b"HTTP/1.1 100 "


class AtOnceProtocol(HttpToolsProtocol):
    """One connection of uvicorn's, with the short way."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.serve(self.app)
        self._held: bytes | None = None  # what has come of the body of a request that is held

    def serve(self, app: Any) -> None:
        """Let an application answer what comes on this connection."""
        self.app = app
        self._paths = {path.encode() for path in getattr(app, "at_once", ())}
        self._mounts: tuple[tuple[bytes, Any], ...] = tuple(getattr(app, "quick_mounts", {}).items())

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None:  # more of it is to come
            self._release()

    def on_message_begin(self) -> None:
        # as uvicorn does it, but for the scope, which is not needed where a request is answered at once
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        parser = self.parser
        method = b"POST" if self.url in self._paths else b"GET" if self._mount() is not None else None
        if (
            method is not None
            and parser is not None
            and parser.get_method() == method
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
        ):
            self._held = b""
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held = self._held + body if self._held else body

    def on_message_complete(self) -> None:
        if self._held is None:
            super().on_message_complete()
            return
        if self.url in self._paths:
            answer = self.app.answer_now(self.url, self.headers, self._held)  # type: ignore[attr-defined]
        else:
            mount, peer = self._mount(), self.client
            answer = (
                mount(self.url, self.headers, peer[0] if peer else "") if mount and not self._held else None
            )
        if answer is None:
            self._release()
            super().on_message_complete()
            return
        self._held = None
        ours = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        self.transport.write(b"".join((_OK, *ours, answer)))
        self.server_state.total_requests += 1
        self.rest()

    def _mount(self) -> Any:
        """Return what answers GETs of the held request's path at once, None where nothing does."""
        for prefix, answer_now in self._mounts:
            if self.url.startswith(prefix):
                return answer_now
        return None

    def rest(self) -> None:
        """Begin to wait for the connection's next request."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _release(self) -> None:
        """Let a request that was held go its way."""
        body, self._held = self._held, None
        if self.transport.is_closing():
            return
        self._begin()
        if body:
            super().on_body(body)

    def _begin(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.headers += headers  # the list that is in the scope now
        self.url, self.expect_100_continue = url, expects
        super().on_headers_complete()
        if self.scope["method"] == "POST":  # an answer to HEAD has no body to wait for
            self.cycle.transport = _OneWrite(self.transport)  # type: ignore[assignment]


class _OneWrite:
    """A transport for one answer: its head goes out together with the first piece of its body.

    uvicorn writes them one after the other, and a write is a third of what a bare server does for a request.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self._has_head = False

    def write(self, data: bytes) -> None:
        if self._has_head or data.startswith(_CONTINUE):
            self._transport.write(data)
        elif self._head is None:
            self._head = data
        else:
            self._transport.write(self._head + data)
            self._has_head = True

    def close(self) -> None:
        if self._head is not None and not self._has_head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

"""Reading a request's body within a size and a time."""

from nextpick.errors import RequestEntityTooLarge, RequestTimeout
from nextpick.settings import Settings
from nextpick.wire.asgi import Receive
from nextpick.wire.deadline import Deadline
from nextpick.wire.sigv4 import Headers


class Gone(Exception):
    """The client went away."""


class Bodies:
    """Reads the bodies of one event loop's requests."""

    def __init__(self, settings: Settings) -> None:
        self._limit, self._seconds = settings.max_body_bytes, settings.body_timeout_s
        self._deadline = Deadline(settings.body_timeout_s)

    async def read(self, receive: Receive, values: Headers) -> bytes:
        """Return the body. Raises RequestEntityTooLarge, RequestTimeout, or Gone."""
        too_large = RequestEntityTooLarge(f"The request body is larger than {self._limit} bytes.")
        length = values.get(b"content-length")
        if length is not None and length.isdigit() and (len(length) > 18 or int(length) > self._limit):
            raise too_large
        body, more = b"", True
        pieces = []
        size = 0
        while more:
            body, more = await self.piece(receive)
            size += len(body)
            if size > self._limit:
                raise too_large
            if more or pieces:
                pieces.append(body)
        return b"".join(pieces) if pieces else body

    async def piece(self, receive: Receive) -> tuple[bytes, bool]:
        """Return the next piece of a body of any size, and whether there is more. Raises RequestTimeout or Gone."""
        try:
            message = await self._deadline.wait(receive())
        except TimeoutError:
            raise RequestTimeout(
                f"No more of the request body arrived within {self._seconds:g} seconds."
            ) from None
        if message["type"] != "http.request":
            raise Gone
        return message.get("body", b""), message.get("more_body", False)

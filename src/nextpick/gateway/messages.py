"""Requests as integrations see them, replies, and the replies that the gateway itself makes.

Source: API Gateway developer guide, "Gateway response types"; recorded answers for the bodies.
"""

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from nextpick.names import request_id
from nextpick.tracing import header
from nextpick.tracing.header import Trace

if TYPE_CHECKING:
    from nextpick.gateway.stage import Stage
    from nextpick.gateway.tracing import Open

Header = tuple[str, str]


class Reply(NamedTuple):
    """What is sent back. ``headers`` have lower-case names but for those an API gave."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()

    def with_headers(self, *headers: Header) -> "Reply":
        """Return it with more headers."""
        return self._replace(headers=(*self.headers, *headers))


class Refusal(Exception):
    """The gateway answers by itself. ``kind`` is the gateway response type."""

    def __init__(self, kind: str, message: str | None = None) -> None:
        self.kind = kind
        self.status, self.error_type, standard, self.spaced = _KINDS[kind]
        self.message = message or standard
        super().__init__(self.message)

    def body(self) -> bytes:
        """Return the body as API Gateway has it, blank for blank."""
        return f'{{"message":{" " * self.spaced}{json.dumps(self.message)}}}'.encode()


_KINDS = {
    "MISSING_AUTHENTICATION_TOKEN": (
        403,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
        False,
    ),
    "ACCESS_DENIED": (403, "ForbiddenException", "Forbidden", False),
    "INVALID_API_KEY": (403, "ForbiddenException", "Forbidden", False),
    "BAD_REQUEST_PARAMETERS": (400, "BadRequestException", "Missing required request parameters", True),
    "BAD_REQUEST_BODY": (400, "BadRequestException", "Invalid request body", True),
    "REQUEST_TOO_LARGE": (413, "RequestTooLargeException", "Request Too Long", False),
    "UNSUPPORTED_MEDIA_TYPE": (415, "UnsupportedMediaTypeException", "Unsupported Media Type", False),
    "THROTTLED": (429, "TooManyRequestsException", "Too Many Requests", False),
    "QUOTA_EXCEEDED": (429, "LimitExceededException", "Limit Exceeded", False),
    "API_CONFIGURATION_ERROR": (500, "InternalServerErrorException", "Internal server error", True),
    "INTEGRATION_FAILURE": (502, "InternalServerErrorException", "Internal server error", True),
    "INTEGRATION_TIMEOUT": (504, "InternalServerErrorException", "Endpoint request timed out", True),
}
GATEWAY_RESPONSES = (*_KINDS, "DEFAULT_4XX", "DEFAULT_5XX")


class Waits(Exception):
    """A request that was to be answered at once cannot be."""


class Request:
    """One request to a stage. ``path`` is behind the stage and begins with a slash; ``path_parameters`` are decoded."""

    def __init__(
        self,
        stage: "Stage",
        verb: str,
        path: str,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        source_ip: str,
        now: float,
    ) -> None:
        self.stage, self.verb, self.path, self.raw_query, self.raw_headers = stage, verb, path, query, headers
        self.body, self.source_ip, self.now = body, source_ip, now
        self.id = request_id()
        self.is_quick = False  # to be answered at once or not at all
        self.resource = ""
        self.path_parameters: dict[str, str] = {}
        self.api_key: tuple[str, str] | None = (
            None  # id and value of the key that was given, once it is known
        )
        self.segment: Open | None = None  # of its trace, where it is traced
        self.noted: dict[str, str] = {}  # what integrations tell the access log: variation, cache

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The query string's parameters in order, decoded."""
        text = self.raw_query.decode("latin-1")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=1000) if text else []

    @cached_property
    def query(self) -> dict[str, str]:
        """The last value of each parameter of the query string."""
        return dict(self.pairs)

    @cached_property
    def header_pairs(self) -> list[tuple[str, str]]:
        """The headers in order, names as they came."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw_headers]

    @cached_property
    def headers(self) -> dict[str, str]:
        """The last value of each header, by lower-case name."""
        return {name.lower(): value for name, value in self.header_pairs}

    @property
    def content_type(self) -> str:
        """The media type of the body, application/json where the request does not say."""
        return self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()

    @cached_property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @cached_property
    def trace(self) -> Trace:
        """The trace that came, or a new one, which is not recorded."""
        given = header.parse(self.headers.get(header.NAME))
        root = given.root if given else f"1-{int(self.now):08x}-{self.id.replace('-', '')[:24]}"
        return Trace(root, given.parent if given else "")

    @cached_property
    def context(self) -> dict[str, Any]:
        """``$context``, as templates, mappings and the access log see it."""
        from nextpick.gateway.context import context_of

        return context_of(self)


def decoded_path(raw: bytes) -> str:
    """Return a path as text, %-escapes decoded."""
    return unquote(raw.decode("latin-1"))

"""Integrations with HTTP endpoints, called from threads."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import urllib3

from nextpick.gateway.document import uri_of
from nextpick.gateway.mapping import Answered, text, with_variables
from nextpick.gateway.messages import Refusal, Request

if TYPE_CHECKING:
    from nextpick.gateway.mapped import Outgoing

HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
    ]
)
_LARGEST_ANSWER = 10 << 20

Forward = Callable[[Request, str, "Outgoing"], Awaitable[tuple[Answered, str]]]


@functools.cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=32)


def forwarder(integration: dict[str, Any], variables: Mapping[str, str], timeout_s: float) -> Forward:
    """Return what sends a request on as it came (http_proxy); bodies are bytes, one char each. Raises ValueError."""
    uri, method = _target(integration, variables)

    async def forward(request: Request, body: str, out: "Outgoing") -> tuple[Answered, str]:
        headers = [
            (k, v) for k, v in request.header_pairs if k.lower() not in (*HOP_BY_HOP, "accept-encoding")
        ]
        given = {name.lower() for name in out.header}
        headers = [(k, v) for k, v in headers if k.lower() not in given]
        headers += [(k, text(v)) for k, v in out.header.items()]
        query = [*((k, v) for k, v in request.pairs if k not in out.querystring), *out.querystring.items()]
        verb = request.verb if method == "ANY" else method
        paths = {**request.path_parameters, **out.path}
        return await _send(verb, _filled(uri, paths, query), headers, request.body, timeout_s, "latin-1")

    return forward


def caller(integration: dict[str, Any], variables: Mapping[str, str], timeout_s: float) -> Forward:
    """Return what sends what templates and parameters made of a request (http). Raises ValueError."""
    uri, method = _target(integration, variables)

    async def call(request: Request, body: str, out: "Outgoing") -> tuple[Answered, str]:
        headers = [(name, text(value)) for name, value in out.header.items()]
        if body and not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("content-type", "application/json"))
        verb = request.verb if method == "ANY" else method
        url = _filled(uri, out.path, list(out.querystring.items()))
        return await _send(verb, url, headers, body.encode(), timeout_s, "utf-8")

    return call


def _target(integration: dict[str, Any], variables: Mapping[str, str]) -> tuple[str, str]:
    uri = with_variables(uri_of(integration), variables)
    if not uri.startswith(("http://", "https://")):
        raise ValueError(f"the integration's uri {uri!r} is no URL of HTTP")
    return uri, str(integration.get("httpMethod", "ANY")).upper()


def _filled(uri: str, paths: Mapping[str, Any], query: list[tuple[str, Any]]) -> str:
    for name, value in paths.items():
        uri = uri.replace(f"{{{name}}}", quote(text(value), safe=""))
        uri = uri.replace(f"{{{name}+}}", quote(text(value), safe="/"))
    pairs = [(k, item) for k, v in query for item in (v if isinstance(v, list) else [text(v)])]
    return uri + (("&" if "?" in uri else "?") + urlencode(pairs) if pairs else "")


async def _send(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, timeout_s: float, encoding: str
) -> tuple[Answered, str]:
    loop = asyncio.get_running_loop()
    status, answered, content = await loop.run_in_executor(
        None, _request, method, url, headers, body, timeout_s
    )
    return Answered(status, answered, content.decode(encoding, "replace")), str(status)


def _request(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, timeout_s: float
) -> tuple[int, dict[str, str], bytes]:
    sent = urllib3.HTTPHeaderDict(headers)
    try:
        answer = _pool().request(
            method,
            url,
            body=body or None,
            headers=sent,
            timeout=urllib3.Timeout(total=timeout_s),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        content = answer.read(_LARGEST_ANSWER + 1, decode_content=True)
        answer.release_conn()
    except urllib3.exceptions.NewConnectionError:  # which is a timeout by inheritance only
        raise Refusal("INTEGRATION_FAILURE") from None
    except urllib3.exceptions.TimeoutError:
        raise Refusal("INTEGRATION_TIMEOUT") from None
    except (urllib3.exceptions.HTTPError, ValueError):
        raise Refusal("INTEGRATION_FAILURE") from None
    if len(content) > _LARGEST_ANSWER:
        raise Refusal("INTEGRATION_FAILURE")
    told = {name.lower(): value for name, value in answer.headers.items()}
    told.pop("content-encoding", None)
    return answer.status, told, content

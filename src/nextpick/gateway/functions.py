"""Integrations with functions. Source: API Gateway developer guide, "Set up Lambda proxy integrations"."""

import asyncio
import base64
import json
import re
from collections.abc import Awaitable, Mapping
from typing import Any

from nextpick.gateway.context import proxy_event
from nextpick.gateway.credentials import credentials_of, may_invoke
from nextpick.gateway.document import Api, uri_of
from nextpick.gateway.door import Door
from nextpick.gateway.integrate import Integration
from nextpick.gateway.mapping import with_variables
from nextpick.gateway.messages import Refusal, Reply, Request

LONGEST_WAIT_S = 29.0
_FUNCTION = re.compile(
    r".*/functions/(?:arn:[^/]*:function:)?([^/:]+)(?::([^/:]+))?/invocations|([A-Za-z0-9_-]+)"
)


def function_of(integration: dict[str, Any], variables: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the name and the qualifier of the function that a URI names. Raises ValueError."""
    uri = with_variables(uri_of(integration), variables)
    match = _FUNCTION.fullmatch(uri)
    if match is None:
        raise ValueError(f"the integration's uri {uri!r} names no function")
    return match[1] or match[3], match[2]


def timeout_of(integration: dict[str, Any]) -> float:
    """Return how long an integration may take, in seconds. Raises ValueError."""
    given = integration.get("timeoutInMillis", LONGEST_WAIT_S * 1000)
    if not isinstance(given, (int, float)) or not 50 <= given <= 300_000:
        raise ValueError(f"timeoutInMillis is {given!r}; it must be 50 to 300000")
    return given / 1000


async def invoke(
    door: Door,
    request: Request,
    role: str,
    name: str,
    qualifier: str | None,
    payload: bytes,
    timeout_s: float,
) -> Any:
    """Return what a function answered (``functions.client.Invoked``). Raises Refusal."""
    from nextpick.functions import client

    if role:
        stage = request.stage
        arn = f"arn:aws:lambda:{stage.region}:{stage.account}:function:{name}"
        await may_invoke(door, request, role, f"{arn}:{qualifier}" if qualifier else arn)
    try:
        async with asyncio.timeout(timeout_s):
            return await client.invoke_async(
                door.home, name, payload, timeout_s=timeout_s, qualifier=qualifier
            )
    except TimeoutError:
        raise Refusal("INTEGRATION_TIMEOUT") from None
    except (client.FunctionError, ValueError, OSError):
        raise Refusal("API_CONFIGURATION_ERROR") from None


def proxy(api: Api, integration: dict[str, Any], variables: Mapping[str, str], door: Door) -> Integration:
    """Return an integration of type aws_proxy. Raises ValueError."""
    name, qualifier = function_of(integration, variables)
    role = credentials_of(integration, variables)
    timeout_s = timeout_of(integration)
    binary = frozenset(api.binary_types)

    async def call(request: Request) -> Reply:
        is_binary = bool(request.body) and ("*/*" in binary or request.content_type in binary)
        payload = json.dumps(proxy_event(request, is_binary), separators=(",", ":")).encode()
        done = await invoke(door, request, role, name, qualifier, payload, timeout_s)
        if done.error is not None:
            raise Refusal("INTEGRATION_FAILURE")
        return read_proxy_answer(done.payload)

    def integrate(request: Request) -> Awaitable[Reply]:
        return call(request)

    return integrate


def read_proxy_answer(payload: bytes) -> Reply:
    """Return a proxy integration's answer as a reply. Raises Refusal for what is none, as API Gateway does."""
    malformed = Refusal("INTEGRATION_FAILURE")
    try:
        answer = json.loads(payload)
    except ValueError:
        raise malformed from None
    if not isinstance(answer, dict):
        raise malformed
    status, body = answer.get("statusCode", 200 if not answer else None), answer.get("body")
    if isinstance(status, str) and re.fullmatch("[0-9]{3}", status):
        status = int(status)
    if isinstance(status, float) and status == int(status):
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise malformed
    if body is not None and not isinstance(body, str):
        raise malformed
    headers = _headers(answer.get("headers"), answer.get("multiValueHeaders"))
    if headers is None or set(answer) - _PROXY_MEMBERS:
        raise malformed
    raw = (body or "").encode()
    if answer.get("isBase64Encoded") is True:
        try:
            raw = base64.b64decode(raw, validate=True)
        except ValueError:
            raise malformed from None
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/json"))
    return Reply(status, raw, tuple(headers))


_PROXY_MEMBERS = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}


def _headers(single: Any, many: Any) -> list[tuple[str, str]] | None:
    """Return the headers of an answer, None where they are none; lists win over single values of the same name."""
    single, many = {} if single is None else single, {} if many is None else many
    if not isinstance(single, dict) or not isinstance(many, dict):
        return None
    found: list[tuple[str, str]] = []
    listed = {name.lower() for name in many}
    for name, values in many.items():
        if not isinstance(values, list):
            return None
        found += [(name, _text(value)) for value in values]
    found += [(name, _text(value)) for name, value in single.items() if name.lower() not in listed]
    return [(name, value) for name, value in found if name.lower() not in _OURS]


_OURS = {"content-length", "transfer-encoding", "connection", "date", "server"}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.split("\n")).replace("\r", "")

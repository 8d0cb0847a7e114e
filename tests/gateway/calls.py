"""Calls of the gateway over HTTP or in this process."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nextpick.gateway.store import GatewayStore
from nextpick.wire.inprocess import ENDPOINT, exchange

EXAMPLES = Path(__file__).parents[2] / "examples" / "gateway"
LAMBDA = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function"


class Answer(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def over_http(
    url: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """Send a request; a body that is no bytes is sent as JSON."""
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"content-type": "application/json"} if raw is not None else {}
    request = urllib.request.Request(url, raw, {**kind, **(headers or {})}, method=method)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, told, answer.read())


def inside(
    api: Any, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """Send a request to an engine in this process."""
    library = api.library
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    if raw and not any(name == b"content-type" for name, _ in sent):
        sent.append((b"content-type", b"application/json"))
    call = exchange(library.engine.asgi, method, ENDPOINT + path, sent, raw)
    status, told, content = asyncio.run_coroutine_threadsafe(call, library._loop).result(30)
    return Answer(status, {name.lower(): value for name, value in told.items()}, content)


def deploy(home: Path, document: dict[str, Any], stage: str = "dev", **more: Any) -> str:
    """Deploy a document and return the path of its stage."""
    store = GatewayStore(home)
    settings = {"account": "000000000000", "region": "us-east-1", "variables": {}, "settings": {}, "now": 1.0}
    api = store.deploy(document["info"]["title"], stage, document, **{**settings, **more})
    store.close()
    return f"/gateway/{api}/{stage}"


def example(name: str) -> dict[str, Any]:
    """Return one of the examples."""
    return yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())


def one_route(
    title: str, operation: dict[str, Any], path: str = "/", verb: str = "get", **more: Any
) -> dict[str, Any]:
    """Return a document with one method."""
    return {"openapi": "3.0.1", "info": {"title": title}, "paths": {path: {verb: operation}}, **more}

"""Integrations with templates: mock, aws (functions and services), http, http_proxy.

A request is mapped to what the integration takes, its answer to a response, both as the document says.
Source: API Gateway developer guide, "Data transformations for REST APIs".
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import regex

from nextpick.gateway import http
from nextpick.gateway.credentials import credentials_of, identity_of
from nextpick.gateway.document import Api, uri_of
from nextpick.gateway.door import Door
from nextpick.gateway.functions import function_of, invoke, timeout_of
from nextpick.gateway.integrate import Integration
from nextpick.gateway.mapping import Answered, of_answer, source, text, with_variables
from nextpick.gateway.messages import Refusal, Reply, Request
from nextpick.gateway.services import action_of
from nextpick.gateway.velocity import Template, TemplateError, compile_template
from nextpick.gateway.velocity.variables import UTIL, input_variable

Call = Callable[[Request, str, "Outgoing"], Awaitable[Answered]]
"""Takes a request, the body made for the integration, and what goes beside it; returns the answer and, for functions,
with status 0, the error message in place of headers."""

_PATTERN_TIMEOUT_S = 0.1
_PASSTHROUGH = ("when_no_match", "when_no_templates", "never")


class Outgoing:
    """What goes to an integration beside the body: query string, headers, path parameters."""

    def __init__(self) -> None:
        self.querystring: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.path: dict[str, Any] = {}


def mapped(api: Api, integration: dict[str, Any], variables: Mapping[str, str], door: Door) -> Integration:
    """Return an integration of type mock, aws, http or http_proxy. Raises ValueError, TemplateError."""
    kind = integration["type"]
    parameters = [_parameter(to, given) for to, given in (integration.get("requestParameters") or {}).items()]
    body_of = _body_of(integration)
    respond = _respond(integration)
    timeout_s = timeout_of(integration)
    if kind == "mock":

        def mock(request: Request) -> Reply:
            answered = Answered(_mock_status(body_of(request)), {}, "")
            return respond(request, answered, str(answered.status))

        return mock
    if kind == "http_proxy":
        forward = http.forwarder(integration, variables, timeout_s)
    elif kind == "http":
        forward = http.caller(integration, variables, timeout_s)
    else:
        forward = _aws(integration, variables, door, timeout_s)

    async def call(request: Request, body: str, out: Outgoing) -> Reply:
        answered, selected = await forward(request, body, out)
        if kind == "http_proxy":
            headers = tuple((k, v) for k, v in answered.headers.items() if k not in http.HOP_BY_HOP)
            return Reply(answered.status, answered.body.encode("latin-1"), headers)
        return respond(request, answered, selected)

    def integrate(request: Request) -> Awaitable[Reply]:
        out = Outgoing()
        for put in parameters:
            put(request, out)
        body = request.text if kind == "http_proxy" else body_of(request)
        for place, values in (
            request.context["requestOverride"].items() if "context" in request.__dict__ else ()
        ):
            getattr(out, place, {}).update(values)
        return call(request, body, out)

    return integrate


def _aws(integration: dict[str, Any], variables: Mapping[str, str], door: Door, timeout_s: float) -> Any:
    role = credentials_of(integration, variables)
    if ":lambda:path/" in uri_of(integration):
        name, qualifier = function_of(integration, variables)

        async def function(request: Request, body: str, out: Outgoing) -> tuple[Answered, str]:
            done = await invoke(door, request, role, name, qualifier, body.encode() or b"{}", timeout_s)
            answer = done.payload.decode("utf-8", "replace")
            return Answered(200, {}, answer), _error_message(answer) if done.error is not None else ""

        return function
    service, operation = action_of(with_variables(uri_of(integration), variables))

    async def service_call(request: Request, body: str, out: Outgoing) -> tuple[Answered, str]:
        stage = request.stage
        who = await identity_of(door, request, role)
        try:
            async with asyncio.timeout(timeout_s):
                status, answer = await door.service(
                    stage.account, stage.region, who, service, operation, body.encode()
                )
        except TimeoutError:
            raise Refusal("INTEGRATION_TIMEOUT") from None
        return Answered(status, {}, answer.decode()), str(status)

    return service_call


def _error_message(answer: str) -> str:
    try:
        return str(json.loads(answer).get("errorMessage", answer))
    except (ValueError, AttributeError):
        return answer


def _parameter(to: str, given: Any) -> Callable[[Request, Outgoing], None]:
    place, _, name = to.removeprefix("integration.request.").partition(".")
    if (
        not to.startswith("integration.request.")
        or place not in ("querystring", "header", "path")
        or not name
    ):
        raise ValueError(f"requestParameters has {to!r}, which is no parameter of an integration")
    read = source(given)

    def put(request: Request, out: Outgoing) -> None:
        value = read(request)
        if value is not None:
            getattr(out, place)[name] = value

    return put


def _body_of(integration: dict[str, Any]) -> Callable[[Request], str]:
    """Return what makes an integration's body of a request; it raises Refusal for a media type it does not take."""
    passthrough = str(integration.get("passthroughBehavior", "when_no_match")).lower()
    if passthrough not in _PASSTHROUGH:
        raise ValueError(f"passthroughBehavior is {passthrough!r}; it is one of {', '.join(_PASSTHROUGH)}")
    templates = {
        kind.lower(): compile_template(template)
        for kind, template in (integration.get("requestTemplates") or {}).items()
    }

    def body(request: Request) -> str:
        template = templates.get(request.content_type)
        if template is not None:
            return render(template, request, request.text)
        if passthrough == "never" or (passthrough == "when_no_templates" and templates):
            raise Refusal("UNSUPPORTED_MEDIA_TYPE")
        return request.text

    return body


def render(template: Template, request: Request, body: str) -> str:
    """Return what a template makes of a body. Raises Refusal when it cannot be followed."""
    params = {
        "path": request.path_parameters,
        "querystring": request.query,
        "header": dict(request.header_pairs),
    }
    variables = {
        "input": input_variable(body, params),
        "util": UTIL,
        "context": request.context,
        "stageVariables": dict(request.stage.variables),
    }
    try:
        return template.render(variables)
    except (TemplateError, ValueError) as error:
        request.noted["error"] = str(error)
        raise Refusal("API_CONFIGURATION_ERROR") from None


def _mock_status(body: str) -> int:
    try:
        return int(json.loads(body)["statusCode"])
    except (ValueError, KeyError, TypeError):
        raise Refusal("API_CONFIGURATION_ERROR") from None


Respond = Callable[[Request, Answered, str], Reply]


def _respond(integration: dict[str, Any]) -> Respond:
    """Return what makes the reply: the first response whose pattern matches what is selected by, else ``default``."""
    patterns: list[tuple[Any, Any]] = []
    default = None
    for pattern, response in (integration.get("responses") or {}).items():
        made = _response(response)
        if pattern == "default":
            default = made
        else:
            patterns.append((regex.compile(str(pattern)), made))
    if default is None and not patterns:
        default = _response({"statusCode": "200"})

    def respond(request: Request, answered: Answered, selected: str) -> Reply:
        for pattern, make in patterns:
            try:
                if selected and pattern.fullmatch(selected, timeout=_PATTERN_TIMEOUT_S):
                    return make(request, answered)
            except TimeoutError:
                continue
        if default is None:
            raise Refusal("API_CONFIGURATION_ERROR")
        return default(request, answered)

    return respond


def _response(declared: dict[str, Any]) -> Callable[[Request, Answered], Reply]:
    status = int(declared.get("statusCode", 200))
    headers = []
    for to, given in (declared.get("responseParameters") or {}).items():
        if not to.startswith("method.response.header."):
            raise ValueError(f"responseParameters has {to!r}, which is no header of a response")
        headers.append((to.removeprefix("method.response.header."), of_answer(given)))
    templates = [
        (kind, compile_template(template))
        for kind, template in (declared.get("responseTemplates") or {}).items()
    ]

    def make(request: Request, answered: Answered) -> Reply:
        body, kind, code = answered.body, answered.headers.get("content-type", "application/json"), status
        if templates:
            kind, template = templates[0]
            body = render(template, request, body)
        told = [
            (name, text(value)) for name, read in headers if (value := read(request, answered)) is not None
        ]
        if "context" in request.__dict__:
            override = request.context["responseOverride"]
            code = int(override.get("status", code))
            told += [(name, text(value)) for name, value in override["header"].items()]
        if not any(name.lower() == "content-type" for name, _ in told):
            told.append(("content-type", kind))
        return Reply(code, body.encode(), tuple(told))

    return make

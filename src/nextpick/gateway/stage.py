"""A stage as it is served: its document read, its templates and schemas compiled, once."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from nextpick.gateway import accesslog, document
from nextpick.gateway.caching import StageCache, cache_key
from nextpick.gateway.document import Api, DocumentError, Method
from nextpick.gateway.door import Door
from nextpick.gateway.integrate import Integration, called, make
from nextpick.gateway.mapping import Source, source, text
from nextpick.gateway.messages import GATEWAY_RESPONSES, Header, Refusal, Reply, Request
from nextpick.gateway.router import Router
from nextpick.gateway.store import StageRow
from nextpick.gateway.validate import Check, checks
from nextpick.gateway.velocity import TemplateError, compile_template

SETTINGS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "functionType": (str, "how routes to functions are integrated: aws, aws_proxy or direct"),
    "throttlingRateLimit": ((int, float), "requests a second of all clients together"),
    "throttlingBurstLimit": (int, "how many of them may come at once"),
    "cacheTtlInSeconds": ((int, float), "how long answers to GET are kept; caches where it is above 0"),
    "prefetch": (int, "how often a kept answer must be asked for to be made anew before its time is over"),
    "tracing": ((int, float), "the share of requests that are traced, 0 to 1"),
    "accessLog": (str, "the format of access log lines; empty for none"),
}


class Route(NamedTuple):
    """One method, ready to be called. ``is_quick``: it may be answered where its request arrives. ``called``: the
    service and the operation that it calls itself, for traces; functions tell of themselves."""

    method: Method
    checks: tuple[Check, ...]
    integration: Integration
    cache_key: Source | None
    is_quick: bool
    called: str


class Stage:
    """What requests to a stage are answered by."""

    def __init__(self, row: StageRow, held: dict[str, Any], door: Door) -> None:
        """Raises DocumentError for what cannot be served."""
        self.api, self.name, self.account, self.region = row.api, row.name, row.account, row.region
        self.title = row.api_name
        self.variables = row.variables
        settings = check_settings(row.settings)
        api = document.read(held, settings.get("functionType") or None)
        rate = settings.get("throttlingRateLimit")
        burst = settings.get("throttlingBurstLimit") or (max(1, int(rate)) if rate is not None else 0)
        self.throttle = (float(rate), int(burst)) if rate is not None else None
        ttl = settings.get("cacheTtlInSeconds")
        self.cache = StageCache(ttl, settings.get("prefetch")) if ttl else None
        self.tracing: float | None = settings.get("tracing") or None
        form = settings.get("accessLog", accesslog.JSON_FORMAT)
        self.line = accesslog.line_of(form) if form else None
        self.cors = _cors(api.cors) if api.cors is not None else None
        self._responses = {
            kind: _gateway_response(kind, given) for kind, given in api.gateway_responses.items()
        }
        self._router: Router[dict[str, Route]] = Router()
        self._enter(api, door)

    def _enter(self, api: Api, door: Door) -> None:
        resources: dict[str, dict[str, Route]] = {}
        for method in api.methods:
            caches = self.cache is not None and method.verb in ("GET", "ANY")
            try:
                key = cache_key(method.integration, method.is_direct) if caches else None
            except ValueError as error:
                raise DocumentError(f"{method.place}: {error}") from None
            integration = make(api, method, self.variables, door)
            route = Route(
                method,
                checks(api, method),
                integration,
                key,
                method.is_direct,
                called(method, self.variables),
            )
            resources.setdefault(method.resource, {})[method.verb] = route
        for resource, routes in resources.items():
            try:
                self._router.add(resource, routes)
            except ValueError as error:
                raise DocumentError(str(error)) from None

    def find(self, request: Request) -> Route | None:
        """Return the route of a request, which learns its resource and path parameters."""
        found = self._router.find(request.path)
        if found is None:
            return None
        resource, parameters, routes = found
        route = routes.get(request.verb) or routes.get("ANY")
        if route is not None:
            request.resource = resource
            if parameters:
                request.path_parameters = parameters
        return route

    def refuse(self, request: Request, refusal: Refusal) -> Reply:
        """Return the gateway's own reply, as the document wants it told."""
        default = "DEFAULT_4XX" if refusal.status < 500 else "DEFAULT_5XX"
        make = self._responses.get(refusal.kind) or self._responses.get(default)
        reply = Reply(
            refusal.status,
            refusal.body(),
            (("content-type", "application/json"), ("x-amzn-ErrorType", refusal.error_type)),
        )
        return make(request, refusal, reply) if make else reply

    def preflight(self, request: Request) -> Reply | None:
        """Return the answer to a preflight request, where the document leaves those to the gateway."""
        if self.cors is None or request.verb != "OPTIONS":
            return None
        return Reply(204, b"", self.cors.preflight)


def check_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return a stage's settings. Raises DocumentError naming one that is none, or that has no such value."""
    for name, value in given.items():
        if name not in SETTINGS:
            raise DocumentError(f"A stage has no setting {name}; it has {', '.join(SETTINGS)}.")
        if not isinstance(value, SETTINGS[name][0]) or isinstance(value, bool):
            raise DocumentError(f"The setting {name} is {value!r}.")
        if not isinstance(value, str) and value < 0:
            raise DocumentError(f"The setting {name} is {value}; it must not be negative.")
    if given.get("functionType", "") not in ("", "aws", "aws_proxy", "direct"):
        raise DocumentError(f"The setting functionType is {given['functionType']!r}.")
    if given.get("tracing", 0) > 1:
        raise DocumentError(f"The setting tracing is {given['tracing']}; it is a share, 0 to 1.")
    if given.get("throttlingRateLimit") == 0:
        raise DocumentError("The setting throttlingRateLimit must be above 0.")
    return given


class _Cors(NamedTuple):
    preflight: tuple[Header, ...]
    always: tuple[Header, ...]


def _cors(declared: dict[str, Any]) -> _Cors:
    def joined(name: str, default: str) -> str:
        given = declared.get(name, default)
        return ",".join(map(str, given)) if isinstance(given, list) else str(given)

    always = [("Access-Control-Allow-Origin", joined("allowOrigins", "*"))]
    if declared.get("allowCredentials"):
        always.append(("Access-Control-Allow-Credentials", "true"))
    if "exposeHeaders" in declared:
        always.append(("Access-Control-Expose-Headers", joined("exposeHeaders", "")))
    preflight = [
        *always,
        ("Access-Control-Allow-Methods", joined("allowMethods", "GET,HEAD,OPTIONS,POST,PUT")),
        (
            "Access-Control-Allow-Headers",
            joined("allowHeaders", "Content-Type,Authorization,X-Amz-Date,X-Api-Key"),
        ),
    ]
    if "maxAge" in declared:
        preflight.append(("Access-Control-Max-Age", str(declared["maxAge"])))
    return _Cors(tuple(preflight), tuple(always))


def _gateway_response(kind: str, declared: dict[str, Any]) -> Callable[[Request, Refusal, Reply], Reply]:
    if kind not in GATEWAY_RESPONSES:
        kinds = ", ".join(GATEWAY_RESPONSES)
        raise DocumentError(f"There is no gateway response {kind}; there are {kinds}.")
    status = declared.get("statusCode")
    try:
        headers = [
            (name.removeprefix("gatewayresponse.header."), source(given))
            for name, given in (declared.get("responseParameters") or {}).items()
        ]
        templates = [(k, compile_template(t)) for k, t in (declared.get("responseTemplates") or {}).items()]
    except (ValueError, TemplateError) as error:
        raise DocumentError(f"gateway response {kind}: {error}") from None

    def make(request: Request, refusal: Refusal, reply: Reply) -> Reply:
        told = [(name, text(value)) for name, read in headers if (value := read(request)) is not None]
        body = reply.body
        if templates:
            error = {
                "message": refusal.message,
                "messageString": json.dumps(refusal.message),
                "responseType": refusal.kind,
                "validationErrorString": refusal.message,
            }
            context = {**request.context, "error": error}
            try:
                body = (
                    templates[0][1]
                    .render({"context": context, "stageVariables": request.stage.variables})
                    .encode()
                )
            except TemplateError:
                body = reply.body
            told.append(("content-type", templates[0][0]))
        kept = [header for header in reply.headers if header[0] not in {name.lower() for name, _ in told}]
        return Reply(int(status or reply.status), body, (*kept, *told))

    return make

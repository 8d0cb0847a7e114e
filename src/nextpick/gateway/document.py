"""An API as its document declares it: OpenAPI 3 (or Swagger 2) with API Gateway's extensions.

Source: API Gateway developer guide, "OpenAPI extensions for API Gateway".
"""

import re
from typing import Any, NamedTuple

VERBS = ("get", "put", "post", "delete", "options", "head", "patch")
ANY = "x-amazon-apigateway-any-method"
DIRECT = "x-nextpick-integration"
INTEGRATION = "x-amazon-apigateway-integration"
_PLACES = {"query": "querystring", "path": "path", "header": "header"}


class DocumentError(ValueError):
    """What is wrong with a document, and where."""


class Method(NamedTuple):
    """One method of a resource. ``required`` are (place, name); ``models`` JSON schemas by media type."""

    verb: str
    resource: str
    required: tuple[tuple[str, str], ...]
    models: dict[str, dict[str, Any]]
    needs_key: bool
    integration: dict[str, Any]
    is_direct: bool

    @property
    def place(self) -> str:
        """Where in the document it stands, for messages."""
        return f"{self.verb.upper()} {self.resource}"


class Api(NamedTuple):
    """A document that was read."""

    title: str
    methods: tuple[Method, ...]
    schemas: dict[str, Any]
    gateway_responses: dict[str, dict[str, Any]]
    cors: dict[str, Any] | None
    binary_types: tuple[str, ...]
    experiments: dict[str, dict[str, Any]]


def read(document: Any, function_type: str | None = None) -> Api:
    """Read a document. ``function_type`` (aws, aws_proxy, direct) chooses how routes to functions are integrated.

    Where a method has both an integration of API Gateway's and one of nextpick's own, the own one is taken unless
    ``function_type`` names one of the other two. Raises DocumentError.
    """
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise DocumentError("The document has no paths: it is no OpenAPI document.")
    version = str(document.get("openapi", document.get("swagger", "")))
    if not version.startswith(("3.", "2.")):
        raise DocumentError(f"openapi is {version!r}; documents of OpenAPI 3 and Swagger 2 are read.")
    validators = document.get("x-amazon-apigateway-request-validators", {})
    methods = []
    for resource, item in document["paths"].items():
        if not resource.startswith("/") or not isinstance(item, dict):
            raise DocumentError(f"paths.{resource} is no resource.")
        for verb, operation in item.items():
            if verb in VERBS or verb == ANY:
                shared = item.get("parameters", [])
                methods.append(
                    _method(document, validators, resource, verb, operation, shared, function_type)
                )
    return Api(
        str(document.get("info", {}).get("title", "")),
        tuple(methods),
        document.get("components", {}).get("schemas", document.get("definitions", {})),
        document.get("x-amazon-apigateway-gateway-responses", {}),
        document.get("x-amazon-apigateway-cors"),
        tuple(document.get("x-amazon-apigateway-binary-media-types", ())),
        document.get("x-nextpick-experiments", {}),
    )


def _method(
    document: dict[str, Any],
    validators: dict[str, Any],
    resource: str,
    verb: str,
    operation: Any,
    shared: list[Any],
    function_type: str | None,
) -> Method:
    where = f"paths.{resource}.{verb}"
    if not isinstance(operation, dict):
        raise DocumentError(f"{where} is no operation.")
    named = operation.get(
        "x-amazon-apigateway-request-validator", document.get("x-amazon-apigateway-request-validator")
    )
    validator = validators.get(named, {}) if named is not None else {}
    if named is not None and named not in validators:
        raise DocumentError(f"{where}: there is no request validator {named!r}.")
    parameters = [
        resolve(document, parameter, where) for parameter in [*shared, *operation.get("parameters", [])]
    ]
    required = tuple(
        (_PLACES[p["in"]], p["name"]) for p in parameters if p.get("required") and p.get("in") in _PLACES
    )
    models = _models(document, operation, parameters, where) if validator.get("validateRequestBody") else {}
    integration, is_direct = _integration(document, operation, where, function_type)
    security = operation.get("security", document.get("security", []))
    return Method(
        "ANY" if verb == ANY else verb.upper(),
        resource,
        required if validator.get("validateRequestParameters") else (),
        models,
        any(_is_key(document, name) for requirement in security for name in requirement),
        integration,
        is_direct,
    )


def _integration(
    document: dict[str, Any], operation: dict[str, Any], where: str, function_type: str | None
) -> tuple[dict[str, Any], bool]:
    own, theirs = operation.get(DIRECT), operation.get(INTEGRATION)
    if own is not None and (theirs is None or function_type in (None, "direct")):
        return resolve(document, own, where), True
    if theirs is None:
        raise DocumentError(f"{where} has no {INTEGRATION} and no {DIRECT}.")
    integration = dict(resolve(document, theirs, where))
    integration["type"] = str(integration.get("type", "")).lower()
    is_function = integration["type"] in ("aws", "aws_proxy") and ":lambda:" in uri_of(integration)
    if is_function and function_type in ("aws", "aws_proxy"):
        integration["type"] = function_type
    return integration, False


def uri_of(integration: dict[str, Any]) -> str:
    """Return an integration's URI."""
    return str(integration.get("uri", ""))


def _models(
    document: dict[str, Any], operation: dict[str, Any], parameters: list[dict[str, Any]], where: str
) -> dict[str, dict[str, Any]]:
    body = resolve(document, operation.get("requestBody", {}), where)
    models = {
        kind.lower(): held["schema"] for kind, held in body.get("content", {}).items() if "schema" in held
    }
    for parameter in parameters:  # Swagger 2
        if parameter.get("in") == "body" and "schema" in parameter:
            consumed = operation.get("consumes", document.get("consumes", ["application/json"]))
            models |= {kind.lower(): parameter["schema"] for kind in consumed}
    return models


def _is_key(document: dict[str, Any], name: str) -> bool:
    schemes = document.get("components", {}).get("securitySchemes", document.get("securityDefinitions", {}))
    return schemes.get(name, {}).get("type") == "apiKey" and not any(
        key.startswith("x-amazon-apigateway-auth") for key in schemes[name]
    )


def resolve(document: dict[str, Any], value: Any, where: str) -> dict[str, Any]:
    """Return what a ``$ref`` refers to, or the value itself. Raises DocumentError."""
    for _ in range(10):
        if not isinstance(value, dict):
            raise DocumentError(f"{where}: {value!r} is no object.")
        if "$ref" not in value:
            return value
        found: Any = document
        for step in re.split("/", str(value["$ref"]).removeprefix("#/")):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        if found is None:
            raise DocumentError(f"{where}: {value['$ref']} is not in the document.")
        value = found
    raise DocumentError(f"{where}: references lead in a circle.")

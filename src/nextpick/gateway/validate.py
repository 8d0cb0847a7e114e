"""Required parameters and models. Source: API Gateway developer guide, "Request validation for REST APIs"."""

from collections.abc import Callable
from typing import Any

from nextpick.errors import Serialization
from nextpick.gateway.document import Api, DocumentError, Method
from nextpick.gateway.messages import Refusal, Request
from nextpick.wire.body import decode

Check = Callable[[Request], None]
"""Raises Refusal for a request that the method does not take."""


def checks(api: Api, method: Method) -> tuple[Check, ...]:
    """Return what a method's validator checks. Raises DocumentError for a schema that cannot be read."""
    found: list[Check] = []
    if method.required:
        found.append(_parameters(method.required))
    if method.models:
        compiled = {kind: _compile(api, schema, method) for kind, schema in method.models.items()}
        found.append(_body(compiled))
    return tuple(found)


def _parameters(required: tuple[tuple[str, str], ...]) -> Check:
    def check(request: Request) -> None:
        places = {"querystring": request.query, "path": request.path_parameters, "header": request.headers}
        missing = [
            name
            for place, name in required
            if not places[place].get(name.lower() if place == "header" else name)
        ]
        if missing:
            told = f"Missing required request parameters: [{', '.join(missing)}]"
            raise Refusal("BAD_REQUEST_PARAMETERS", told)

    return check


def _body(models: dict[str, Callable[[Any], Any]]) -> Check:
    def check(request: Request) -> None:
        fits = models.get(request.content_type)
        if fits is None:
            return
        try:
            if not request.body:
                raise ValueError
            fits(decode(request.body))
        except (ValueError, Serialization):
            raise Refusal("BAD_REQUEST_BODY") from None

    return check


def _compile(api: Api, schema: dict[str, Any], method: Method) -> Callable[[Any], Any]:
    try:
        import fastjsonschema
    except ImportError:
        raise DocumentError(
            f"{method.place} validates bodies, which needs: pip install 'nextpick[gateway]'"
        ) from None
    whole = {
        **schema,
        "$schema": "http://json-schema.org/draft-04/schema#",
        "components": {"schemas": api.schemas},
        "definitions": {**api.schemas, **schema.get("definitions", {})},
    }
    try:
        fits = fastjsonschema.compile(
            whole, handlers=dict.fromkeys(("http", "https", "ftp", "file"), _refuse)
        )
    except (fastjsonschema.JsonSchemaDefinitionException, ValueError, KeyError, TypeError) as error:
        raise DocumentError(f"{method.place}: its model cannot be read: {error}") from None

    def check(value: Any) -> None:
        try:
            fits(value)
        except fastjsonschema.JsonSchemaValueException as error:
            raise ValueError(str(error)) from None

    return check


def _refuse(uri: str) -> Any:
    raise ValueError(f"the model refers to {uri}, which is outside of the document")

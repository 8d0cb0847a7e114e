"""Integrations: what a method does with a request. Each is made once, when its stage is loaded."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from nextpick.gateway.document import Api, DocumentError, Method, uri_of
from nextpick.gateway.door import Door
from nextpick.gateway.mapping import with_variables
from nextpick.gateway.messages import Reply, Request
from nextpick.gateway.services import action_of
from nextpick.gateway.velocity import TemplateError

Integration = Callable[[Request], Reply | Awaitable[Reply]]
"""Answers a request; raises Refusal. What returns no awaitable has not waited."""

_TYPES = ("aws", "aws_proxy", "http", "http_proxy", "mock")
DIRECT = ("recommendations", "personalized-ranking", "events", "stream")


def make(api: Api, method: Method, variables: dict[str, str], door: Door) -> Integration:
    """Return a method's integration. Raises DocumentError."""
    kind = method.integration.get("type", "")
    try:
        if method.is_direct:
            return _direct(api, method, variables, door, kind)
        if kind not in _TYPES:
            raise ValueError(f"the integration's type is {kind!r}; it is one of {', '.join(_TYPES)}")
        if kind == "aws_proxy":
            from nextpick.gateway.functions import proxy

            return proxy(api, method.integration, variables, door)
        from nextpick.gateway.mapped import mapped

        return mapped(api, method.integration, variables, door)
    except (ValueError, TypeError, AttributeError, KeyError, TemplateError) as error:
        told = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DocumentError(f"{method.place}: {told}") from None


_CALLED = {
    "recommendations": "personalize-runtime GetRecommendations",
    "personalized-ranking": "personalize-runtime GetPersonalizedRanking",
    "events": "personalize-events PutEvents",
    "stream": "kinesis PutRecord",
}


def called(method: Method, variables: dict[str, str]) -> str:
    """Return the service and the operation that a method calls without a function, "" for none."""
    kind, uri = method.integration.get("type", ""), with_variables(uri_of(method.integration), variables)
    if method.is_direct:
        return _CALLED[kind]
    if kind.startswith("http"):
        return f"{urlsplit(uri).netloc} {method.integration.get('httpMethod', method.verb)}"
    return "" if kind == "mock" or ":lambda:" in uri else " ".join(action_of(uri))


def _direct(api: Api, method: Method, variables: dict[str, str], door: Door, kind: str) -> Integration:
    if kind in ("recommendations", "personalized-ranking"):
        from nextpick.gateway.recommending import recommending

        return recommending(api, method.integration, variables, door)
    if kind in ("events", "stream"):
        from nextpick.gateway.recording import recording

        return recording(api, method.integration, variables, door)
    raise ValueError(f"the integration's type is {kind!r}; it is one of {', '.join(DIRECT)}")

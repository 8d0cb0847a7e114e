"""Integrations: what a method does with a request. Each is made once, when its stage is loaded."""

from collections.abc import Awaitable, Callable

from nextpick.gateway.document import Api, DocumentError, Method
from nextpick.gateway.door import Door
from nextpick.gateway.messages import Reply, Request
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


def _direct(api: Api, method: Method, variables: dict[str, str], door: Door, kind: str) -> Integration:
    if kind in ("recommendations", "personalized-ranking"):
        from nextpick.gateway.recommending import recommending

        return recommending(api, method.integration, variables, door)
    if kind in ("events", "stream"):
        from nextpick.gateway.recording import recording

        return recording(api, method.integration, variables, door)
    raise ValueError(f"the integration's type is {kind!r}; it is one of {', '.join(DIRECT)}")

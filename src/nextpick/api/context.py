"""What a handler is given beside its request, and the table it enters itself into."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

from nextpick.clock import Clock
from nextpick.errors import InvalidInput, TooManyTags
from nextpick.settings import Settings
from nextpick.store.rates import Rates
from nextpick.store.records import Records
from nextpick.store.usage import UsageCounter
from nextpick.wire.dispatch import Call, Unsettled

Request = dict[str, Any]
Answer = dict[str, Any] | Unsettled | None


class Owner(TypedDict):
    """Whose resources are meant."""

    account: str
    region: str


class Services(NamedTuple):
    """What handlers share."""

    records: Records
    settings: Settings
    clock: Clock
    page_secret: bytes
    started_at: float
    usage: UsageCounter
    rates: Rates | None


class Context(NamedTuple):
    """One call: who makes it, and what serves it."""

    services: Services
    call: Call

    @property
    def records(self) -> Records:
        """The resources and jobs."""
        return self.services.records

    @property
    def settings(self) -> Settings:
        """The operator's settings."""
        return self.services.settings

    @property
    def owner(self) -> Owner:
        """The caller's account and region, as keyword arguments."""
        return {"account": self.call.account, "region": self.call.region}

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self.services.clock.now()


Handler = Callable[[Context, Any], Answer]
HANDLERS: dict[tuple[str, str], Handler] = {}


def operation(name: str, service: str = "personalize") -> Callable[[Handler], Handler]:
    """Enter a function as the handler of an operation; raises ValueError for a second one."""

    def enter(handler: Handler) -> Handler:
        if (service, name) in HANDLERS:
            raise ValueError(f"{service} {name} has two handlers")
        HANDLERS[service, name] = handler
        return handler

    return enter


def tags_of(request: Request) -> dict[str, str]:
    """Return a Create request's tags; raises TooManyTags, or InvalidInput for a key given twice."""
    tags = request.get("tags", [])
    if len(tags) > 50:
        raise TooManyTags
    by_key = {tag["tagKey"]: tag["tagValue"] for tag in tags}
    if len(by_key) < len(tags):
        raise InvalidInput("A tag key may be given once.")
    if any(key.lower().startswith("aws:") for key in by_key):
        raise InvalidInput("A tag key must not begin with aws:.")
    return by_key


def body_of(request: Request, **more: Any) -> dict[str, Any]:
    """Return the members a resource keeps as its client sent them."""
    return {name: value for name, value in request.items() if name != "tags"} | more

"""The table of operations that the wire dispatches through."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from nextpick.access.guard import Guard
from nextpick.api import (  # noqa: F401  each enters its handlers
    batch,
    campaign,
    data_deletion_job,
    dataset,
    dataset_export_job,
    dataset_group,
    dataset_import_job,
    event_tracker,
    events,
    filter,
    measured,
    metric_attribution,
    own,
    puts,
    recipe,
    recommender,
    reports,
    runtime,
    schema,
    solution,
    solution_version,
    tag,
    uniform,
    why,
)
from nextpick.api.authorize import guarded
from nextpick.api.context import HANDLERS, Context, Handler, Services
from nextpick.api.metered import counted, throttled
from nextpick.serving.service import Serving
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.shapes import service

uniform.enter_all()


def routes(services: Services, serving: Serving, guard: Guard) -> Mapping[tuple[str, str], Route]:
    """Return the route of every operation nextpick speaks; ``guard`` judges who may call it."""
    table = {key: Route(partial(_handle, services, handler)) for key, handler in HANDLERS.items()}
    table.update(runtime.routes(serving))
    table.update(events.routes(serving))
    table.update(puts.routes(services, serving))
    table.update(why.routes(serving))
    for name, operation in table:
        if operation not in service(name).operations:
            raise ValueError(f"{operation} is no operation of {name}")
    table = {key: counted(services.usage, key[1], route) for key, route in table.items()}
    if services.rates is not None:
        rates, clock = services.rates, services.clock
        table = {key: throttled(rates, clock, key[1], route) for key, route in table.items()}
    return MappingProxyType({key: guarded(guard, key[0], route) for key, route in table.items()})


def implemented() -> set[tuple[str, str]]:
    """Return (service, operation) of everything nextpick speaks."""
    return {*HANDLERS, *runtime.OPERATIONS, *events.OPERATIONS, *puts.OPERATIONS, *why.OPERATIONS}


def _handle(services: Services, handler: Handler, call: Call, request: dict) -> object:
    return handler(Context(services, call), request)

"""PutItems, PutUsers, PutActions, PutActionInteractions: on disk before the answer, known to the next one.

A record replaces what was known of its id. Source: developer guide, "Importing individual records", "Recording action
interaction events".
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from nextpick.api.context import Services
from nextpick.api.events import properties_of
from nextpick.data import kinds
from nextpick.data.avro import Schema, parse_schema
from nextpick.data.records import read_record
from nextpick.errors import InvalidInput, ResourceNotFound
from nextpick.names import request_id
from nextpick.resources import lifecycle
from nextpick.resources.kinds import DATASET, SCHEMA
from nextpick.serving.service import Serving
from nextpick.store.log import EventRow, record_row
from nextpick.wire.dispatch import Call, Route

_SERVICE = "personalize-events"
_LONGEST_ID = 256
ACTION_EVENT_TYPES = ("TAKEN", "NOT_TAKEN", "VIEWED")


class _Put(NamedTuple):
    """How an operation names its records: what they are of, the list, and the id in each."""

    dataset_type: str
    member: str
    id: str


_PUTS = {
    "PutItems": _Put("ITEMS", "items", "itemId"),
    "PutUsers": _Put("USERS", "users", "userId"),
    "PutActions": _Put("ACTIONS", "actions", "actionId"),
}
OPERATIONS = (*((_SERVICE, name) for name in _PUTS), (_SERVICE, "PutActionInteractions"))


def routes(services: Services, serving: Serving) -> dict[tuple[str, str], Route]:
    """Return the routes of the operations that put records, which wait on the event loop for the log's commit."""
    handlers: dict[str, Callable[[Call, Any], Awaitable[None]]] = {
        name: partial(_put_records, services, serving, put) for name, put in _PUTS.items()
    }
    handlers["PutActionInteractions"] = partial(_put_action_interactions, services, serving)
    return {(_SERVICE, name): Route(handler, inline=True) for name, handler in handlers.items()}


async def _put_records(
    services: Services, serving: Serving, put: _Put, call: Call, request: dict[str, Any]
) -> None:
    rows = await asyncio.get_running_loop().run_in_executor(None, _records, services, put, call, request)
    await serving.writer.append(rows)


def _records(services: Services, put: _Put, call: Call, request: dict[str, Any]) -> list[EventRow]:
    arn, now = request["datasetArn"], services.clock.now()
    schema = _schema(services, call, arn, put.dataset_type)
    kind = kinds.find(put.dataset_type, None)
    assert kind is not None
    rows = []
    for given in request[put.member]:
        id = given[put.id]
        if not 0 < len(id) <= _LONGEST_ID:
            raise InvalidInput(f"{put.id} must have 1 to {_LONGEST_ID} characters.")
        record = read_record(schema, kind, id, properties_of(given.get("properties")), now)
        rows.append(record_row(arn, id, record, now, request_id()))
    return rows


def _schema(services: Services, call: Call, arn: str, dataset_type: str) -> Schema:
    owner = {"account": call.account, "region": call.region}
    with services.records.read() as tx:
        dataset = lifecycle.get(tx, DATASET, arn, **owner)
        if dataset.body["datasetType"] != dataset_type:
            raise InvalidInput(f"{arn} is of type {dataset.body['datasetType']}, not {dataset_type}.")
        lifecycle.require_active(dataset, "putting records")
        return parse_schema(lifecycle.get(tx, SCHEMA, dataset.body["schemaArn"], **owner).body["schema"])


async def _put_action_interactions(
    services: Services, serving: Serving, call: Call, request: dict[str, Any]
) -> None:
    dataset = serving.find_tracked(request["trackingId"], call.account, call.region)
    if dataset is None or ":dataset/" not in dataset:
        raise ResourceNotFound(
            f"The tracking id {request['trackingId']} is not of an Action_Interactions dataset."
        )
    now = services.clock.now()
    await serving.writer.append(
        [_interaction(dataset, given, now) for given in request["actionInteractions"]]
    )


def _interaction(dataset: str, given: dict[str, Any], now: float) -> EventRow:
    properties = properties_of(given.get("properties"))
    type_ = given["eventType"].upper().replace(" ", "_")
    if type_ not in ACTION_EVENT_TYPES:
        raise InvalidInput(
            f"The eventType of an action interaction is {given['eventType']!r}; it must be one of "
            f"{', '.join(ACTION_EVENT_TYPES)}."
        )
    return EventRow(
        group=dataset,
        user=given.get("userId"),
        session=given["sessionId"],
        item=given["actionId"],
        event_type=type_,
        event_value=None,
        time=int(given["timestamp"] if given["timestamp"] is not None else now),
        event_id=given.get("eventId") or request_id(),
        properties=json.dumps(properties) if properties else None,
        recommendation_id=given.get("recommendationId"),
        impression=tuple(given["impression"]) if given.get("impression") else None,
    )

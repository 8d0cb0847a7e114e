"""PutEvents: on disk before the answer, known to the next one.

Source: developer guide, "Recording item interaction events".
"""

import json
import math
from functools import partial
from typing import Any

import msgspec

from nextpick.errors import InvalidInput, Serialization
from nextpick.names import request_id
from nextpick.serving.service import Serving
from nextpick.store.log import EventRow
from nextpick.wire.body import decode
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.structs import Event, PutEvents

_SERVICE = "personalize-events"
OPERATIONS = ((_SERVICE, "PutEvents"),)

_MOST_BYTES = 10 * 1024
_LONGEST_ID = 256
_FORBIDDEN = {"userid", "sessionid", "eventtype", "timestamp", "recommendationid", "impression"}
_ENVELOPE = ("itemId", "eventValue")  # members of an event that older clients put into its properties

_encode = msgspec.json.Encoder().encode


def routes(serving: Serving) -> dict[tuple[str, str], Route]:
    """Return the route of PutEvents, which waits on the event loop for the log's commit."""
    return {OPERATIONS[0]: Route(partial(_put_events, serving), PutEvents, inline=True)}


async def _put_events(serving: Serving, call: Call, request: PutEvents) -> None:
    group = serving.find_tracked(request.trackingId, call.account, call.region)
    if group is None or ":dataset-group/" not in group:
        raise InvalidInput(f"The tracking id {request.trackingId} is not of an event tracker.")
    now = serving.clock.now()
    await serving.writer.append([_row(group, request, event, now) for event in request.eventList])


def _row(group: str, request: PutEvents, event: Event, now: float) -> EventRow:
    if len(_encode(event)) > _MOST_BYTES:
        raise InvalidInput(f"An event is larger than {_MOST_BYTES} bytes.")
    properties = properties_of(event.properties)
    for name in properties:
        if name.lower() in _FORBIDDEN:
            raise InvalidInput(
                f"properties must not hold {name}: it is a member of the event or of the request."
            )
    item = event.itemId if event.itemId is not None else properties.get("itemId")
    if item is not None:
        item = str(item)
        if not 0 < len(item) <= _LONGEST_ID:
            raise InvalidInput(f"The itemId in properties must have 1 to {_LONGEST_ID} characters.")
    value = event.eventValue if event.eventValue is not None else _number(properties.get("eventValue"))
    others = {name: held for name, held in properties.items() if name not in _ENVELOPE}
    attribution = event.metricAttribution
    return EventRow(
        group=group,
        user=request.userId,
        session=request.sessionId,
        item=item,
        event_type=event.eventType,
        event_value=value,
        time=int(now if event.sentAt is None else event.sentAt),
        event_id=event.eventId or request_id(),
        properties=json.dumps(others) if others else None,
        recommendation_id=event.recommendationId,
        impression=tuple(event.impression) if event.impression else None,
        source=attribution.eventAttributionSource if attribution else None,
    )


def properties_of(text: str | None) -> dict[str, Any]:
    """Read a member ``properties``; raises InvalidInput unless it is a JSON object."""
    if text is None:
        return {}
    try:
        properties = decode(text.encode())
    except Serialization:
        raise InvalidInput("Error parsing properties json") from None
    if not isinstance(properties, dict):
        raise InvalidInput("Error parsing properties json")
    return properties


def _number(value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"The eventValue in properties is {value!r}; it must be a number.") from None
    if not math.isfinite(number):
        raise InvalidInput(f"The eventValue in properties is {value!r}; it must be finite.")
    return number

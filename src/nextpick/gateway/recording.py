"""Direct integrations: events into the engine, records into a stream, without a function in between."""

import base64
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from nextpick.errors import InvalidInput, Serialization, ServiceError
from nextpick.gateway.document import Api
from nextpick.gateway.door import Door, Identity
from nextpick.gateway.experiments import Experiment, experiment
from nextpick.gateway.integrate import Integration
from nextpick.gateway.mapping import constant_or_source, with_variables
from nextpick.gateway.messages import Reply, Request, Waits
from nextpick.names import request_id
from nextpick.wire.body import decode
from nextpick.wire.shapes import validate
from nextpick.wire.structs import PutEvents

_JSON = ("content-type", "application/json")
_NO_STORE = ("cache-control", "no-store")
_MEMBERS = {
    "events": {"trackingId", "experiment"},
    "stream": {"streamName", "data", "partitionKey", "message"},
}


def recording(api: Api, declared: dict[str, Any], variables: Mapping[str, str], door: Door) -> Integration:
    """Return a direct integration of type events or stream. Raises ValueError."""
    unknown = set(declared) - _MEMBERS[declared["type"]] - {"type"}
    if unknown:
        raise ValueError(f"an integration of type {declared['type']} has no {', '.join(sorted(unknown))}")
    if declared["type"] == "events":
        return _events(api, declared, variables, door)
    return _stream(declared, variables, door)


def _events(api: Api, declared: dict[str, Any], variables: Mapping[str, str], door: Door) -> Integration:
    """PutEvents: the body is its request; the tracking id is the integration's where the body has none."""
    tracking = with_variables(declared.get("trackingId", ""), variables)
    split = experiment(api, declared["experiment"], variables) if "experiment" in declared else None

    async def put(request: Request) -> Reply:
        try:
            events = read_events(request.body, tracking, split)
            await door.put_events(request.stage.account, request.stage.region, events)
        except ServiceError as error:
            return Reply(error.status, msgspec.json.encode({"message": error.message}), (_JSON, _NO_STORE))
        return Reply(200, b"{}", (_JSON, _NO_STORE))

    def integrate(request: Request) -> Awaitable[Reply]:
        if request.is_quick:
            raise Waits
        return put(request)

    return integrate


def read_events(body: bytes, tracking: str, split: Experiment | None) -> PutEvents:
    """Return a body as the request it is; sessions and times that are missing are made, and events of an experiment's
    user name the variation as their source. Raises ServiceError."""
    told = decode(body)
    if not isinstance(told, dict):
        raise Serialization("The request body must be a JSON object.")
    if tracking:
        told.setdefault("trackingId", tracking)
    told.setdefault("sessionId", str(told.get("userId") or request_id()))
    events = told.get("eventList")
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict):
            event.setdefault("sentAt", None)
            if split is not None and told.get("userId") and not event.get("metricAttribution"):
                event["metricAttribution"] = {"eventAttributionSource": split.source(str(told["userId"]))}
    return msgspec.convert(validate("personalize-events", "PutEvents", told), PutEvents)


def _stream(declared: dict[str, Any], variables: Mapping[str, str], door: Door) -> Integration:
    """PutRecord, answered as the route that Kinesis integrations usually have: 200 whatever the stream says."""

    def member(name: str, default: str) -> Any:
        given = declared.get(name, default)
        return constant_or_source(with_variables(given, variables) if isinstance(given, str) else given)

    name = member("streamName", "method.request.body.stream-name")
    data = member("data", "method.request.body.Data")
    key = member("partitionKey", "method.request.body.PartitionKey")
    message = str(declared.get("message", "Event sent successfully"))

    async def put(request: Request) -> Reply:
        try:
            decode(request.body)
        except Serialization as error:
            raise InvalidInput(error.message) from None
        value = data(request)
        raw = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
        record = {
            "StreamName": str(name(request) or ""),
            "Data": base64.b64encode(raw).decode(),
            "PartitionKey": str(key(request) or ""),
        }
        stage = request.stage
        _, answer = await door.service(
            stage.account, stage.region, Identity(), "kinesis", "PutRecord", msgspec.json.encode(record)
        )
        told = b'{"Message":%b,"data":%b}' % (msgspec.json.encode(message), answer)
        return Reply(200, told, (_JSON,))

    async def answer(request: Request) -> Reply:
        try:
            return await put(request)
        except ServiceError as error:
            return Reply(400, msgspec.json.encode({"message": error.message}), (_JSON,))

    def integrate(request: Request) -> Awaitable[Reply]:
        if request.is_quick:
            raise Waits
        return answer(request)

    return integrate

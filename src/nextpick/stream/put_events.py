"""The built-in consumer: records become PutEvents.

A record is one event, ``{"trackingId", "userId", "itemId", "eventType", "sentAt", "interactions", …}``, recorded
``interactions`` times, each in a session of its own; or a PutEvents request as a whole, with its ``eventList``.
Session and event ids are made of the record's sequence number: a record that is sent twice after a kill has the same.
"""

import json
import math
import re
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from nextpick.errors import Serialization
from nextpick.store.stream import Record
from nextpick.stream.consumers import Surroundings, TryAgain, told
from nextpick.wire.body import decode

_AT_ONCE = 8
_MOST_INTERACTIONS = 1000
_MILLISECONDS = 1e11  # a time above this is in milliseconds: it would be in the year 5138
_ARE_THE_RECORDS = (
    "InvalidInputException",
    "ValidationException",
    "SerializationException",
    "ResourceNotFoundException",
)
_OF_EVENT = ("eventId", "itemId", "eventValue", "recommendationId", "impression", "metricAttribution")


class BadRecord(ValueError):
    """A record that is no event; says why."""


class EventsConsumer:
    """Calls PutEvents. Records of one user go one after the other, those of several users at the same time."""

    batch, batch_bytes, pause_s = 100, 1 << 20, None

    def __init__(self, config: dict[str, Any], around: Surroundings) -> None:
        self._config, self._around = config, around
        self._events = around.client(
            "personalize-events", parameter_validation=False, max_pool_connections=_AT_ONCE
        )
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="put-events")
        self._sent: set[int] = set()  # of a batch that is tried again

    def take(self, records: Sequence[Record]) -> int:
        """Send records; those that PutEvents refuses become dead letters."""
        by_user: dict[str, list[tuple[Record, list[dict[str, Any]]]]] = {}
        for record in records:
            if record.number in self._sent:
                continue
            try:
                calls = read(record, self._around.stream.sequence(record.shard, record.number), self._config)
            except BadRecord as bad:
                self._refuse(record, str(bad))
                continue
            if calls:
                by_user.setdefault(str(calls[0].get("userId")), []).append((record, calls))
        for failure in list(self._pool.map(self._send, by_user.values())):
            if failure is not None:
                raise TryAgain(failure)
        self._sent.clear()
        return len(records)

    def _send(self, work: list[tuple[Record, list[dict[str, Any]]]]) -> str | None:
        """Send one user's records; return why it must be tried again."""
        for record, calls in work:
            try:
                for call in calls:
                    self._events.put_events(**call)
            except ClientError as error:
                code, message = told(error)
                if code not in _ARE_THE_RECORDS:
                    return f"{code}: {message}"
                self._refuse(record, f"{code}: {message}")
            except BotoCoreError as error:
                return str(error)
            self._sent.add(record.number)
        return None

    def _refuse(self, record: Record, reason: str) -> None:
        self._around.letters.write(self._config["name"], [record], reason, self._around.clock.now())
        self._sent.add(record.number)

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown()


def read(record: Record, sequence: str, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the PutEvents requests of a record. Raises BadRecord."""
    try:
        data = decode(record.data)
    except Serialization as error:
        raise BadRecord(error.message) from None
    if not isinstance(data, dict):
        raise BadRecord("The record is no JSON object.")
    tracking = data.get("trackingId") or config.get("trackingId")
    if not tracking:
        raise BadRecord("The record has no trackingId, and its consumer has none for it.")
    request = {"trackingId": str(tracking)}
    if data.get("userId") not in (None, ""):
        request["userId"] = str(data["userId"])
    if "eventList" in data:
        events = data["eventList"]
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise BadRecord("eventList is no list of events.")
        session = str(data.get("sessionId") or uuid.uuid5(uuid.NAMESPACE_OID, sequence))
        made = [_event(event, record, f"{sequence}/{i}") for i, event in enumerate(events)]
        return [{**request, "sessionId": session, "eventList": made}]
    calls = []
    for i in range(_interactions(data.get("interactions", 1))):
        own = f"{sequence}/{i}"
        session = str(data.get("sessionId") or uuid.uuid5(uuid.NAMESPACE_OID, own))
        calls.append({**request, "sessionId": session, "eventList": [_event(data, record, own)]})
    return calls


def _event(data: dict[str, Any], record: Record, identity: str) -> dict[str, Any]:
    if not data.get("eventType"):
        raise BadRecord("The record has no eventType.")
    event = {name: data[name] for name in _OF_EVENT if data.get(name) is not None}
    event.setdefault("eventId", str(uuid.uuid5(uuid.NAMESPACE_URL, identity)))
    event |= {"eventType": str(data["eventType"]), "sentAt": _time(data.get("sentAt"), record.arrived)}
    if "itemId" in event:
        event["itemId"] = str(event["itemId"])
    properties = data.get("properties")
    if properties:
        event["properties"] = properties if isinstance(properties, str) else json.dumps(properties)
    return event


def _interactions(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,6}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise BadRecord(f"interactions is {value!r}; it must be a whole number.")
    if not 0 <= value <= _MOST_INTERACTIONS:
        raise BadRecord(f"interactions is {value}; it must be 0 to {_MOST_INTERACTIONS}.")
    return int(value)


def _time(value: Any, arrived: float) -> float:
    """Return when an event was: seconds, milliseconds or ISO 8601 as told; when its record arrived where that says
    nothing, as with the invalid dates that JavaScript clients send."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return arrived
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return arrived
    return value / 1000 if value > _MILLISECONDS else float(value)

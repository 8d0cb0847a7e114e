"""EventBridge's PutEvents: what programs tell of themselves goes the way of state changes, to whom it concerns.

An event is of the kind ``Event DETAIL-TYPE`` with the status ``PUBLISHED``. Source: EventBridge API reference,
"PutEvents".
"""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nextpick.access.guard import Caller, Guard
from nextpick.clock import Clock
from nextpick.store import outbox
from nextpick.store.records import Records
from nextpick.wire.asgi import ASGIApp
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Call
from nextpick.wire.json_rpc import JsonService
from nextpick.wire.reading import Bodies

OPERATIONS = ("PutEvents",)

_THREADS = 2
_REQUIRED = ("Source", "DetailType", "Detail")


class EventBus:
    """The default bus of a home."""

    def __init__(self, records: Records, guard: Guard, clock: Clock) -> None:
        self._records, self._guard, self._clock = records, guard, clock
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-events")
        self._service = JsonService("events", {"PutEvents": self.put_events}, self._pool)

    def asgi(self, callers: Callers, bodies: Bodies) -> ASGIApp:
        """Return the application that answers signed requests."""
        return self._service.asgi(callers, bodies)

    def put_events(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Each entry is taken by itself; those taken are on disk when this returns, if anybody wants them."""
        bus = f"arn:aws:events:{call.region}:{call.account}:event-bus/default"
        self._guard.require(Caller.of(call), "events:PutEvents", bus)
        told: list[dict[str, str]] = []
        with self._records.write() as tx:
            for entry in request["Entries"]:
                wrong = _problem(entry)
                if wrong is not None:
                    told.append(wrong)
                    continue
                made, resources = str(uuid.uuid4()), entry.get("Resources", [])
                source, kind = entry["Source"], entry["DetailType"]
                outbox.append(
                    tx,
                    f"Event {kind}",
                    resources[0] if resources else source,
                    "PUBLISHED",
                    entry.get("Time", self._clock.now()),
                    name=kind,
                    id=made,
                    published={
                        "source": source,
                        "detail-type": kind,
                        "resources": resources,
                        "detail": json.loads(entry["Detail"]),
                    },
                )
                told.append({"EventId": made})
        return {"FailedEntryCount": sum("ErrorCode" in each for each in told), "Entries": told}

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _problem(entry: dict[str, Any]) -> dict[str, str] | None:
    for name in _REQUIRED:
        if not entry.get(name):
            text = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": text}
    try:
        is_object = isinstance(json.loads(entry["Detail"]), dict)
    except ValueError:
        is_object = False
    return None if is_object else {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}

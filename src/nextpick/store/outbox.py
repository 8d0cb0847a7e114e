"""State changes for whoever wants to be told: written in the transaction that makes them, kept until they are taken.

Nothing is kept while nobody listens.
"""

import time
import uuid
from typing import Any

from nextpick.store import documents
from nextpick.store.records import Transaction

_EVENTS, _SWITCHES, _SWITCH = "outbox", "switch", "outbox"


def listen(tx: Transaction, *, on: bool) -> None:
    """Keep state changes from now on, or no longer."""
    if on:
        documents.put(tx, _SWITCHES, _SWITCH, {})
    else:
        documents.delete(tx, _SWITCHES, _SWITCH)
        for key, _ in documents.find(tx, _EVENTS):
            documents.delete(tx, _EVENTS, key)


def append(tx: Transaction, kind: str, arn: str, status: str, now: float, **more: Any) -> None:
    """Keep a state change: of what kind of thing (``Campaign``), its ARN or name, its new status, and what ``more``
    there is to say; None is left out."""
    if documents.get(tx, _SWITCHES, _SWITCH) is None:
        return
    told = {name: value for name, value in more.items() if value is not None}
    event = {"id": uuid.uuid4().hex, "time": now, "kind": kind, "arn": arn, "status": status, **told}
    documents.put(tx, _EVENTS, f"{time.time_ns():020d}-{event['id']}", event)


def is_empty(tx: Transaction) -> bool:
    """Tell whether there is nothing to take."""
    return not documents.find(tx, _EVENTS)


def take(tx: Transaction) -> list[dict[str, Any]]:
    """Remove and return all state changes, oldest first."""
    found = documents.find(tx, _EVENTS)
    for key, _ in found:
        documents.delete(tx, _EVENTS, key)
    return [event for _, event in found]

"""Who is told what: subscriptions, and the deliveries that are still to be made, as documents beside the records."""

from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

from nextpick.store import documents, outbox
from nextpick.store.records import Transaction

MARKER = "notify"  # the directory whose existence starts the service

_SUBSCRIPTIONS, _DELIVERIES, _FAILED = "notify.subscription", "notify.delivery", "notify.failed"
_MOST_FAILED = 1000
DEFAULT_EVENTS = (
    "*:ACTIVE",
    "*:*FAILED",
    "*:COMPLETED",
    "*:SUCCEEDED",
    "*:TIMED_OUT",
    "*:ABORTED",
    "*:INACTIVE",
)
SUBJECT = "$kind $name is $status"
BODY = """$kind $name is $status.

$reason

$arn
$time
"""


class Subscription(msgspec.Struct):
    """One subscription: exactly one of ``webhook`` (a URL), ``email`` (addresses) and ``command`` (words).

    events: patterns ``KIND:STATUS`` with ``*``, as ``Campaign:*``; a delivery is made for what matches one. secret:
    what webhooks are signed with. subject, body: templates, with $kind, $name, $status, $reason, $arn, $time and
    $seconds, of what was published to a topic $subject and $message. topic: the ARN of the topic it was made through,
    or empty.
    """

    name: str
    webhook: str | None = None
    email: list[str] | None = None
    command: list[str] | None = None
    events: list[str] = msgspec.field(default_factory=lambda: list(DEFAULT_EVENTS))
    secret: str | None = None
    subject: str = SUBJECT
    body: str = BODY
    topic: str = ""

    def wants(self, event: dict[str, Any]) -> bool:
        """Tell whether a state change is told."""
        told = f"{event['kind']}:{event['status']}".casefold()
        return any(fnmatchcase(told, pattern.casefold()) for pattern in self.events)


class Delivery(NamedTuple):
    """A state change that is to be told, ``attempts`` times in vain so far, again from ``due`` on."""

    key: str
    subscription: Subscription
    event: dict[str, Any]
    attempts: int
    due: float


def put(tx: Transaction, subscription: Subscription) -> None:
    """Add a subscription, or replace the one of its name."""
    documents.put(tx, _SUBSCRIPTIONS, subscription.name, msgspec.to_builtins(subscription))
    outbox.listen(tx, on=True)


def remove(tx: Transaction, name: str) -> bool:
    """Remove a subscription, with what it was still to be told; tell whether there was one."""
    found = documents.delete(tx, _SUBSCRIPTIONS, name)
    for key, body in documents.find(tx, _DELIVERIES):
        if body["subscription"] == name:
            documents.delete(tx, _DELIVERIES, key)
    if not documents.find(tx, _SUBSCRIPTIONS):
        outbox.listen(tx, on=False)
    return found


def listed(tx: Transaction) -> list[Subscription]:
    """Return all subscriptions by name."""
    return [msgspec.convert(body, Subscription) for _, body in documents.find(tx, _SUBSCRIPTIONS)]


def spread(tx: Transaction, now: float) -> None:
    """Make deliveries of the state changes that have come."""
    events = outbox.take(tx)
    subscriptions = listed(tx) if events else []
    for number, event in enumerate(events):
        for subscription in subscriptions:
            if subscription.wants(event):
                key = f"{now:017.6f}-{number:06d}-{event['id']}-{subscription.name}"
                body = {"subscription": subscription.name, "event": event, "attempts": 0, "due": now}
                documents.put(tx, _DELIVERIES, key, body)


def due(tx: Transaction, now: float, most: int) -> list[Delivery]:
    """Return deliveries to be made now, oldest first."""
    known = {subscription.name: subscription for subscription in listed(tx)}
    found = [
        Delivery(key, known[body["subscription"]], body["event"], body["attempts"], body["due"])
        for key, body in documents.find(tx, _DELIVERIES)
        if body["due"] <= now and body["subscription"] in known
    ]
    return found[:most]


def delivered(tx: Transaction, delivery: Delivery) -> None:
    """Forget a delivery that was made."""
    documents.delete(tx, _DELIVERIES, delivery.key)


def postpone(tx: Transaction, delivery: Delivery, until: float) -> None:
    """Make a delivery again later; one whose subscription was removed meanwhile stays forgotten."""
    body = documents.get(tx, _DELIVERIES, delivery.key)
    if body is not None:
        documents.put(
            tx, _DELIVERIES, delivery.key, {**body, "attempts": delivery.attempts + 1, "due": until}
        )


def give_up(tx: Transaction, delivery: Delivery, reason: str) -> None:
    """Keep a delivery among those that failed; the newest 1,000 are kept."""
    documents.delete(tx, _DELIVERIES, delivery.key)
    body = {"subscription": delivery.subscription.name, "event": delivery.event, "reason": reason}
    documents.put(tx, _FAILED, delivery.key, body)
    for key, _ in documents.find(tx, _FAILED)[:-_MOST_FAILED]:
        documents.delete(tx, _FAILED, key)


def failed(tx: Transaction) -> list[dict[str, Any]]:
    """Return the deliveries that failed for good, oldest first: subscription, event, reason."""
    return [body for _, body in documents.find(tx, _FAILED)]

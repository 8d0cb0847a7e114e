"""The delivery of notifications: what the outbox has is spread to the subscriptions, what is due is delivered.

A delivery is forgotten only after it was taken, so a kill between the two tells it again, with the same id.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from nextpick.notify import subscriptions
from nextpick.notify.channels import Undelivered, deliver
from nextpick.notify.subscriptions import Delivery
from nextpick.store import outbox

if TYPE_CHECKING:
    from nextpick.automation import Context

PAUSES_S = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0)  # before each further attempt
_POLL_S, _AT_ONCE, _BATCH = 0.2, 4, 64

log = logging.getLogger(__name__)


class Notifications:
    """Delivers in a thread of its own until it is stopped."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="notifications", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the deliveries that are on their way."""
        self._ending.set()
        self._thread.join()

    def work(self) -> None:
        """Spread what has come, then make the deliveries that are due, several subscriptions at a time."""
        records, now = self._context.records, self._context.clock.now()
        with records.read() as tx:
            has_come = not outbox.is_empty(tx)
        if has_come:  # a write that changes nothing would wake everyone who reads the records
            with records.write() as tx:
                subscriptions.spread(tx, now)
        with records.read() as tx:
            found = subscriptions.due(tx, now, _BATCH)
        by_subscription: dict[str, list[Delivery]] = {}
        for delivery in found:
            by_subscription.setdefault(delivery.subscription.name, []).append(delivery)
        if found:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._deliver_all, by_subscription.values()))

    def _deliver_all(self, deliveries: list[Delivery]) -> None:
        """Make the deliveries of one subscription, in the order of what happened."""
        for delivery in deliveries:
            self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        context = self._context
        try:
            deliver(delivery.subscription, delivery.event, context.settings, context.clock.now())
        except Undelivered as error:
            self._not_taken(delivery, str(error))
        else:
            with context.records.write() as tx:
                subscriptions.delivered(tx, delivery)

    def _not_taken(self, delivery: Delivery, reason: str) -> None:
        with self._context.records.write() as tx:
            if delivery.attempts < len(PAUSES_S):
                until = self._context.clock.now() + PAUSES_S[delivery.attempts]
                subscriptions.postpone(tx, delivery, until)
            else:
                subscriptions.give_up(tx, delivery, reason)
                log.error(
                    "%s was not told of %s: %s", delivery.subscription.name, delivery.event["arn"], reason
                )

    def _loop(self) -> None:
        seen = b""
        while not self._ending.wait(_POLL_S):
            try:
                version = self._context.records.version()
                if version != seen or self._is_due():
                    seen = version
                    self.work()
            except Exception:
                log.exception("notifications met an error and go on")
                self._ending.wait(1.0)

    def _is_due(self) -> bool:
        with self._context.records.read() as tx:
            return bool(subscriptions.due(tx, self._context.clock.now(), 1))


def start(context: "Context") -> Notifications:
    """Start delivering."""
    service = Notifications(context)
    service.start()
    return service

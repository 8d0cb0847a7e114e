"""SNS, as far as programs around Personalize use it: topics, what is published to them, and mail for who subscribed.

A message is a state change of the kind ``Topic NAME`` with the status ``PUBLISHED``, so any subscription can be for it.
Source: SNS API reference.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nextpick.access.guard import Caller, Guard
from nextpick.clock import Clock
from nextpick.errors import ServiceError
from nextpick.notify import subscriptions
from nextpick.notify.subscriptions import MARKER, Subscription
from nextpick.store import documents, outbox
from nextpick.store.records import Records, Transaction
from nextpick.wire.asgi import ASGIApp
from nextpick.wire.caller import Callers
from nextpick.wire.dispatch import Call, Route
from nextpick.wire.query import query_app
from nextpick.wire.reading import Bodies

_TOPICS = "sns.topic"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LARGEST = 256 * 1024
_METHOD = re.compile("(?<=[a-z])(?=[A-Z])")
_THREADS = 2

OPERATIONS = (
    *("CreateTopic", "DeleteTopic", "ListTopics", "Publish"),
    *("Subscribe", "Unsubscribe", "ListSubscriptions", "ListSubscriptionsByTopic"),
)

Request = dict[str, Any]
Answer = dict[str, Any] | None


class NotFound(ServiceError):
    """There is no such topic."""

    status, code = 404, "NotFound"


class InvalidParameter(ServiceError):
    """A request parameter does not comply with the associated constraints."""

    code = "InvalidParameter"


class Topics:
    """The operations, over the topics of a home."""

    def __init__(self, home: Path, records: Records, guard: Guard, clock: Clock) -> None:
        self._home, self._records, self._guard, self._clock = home, records, guard, clock
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-sns")

    def asgi(self, callers: Callers, bodies: Bodies) -> ASGIApp:
        """Return the application that answers signed requests."""
        routes = {("sns", name): Route(getattr(self, _METHOD.sub("_", name).lower())) for name in OPERATIONS}
        return query_app("sns", routes, callers, bodies, self._pool)

    def create_topic(self, call: Call, request: Request) -> Answer:
        """One that there is already is answered."""
        name = request["Name"]
        if not _NAME.fullmatch(name):
            raise InvalidParameter("Invalid parameter: Topic Name")
        arn = f"arn:aws:sns:{call.region}:{call.account}:{name}"
        self._require(call, arn)
        with self._records.write() as tx:
            documents.put(tx, _TOPICS, arn, {})
        return {"TopicArn": arn}

    def delete_topic(self, call: Call, request: Request) -> Answer:
        """Its subscriptions go with it."""
        arn = request["TopicArn"]
        self._require(call, arn)
        with self._records.write() as tx:
            documents.delete(tx, _TOPICS, arn)
            for held in _of_topics(tx, arn):
                subscriptions.remove(tx, held.name)

    def list_topics(self, call: Call, request: Request) -> Answer:
        """All of the caller's account and region, on one page."""
        self._require(call, "*")
        start = f"arn:aws:sns:{call.region}:{call.account}:"
        with self._records.read() as tx:
            found = [arn for arn, _ in documents.find(tx, _TOPICS) if arn.startswith(start)]
        return {"Topics": [{"TopicArn": arn} for arn in found]}

    def publish(self, call: Call, request: Request) -> Answer:
        """The message is on disk when this returns, if anybody wants it."""
        arn, message = request.get("TopicArn") or request.get("TargetArn") or "", request["Message"]
        self._require(call, arn or "*")
        if not arn:
            raise InvalidParameter("Invalid parameter: TopicArn; there are no telephone numbers here")
        if len(message.encode()) > _LARGEST:
            raise InvalidParameter("Invalid parameter: Message too long")
        if request.get("MessageStructure") == "json":
            message = _default(message)
        with self._records.write() as tx:
            self._find(tx, arn)
            name = arn.rpartition(":")[2]
            outbox.append(
                tx,
                f"Topic {name}",
                arn,
                "PUBLISHED",
                self._clock.now(),
                name=name,
                subject=request.get("Subject"),
                message=message,
                id=call.request_id,
            )
        return {"MessageId": call.request_id}

    def subscribe(self, call: Call, request: Request) -> Answer:
        """Mail is sent from now on, without a confirmation; other endpoints are nextpick's own subscriptions."""
        arn, protocol, endpoint = request["TopicArn"], request["Protocol"], request.get("Endpoint", "")
        self._require(call, arn)
        name = arn.rpartition(":")[2]
        if protocol not in ("email", "email-json") or "@" not in endpoint:
            raise InvalidParameter(
                f"Invalid parameter: {protocol} endpoint {endpoint!r}. Mail is sent; for webhooks there is: "
                f"nextpick notify add NAME --webhook URL --on 'Topic {name}:*'"
            )
        made = Subscription(
            f"{name}-{blake2b(f'{arn} {endpoint}'.encode(), digest_size=6).hexdigest()}",
            email=[endpoint],
            events=[f"Topic {name}:*"],
            subject="$subject",
            body="$message\n",
            topic=arn,
        )
        with self._records.write() as tx:
            self._find(tx, arn)
            subscriptions.put(tx, made)
        (self._home / MARKER).mkdir(exist_ok=True)
        return {"SubscriptionArn": _arn(made)}

    def unsubscribe(self, call: Call, request: Request) -> Answer:
        arn = request["SubscriptionArn"]
        self._require(call, arn)
        with self._records.write() as tx:
            if not any(_arn(held) == arn for held in _of_topics(tx)):
                raise NotFound("Subscription does not exist")
            subscriptions.remove(tx, arn.rpartition(":")[2])

    def list_subscriptions(self, call: Call, request: Request) -> Answer:
        """All of the caller's account and region, on one page."""
        self._require(call, "*")
        start = f"arn:aws:sns:{call.region}:{call.account}:"
        with self._records.read() as tx:
            return {"Subscriptions": [_told(held) for held in _of_topics(tx) if held.topic.startswith(start)]}

    def list_subscriptions_by_topic(self, call: Call, request: Request) -> Answer:
        self._require(call, request["TopicArn"])
        with self._records.read() as tx:
            self._find(tx, request["TopicArn"])
            return {"Subscriptions": [_told(held) for held in _of_topics(tx, request["TopicArn"])]}

    def _require(self, call: Call, resource: str) -> None:
        self._guard.require(Caller.of(call), f"sns:{call.operation}", resource)

    def _find(self, tx: Transaction, arn: str) -> None:
        if documents.get(tx, _TOPICS, arn) is None:
            raise NotFound("Topic does not exist")

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _of_topics(tx: Transaction, topic: str | None = None) -> list[Subscription]:
    return [held for held in subscriptions.listed(tx) if held.topic and topic in (None, held.topic)]


def _arn(held: Subscription) -> str:
    return f"{held.topic}:{held.name}"


def _told(held: Subscription) -> dict[str, Any]:
    return {
        "SubscriptionArn": _arn(held),
        "Owner": held.topic.split(":")[4],
        "Protocol": "email",
        "Endpoint": ", ".join(held.email or ()),
        "TopicArn": held.topic,
    }


def _default(message: str) -> str:
    """Return what is for everybody in a message that has a text for each protocol. Raises InvalidParameter."""
    try:
        texts = json.loads(message)
        return texts.get("email", texts["default"])
    except (ValueError, AttributeError, KeyError, TypeError):
        raise InvalidParameter(
            "Invalid parameter: Message Structure - No default entry in JSON message body"
        ) from None

"""Where the record of an asynchronous invocation can go: another function, a topic, a bucket.

A function is told by an event of its own (``Queue.settle``). A topic is told through SNS's Publish, a bucket through
S3's PutObject, as the administrator.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from nextpick.functions.events import Message
from nextpick.functions.registry import parse_name

_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_.-]+")
_BUCKET = re.compile(r"arn:aws[a-z-]*:s3:::(?P<bucket>[a-z0-9][a-z0-9.-]+)(?:/(?P<prefix>.+))?")


def is_destination(arn: str) -> bool:
    """Tell whether an ARN is that of a function, a topic, or a bucket, with a prefix or without."""
    is_function = arn.startswith("arn:") and ":lambda:" in arn and parse_name(arn) is not None
    return is_function or bool(_TOPIC.fullmatch(arn) or _BUCKET.fullmatch(arn))


def deliver(client: Callable[..., Any], message: Message) -> None:
    """Tell a topic or a bucket. Raises what the client raises."""
    bucket = _BUCKET.fullmatch(message.destination)
    if bucket is None:
        client("sns").publish(TopicArn=message.destination, Message=message.body.decode())
        return
    # The key is Lambda's, with the request's id where Lambda has a random one: told twice, it is written once.
    named = parse_name(message.function)
    name = named.name if named else ""
    moment = datetime.fromtimestamp(message.put_at, UTC)
    prefix = f"{bucket['prefix'].rstrip('/')}/" if bucket["prefix"] else ""
    key = f"{prefix}aws/lambda/async/{name}/{moment:%Y/%m/%d}/{moment:%Y-%m-%dT%H.%M.%S}-{message.id}"
    client("s3").put_object(
        Bucket=bucket["bucket"], Key=key, Body=message.body, ContentType="application/json"
    )

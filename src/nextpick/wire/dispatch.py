"""The table that joins the wire to the handlers."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Call(NamedTuple):
    """Who calls, from where, and what: the account belongs to the access key, the region to the signature.

    ``principal`` is the ARN of the user or role session that calls; the administrator has none. ``source_ip`` is
    the other end of the connection.
    """

    account: str
    region: str
    access_key: str
    request_id: str
    operation: str
    principal: str = ""
    source_ip: str = ""


class Unsettled(NamedTuple):
    """An answer that is about to change: the server asks the handler again until it returns anything else,
    or until ``wait_s`` seconds have passed since the first call, and then sends the newest answer."""

    answer: dict
    wait_s: float


class Route(NamedTuple):
    """How one operation is served.

    ``handler(call, request)`` returns a dict, bytes (sent as they are), None (no body), an Unsettled, or an
    awaitable of one of these; it raises ``errors.ServiceError``. ``request`` is the validated dict, or, where
    ``struct`` is given, that msgspec Struct. ``inline`` handlers run on the event loop and must not block; one
    that is no coroutine function may be asked twice for one request when it does not return bytes, so it must
    change nothing. The others run in a pool of threads.
    """

    handler: Callable[[Call, Any], Any]
    struct: type | None = None
    inline: bool = False


SERVICES = ("personalize", "personalize-runtime", "personalize-events", "nextpick")
NEIGHBOURS = ("s3", "sts", "iam", "lambda", "kinesis", "stepfunctions", "sns", "events")

Routes = Mapping[tuple[str, str], Route]

"""Clients that act as the role of a state machine.

A role that IAM knows is taken, if it trusts Step Functions; one that it does not know was never set up, and is not
asked, as with the roles of jobs.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from nextpick.access import directory
from nextpick.access.guard import judge_trust
from nextpick.access.policy import Principal
from nextpick.store.records import Records
from nextpick.workflow.asl.failure import StateFailed
from nextpick.workflow.refusal import message_of

SERVICE = "states.amazonaws.com"

_SESSION_S = 3600
_FRESH_S = 2700.0


class Roles:
    """Makes clients by role; ``client`` makes those of the administrator."""

    def __init__(self, client: Callable[..., Any], records: Records) -> None:
        self._client, self._records = client, records
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], tuple[float, Any]] = {}

    def client_of(self, service: str, role: str) -> Any:
        """Return a client of a service that acts as a role. Raises StateFailed where the role may not be taken."""
        with self._lock:
            made_at, client = self._made.get((service, role), (0.0, None))
            if client is None or time.monotonic() > made_at + _FRESH_S:
                client = self._make(service, role)
                self._made[service, role] = (time.monotonic(), client)
            return client

    def _make(self, service: str, role: str) -> Any:
        client = self._client(service, parameter_validation=False)
        credentials = self._credentials(role)
        if credentials is not None:
            client._request_signer._credentials = credentials  # boto3 takes them only before a client is made
        return client

    def _credentials(self, arn: str) -> Credentials | None:
        with self._records.read() as tx:
            role = directory.by_arn(tx, "role", arn) if arn else None
        if role is None:
            return None
        verdict = judge_trust(role, Principal("", "", SERVICE), {})
        if not verdict.is_allowed:
            raise StateFailed("States.Permissions", f"{SERVICE} cannot assume {arn}: {verdict.reason}.")
        try:
            answer = self._client("sts").assume_role(
                RoleArn=arn, RoleSessionName="states", DurationSeconds=_SESSION_S
            )
        except ClientError as error:
            raise StateFailed("States.Permissions", message_of(error)) from None
        given = answer["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

"""Sessions of roles: temporary keys that may do what a role may.

Source: AWS STS API Reference, "AssumeRole".
"""

import secrets
from collections.abc import Iterable
from typing import Any

from nextpick.access import directory
from nextpick.access.directory import Entity
from nextpick.store.records import Transaction


def open_session(
    tx: Transaction,
    role: Entity,
    name: str,
    *,
    now: float,
    duration_s: float,
    policies: Iterable[tuple[str, str | None]] = (),
) -> dict[str, Any]:
    """Open a session of a role and return it: ``access_key``, ``secret``, ``token``, ``arn``, ``expires_at``, ….

    ``policies`` limit it further: names and texts, of managed policies no text. Whether it may be opened is the
    caller's to judge.
    """
    account = role["Arn"].split(":")[4]
    session = {
        "access_key": directory.unique_id("ASIA", 20),
        "secret": directory.new_secret(),
        "token": secrets.token_urlsafe(180),
        "account": account,
        "role": role["Arn"],
        "arn": f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{name}",
        "expires_at": now + duration_s,
        "policies": list(policies),
    }
    directory.put_session(tx, session, now)
    return session

"""Names and identifiers: access keys, ARNs, generated ids.

The shape of an ARN is contract: clients build them from names (developer guide, "Actions, resources, and
condition keys"; recorded answers).
"""

import functools
import math
import random
import re
import secrets
import uuid
from hashlib import blake2b
from typing import NamedTuple

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d{12}|):(?P<rest>.+)"
)

_random = random.Random()


class Key(NamedTuple):
    """An access key pair and the account it belongs to (12 digits).

    ``principal`` is the ARN of the user or role session it acts as; the administrator's key has none. A session's
    key comes with a ``token``, and is good until ``expires_at`` (seconds since 1970).
    """

    access_key: str
    secret: str
    account: str
    principal: str = ""
    token: str = ""
    expires_at: float = math.inf


class Arn(NamedTuple):
    """The parts of ``arn:partition:service:region:account:kind/path``."""

    partition: str
    service: str
    region: str
    account: str
    kind: str
    path: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.kind}/{self.path}"


@functools.lru_cache(4096)
def parse_arn(text: str) -> Arn | None:
    """Return the parts of an ARN, or None when ``text`` is not one with a ``kind/path`` resource."""
    match = _ARN.fullmatch(text)
    if match is None:
        return None
    kind, slash, path = match["rest"].partition("/")
    if not slash or not path:
        return None
    return Arn(match["partition"], match["service"], match["region"], match["account"], kind, path)


def resource_name(arn: str) -> str:
    """Return the last segment of an ARN's path: of a role's ARN, the role's name."""
    return arn.rpartition("/")[2]


def resource_arn(region: str, account: str, kind: str, path: str) -> str:
    """Return ``arn:aws:personalize:{region}:{account}:{kind}/{path}``."""
    return f"arn:aws:personalize:{region}:{account}:{kind}/{path}"


def builtin_arn(kind: str, name: str) -> str:
    """Return the ARN of a recipe, algorithm or feature transformation: no region, no account."""
    return f"arn:aws:personalize:::{kind}/{name}"


@functools.lru_cache(1024)
def campaign_id(arn: str) -> str:
    """Return the 6 hex digits by which the ids of recommendations name their campaign or recommender."""
    return blake2b(arn.encode(), digest_size=3).hexdigest()


def short_id() -> str:
    """Return 8 random hex digits, as in solution version and event tracker ARNs."""
    return secrets.token_hex(4)


def tracking_id() -> str:
    """Return a new tracking id, a UUID."""
    return str(uuid.uuid4())


def request_id() -> str:
    """Return a new request id, a UUID. It is drawn quickly: nothing may rest on its being secret."""
    digits = f"{_random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def camel_case(column: str) -> str:
    """Return the name that requests and answers give a column: ``brandName`` for BRAND_NAME."""
    first, *others = [part.lower() if part.isupper() else part for part in column.split("_")]
    return first + "".join(part[:1].upper() + part[1:] for part in others)

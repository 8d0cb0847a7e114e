"""Tokens that lead from one page of a list to the next.

A token carries a position (a number that grows along the list) and an HMAC of it and of the list's scope
(operation, filter, account, region), so it is good only for the list it was made for, and only if we made it.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from nextpick.errors import InvalidNextToken

_POSITION_BYTES, _MAC_BYTES = 8, 16


def token(position: int, *, scope: str, secret: bytes) -> str:
    """Return the token of the page that follows ``position``: 32 ASCII characters."""
    raw = position.to_bytes(_POSITION_BYTES, "big")
    return urlsafe_b64encode(raw + _mac(raw, scope, secret)).decode()


def position(next_token: str | None, *, scope: str, secret: bytes) -> int:
    """Return the position a token carries, 0 for none. Raises InvalidNextToken for a foreign one."""
    if next_token is None:
        return 0
    try:
        raw = urlsafe_b64decode(next_token.encode("ascii"))
    except ValueError:
        raise InvalidNextToken from None
    carried, mac = raw[:_POSITION_BYTES], raw[_POSITION_BYTES:]
    if not hmac.compare_digest(mac, _mac(carried, scope, secret)):
        raise InvalidNextToken
    return int.from_bytes(carried, "big")


def _mac(raw: bytes, scope: str, secret: bytes) -> bytes:
    return hmac.digest(secret, raw + scope.encode(), "sha256")[:_MAC_BYTES]

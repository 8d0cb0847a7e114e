"""Who calls: by the request's signature, or, without authentication, by what it says."""

import ipaddress
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from nextpick.clock import Clock
from nextpick.errors import AccessDenied, ServiceError
from nextpick.names import Key
from nextpick.settings import Settings
from nextpick.wire.asgi import Scope
from nextpick.wire.dispatch import Call
from nextpick.wire.protocol import SIGNING_NAMES, ForeignService, claimed_service
from nextpick.wire.sigv4 import Headers, Verifier, read_credential


class Caller(NamedTuple):
    """What a ``Call`` knows of who makes it."""

    account: str
    region: str
    access_key: str
    principal: str = ""

    def call(self, request_id: str, operation: str, scope: Scope) -> Call:
        """Return the caller's call of an operation."""
        client = scope.get("client") or ("",)
        return Call(
            self.account, self.region, self.access_key, request_id, operation, self.principal, client[0]
        )


class Callers:
    """Finds the caller of each request to some services. With ``auth=False`` nothing is verified."""

    def __init__(
        self,
        find_key: Callable[[str], Key | None],
        settings: Settings,
        clock: Clock,
        auth: bool,
        services: frozenset[str] = SIGNING_NAMES,
    ) -> None:
        self._find_key, self._settings, self._auth, self._services = find_key, settings, auth, services
        self._verifier = Verifier(find_key, clock, settings.clock_skew_s)

    def find(self, method: bytes, path: bytes, query: bytes, values: Headers, body: bytes) -> Caller:
        """Return who calls; ``path`` and ``query`` as sent, ``values`` as ``header_map`` makes them.

        Raises what ``Verifier.verify`` does, ForeignService, or AccessDenied.
        """
        authorization = values.get(b"authorization")
        if not self._auth:
            refuse_foreign_page(values)
            return self._trust(authorization)
        try:
            signer = self._verifier.verify(method, path, query, values, body)
        except ServiceError:
            # A key that is not ours is to be expected where the request is for someone else.
            self._refuse_foreign_service(claimed_service(authorization, query))
            raise
        self._refuse_foreign_service(signer.service)
        return Caller(signer.key.account, signer.region, signer.key.access_key, signer.key.principal)

    def _trust(self, authorization: bytes | None) -> Caller:
        """Return who an unverified request says it is, or the settings' account and region."""
        account, region, access_key = self._settings.account, self._settings.region, ""
        if authorization:
            try:
                credential, _ = read_credential(authorization)
            except ServiceError:
                return Caller(account, region, access_key)
            self._refuse_foreign_service(credential.service)
            region, access_key = credential.region, credential.access_key
            if key := self._find_key(access_key):
                account = key.account
        return Caller(account, region, access_key)

    def _refuse_foreign_service(self, name: str | None) -> None:
        if name is not None and name not in self._services:
            raise ForeignService(name)


def refuse_foreign_page(values: Headers) -> None:
    """Without signatures, keep pages in browsers away: by DNS rebinding, or from another origin."""
    host = values.get(b"host", b"").decode("latin-1")
    if not _is_loopback(host):
        raise AccessDenied(f"Without authentication only loopback hosts are served, not '{host[:200]}'.")
    origin = values.get(b"origin")
    if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
        raise AccessDenied("Without authentication no requests of pages from another origin are served.")


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit("//" + host).hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

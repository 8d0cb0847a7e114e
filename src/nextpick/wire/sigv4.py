"""AWS Signature Version 4, header form: who signed a request, and whether it is as it was signed.

Source: AWS General Reference, "Create a signed AWS API request". The path is normalised and encoded once more
than it was sent, as for every service but S3.
"""

import calendar
import functools
import hmac
import re
import time
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from nextpick.clock import Clock
from nextpick.errors import (
    ExpiredToken,
    IncompleteSignature,
    InvalidSignature,
    MissingAuthenticationToken,
    UnrecognizedClient,
)
from nextpick.names import Key

Headers = dict[bytes, bytes]

_ALGORITHM = b"AWS4-HMAC-SHA256"
_UNSIGNED = b"UNSIGNED-PAYLOAD"
_PLAIN_PATH = re.compile(rb"(?:/[A-Za-z0-9_-]+)+|/")
_CACHED = 1024


class Credential(NamedTuple):
    """What an Authorization header says about its signature; ``names`` are the signed headers, sorted."""

    access_key: str
    date: bytes
    region: str
    service: str
    scope: bytes
    names: tuple[bytes, ...]


class Signer(NamedTuple):
    """Who signed, and for which region and service."""

    key: Key
    region: str
    service: str


class _Known(NamedTuple):
    credential: Credential
    signed: frozenset[bytes]
    joined: bytes
    signer: Signer
    signing_key: bytes


def header_map(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return headers (lower-case names) by name; values of a repeated one are joined by commas, in order."""
    headers = list(headers)
    values = dict(headers)
    if len(values) < len(headers):
        values = {}
        for name, value in headers:
            value = b" ".join(value.split())
            values[name] = values[name] + b"," + value if name in values else value
    return values


def read_credential(authorization: bytes) -> tuple[Credential, bytes]:
    """Return the parts of an Authorization header and its signature. Raises IncompleteSignature."""
    algorithm, _, rest = authorization.strip().partition(b" ")
    if algorithm != _ALGORITHM:
        raise IncompleteSignature("Authorization header requires the algorithm AWS4-HMAC-SHA256.")
    fields: dict[bytes, bytes] = {}
    for field in rest.split(b","):
        name, _, value = field.strip().partition(b"=")
        fields[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name.encode())]
    if missing:
        raise IncompleteSignature(
            " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        )
    try:
        elements = fields[b"Credential"].decode("ascii").rsplit("/", 4)
        access_key, date, region, service, term = elements
    except ValueError:
        raise IncompleteSignature(
            "Credential must have exactly 5 slash-delimited elements, keyid/date/region/service/term."
        ) from None
    if term != "aws4_request":
        raise IncompleteSignature(
            f"Credential should be scoped with a valid terminator: 'aws4_request', not '{term}'."
        )
    if not (access_key and region and service) or not re.fullmatch("[0-9]{8}", date):
        raise IncompleteSignature(
            "Credential must be keyid/date/region/service/term with a date of the form YYYYMMDD."
        )
    names = tuple(sorted(set(fields[b"SignedHeaders"].lower().split(b";"))))
    scope = f"{date}/{region}/{service}/{term}".encode()
    return Credential(access_key, date.encode(), region, service, scope, names), fields[b"Signature"]


class Verifier:
    """Checks signatures with the keys that ``find_key`` knows; keeps the signing keys it derived."""

    def __init__(self, find_key: Callable[[str], Key | None], clock: Clock, skew_s: float) -> None:
        self._find_key = find_key
        self._clock = clock
        self._skew_s = skew_s
        self._known: dict[bytes, _Known] = {}

    def verify(self, method: bytes, path: bytes, query: bytes, values: Headers, body: bytes) -> Signer:
        """Return who signed the request.

        ``path`` and ``query`` are as sent, ``values`` as ``header_map`` makes them. Raises
        MissingAuthenticationToken, IncompleteSignature, UnrecognizedClient or InvalidSignature.
        """
        authorization = values.get(b"authorization")
        if not authorization:
            raise MissingAuthenticationToken
        # All but the signature itself is the same for every request that a client signs on one day.
        prefix, signature = authorization[:-64], authorization[-64:]
        known = self._known.get(prefix)
        fresh = known is None
        if known is None:
            credential, signature = read_credential(authorization)
            known = self._derive(credential)
        credential = known.credential
        key = self._find_key(credential.access_key)
        if key is None:
            raise UnrecognizedClient
        if key != known.signer.key:
            known, fresh = self._derive(credential), True
        if key.token:
            check_token(key, values.get(b"x-amz-security-token", b""), self._clock.now())
        stamp = self._check_time(values, known)
        target = (method, _canonical_path(path), _canonical_query(query) if query else b"")
        headers = signed_headers(values, credential.names, known.signed)
        lines = (*target, headers, b"", known.joined, _payload(values, body))
        expected = sign(known.signing_key, stamp, credential.scope, lines)
        if not hmac.compare_digest(expected, signature):
            raise InvalidSignature
        if fresh and authorization[-74:-64] == b"Signature=":
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[prefix] = known
        return known.signer

    def _derive(self, credential: Credential) -> _Known:
        key = self._find_key(credential.access_key)
        if key is None:
            raise UnrecognizedClient
        signed = frozenset(credential.names)
        if b"host" not in signed:
            raise InvalidSignature("'Host' must be a 'SignedHeader' in the AWS Authorization.")
        signer = Signer(key, credential.region, credential.service)
        joined = b";".join(credential.names)
        return _Known(credential, signed, joined, signer, derive_key(key.secret, credential.scope))

    def _check_time(self, values: Headers, known: _Known) -> bytes:
        """Return the request's time as its signature states it, YYYYMMDDTHHMMSSZ."""
        stamp = stamp_of(values)
        if b"x-amz-date" not in values and b"date" not in known.signed:
            raise InvalidSignature("'Date' must be a 'SignedHeader' in the AWS Authorization.")
        then = epoch(stamp)
        now = self._clock.now()
        if abs(now - then) > self._skew_s:
            raise InvalidSignature(_skew_message(stamp.decode(), then, now, self._skew_s))
        if stamp[:8] != known.credential.date:
            raise InvalidSignature(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{known.credential.date.decode()}' != '{stamp[:8].decode()}', from '{stamp.decode()}'."
            )
        return stamp


def derive_key(secret: str, scope: bytes) -> bytes:
    """Return the key that signs within a scope, ``date/region/service/aws4_request``."""
    signing_key = ("AWS4" + secret).encode()
    for part in scope.split(b"/"):
        signing_key = hmac.digest(signing_key, part, "sha256")
    return signing_key


def signed_headers(values: Headers, names: Iterable[bytes], signed: frozenset[bytes]) -> bytes:
    """Return the canonical headers of ``names``, without the line end of the last one.

    Raises InvalidSignature when one of them is missing, or when the request has an unsigned x-amz- header.
    """
    try:
        lines = b"\n".join([name + b":" + values[name] for name in names])
    except KeyError as missing:
        name = missing.args[0].decode("latin-1")
        raise InvalidSignature(f"The signed header '{name}' is not in the request.") from None
    if b" " in lines or b"\t" in lines:
        trimmed = {name: b" ".join(values[name].split()) for name in names}
        lines = b"\n".join([name + b":" + trimmed[name] for name in names])
    for name in values:
        if name[:6] == b"x-amz-" and name not in signed:
            raise InvalidSignature(
                f"'{name.decode('latin-1')}' must be a 'SignedHeader' in the AWS Authorization."
            )
    return lines


def sign(signing_key: bytes, stamp: bytes, scope: bytes, lines: Iterable[bytes]) -> bytes:
    """Return the signature, in hexadecimal, of a canonical request given by its lines."""
    text = b"\n".join((_ALGORITHM, stamp, scope, sha256(b"\n".join(lines)).hexdigest().encode()))
    return hmac.digest(signing_key, text, "sha256").hex().encode()


def check_token(key: Key, token: bytes, now: float) -> None:
    """Raise UnrecognizedClient for a session's key without its token, ExpiredToken after the session's end."""
    if not hmac.compare_digest(key.token.encode(), token):
        raise UnrecognizedClient
    if now >= key.expires_at:
        raise ExpiredToken


def _payload(values: Headers, body: bytes) -> bytes:
    """Return the payload hash that was signed, after comparing it with the body where it is one."""
    declared = values.get(b"x-amz-content-sha256")
    if declared == _UNSIGNED:
        return declared
    actual = sha256(body).hexdigest().encode()
    if declared is not None and not hmac.compare_digest(declared, actual):
        raise InvalidSignature("The provided 'x-amz-content-sha256' header does not match what was computed.")
    return actual


@functools.lru_cache(maxsize=256)
def _canonical_path(path: bytes) -> bytes:
    if _PLAIN_PATH.fullmatch(path):
        return path
    segments: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            if segments:
                segments.pop()
        elif segment not in (b"", b"."):
            segments.append(segment)
    last = b"/" if path.endswith(b"/") and segments else b""
    return quote(b"/" + b"/".join(segments) + last, safe="/~").encode()


def _canonical_query(query: bytes) -> bytes:
    pairs = sorted(pair.partition(b"=")[::2] for pair in query.split(b"&"))
    return b"&".join(name + b"=" + value for name, value in pairs)


def stamp_of(values: Headers) -> bytes:
    """Return the time a request states, YYYYMMDDTHHMMSSZ. Raises IncompleteSignature."""
    stamp = values.get(b"x-amz-date")
    return _from_date_header(values.get(b"date")) if stamp is None else stamp


@functools.lru_cache(maxsize=256)
def epoch(stamp: bytes) -> int:
    """Return seconds since 1970 of YYYYMMDDTHHMMSSZ. Raises IncompleteSignature."""
    try:
        if len(stamp) != 16:
            raise ValueError
        return calendar.timegm(time.strptime(stamp.decode("ascii"), "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise IncompleteSignature("Date must be in ISO-8601 'basic format', YYYYMMDDTHHMMSSZ.") from None


def _from_date_header(date: bytes | None) -> bytes:
    if date is None:
        raise IncompleteSignature(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    if re.fullmatch(rb"[0-9]{8}T[0-9]{6}Z", date):
        return date
    try:
        moment = parsedate_to_datetime(date.decode("ascii"))
        return _basic(calendar.timegm(moment.utctimetuple())).encode()
    except (ValueError, OverflowError):
        raise IncompleteSignature(
            "Date must be in ISO-8601 'basic format' or as RFC 1123 writes it."
        ) from None


def _basic(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def _skew_message(stamp: str, then: float, now: float, skew_s: float) -> str:
    minutes = f"{skew_s / 60:g} min."
    if then < now:
        edge = f"{_basic(now - skew_s)} ({_basic(now)} - {minutes})"
        return f"Signature expired: {stamp} is now earlier than {edge}"
    edge = f"{_basic(now + skew_s)} ({_basic(now)} + {minutes})"
    return f"Signature not yet current: {stamp} is still later than {edge}"

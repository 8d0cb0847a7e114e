"""Signatures as S3 takes them: in the header, in a presigned URL (versions 4 and 2), and along a streamed body.

Sources: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)" with its chapters on query
parameters and chunked uploads; "Signing and authenticating REST requests" for version 2, which botocore still
presigns with in most regions. The path is signed as it was sent: keys are never normalised.
"""

import base64
import hmac
import re
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

from nextpick.clock import Clock
from nextpick.errors import (
    AccessDenied,
    InvalidSignature,
    MissingAuthenticationToken,
    ServiceError,
    UnrecognizedClient,
)
from nextpick.names import Key
from nextpick.wire import sigv4
from nextpick.wire.sigv4 import Headers

_LONGEST_PRESIGNED_S = 7 * 24 * 3600
_UNSIGNED = b"UNSIGNED-PAYLOAD"
_STREAMED = b"STREAMING-"
_EMPTY = sha256(b"").hexdigest()

# Parameters of a URL that version 2 signs.
_RESPONSES = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
_SIGNED_PARAMETERS = frozenset(f"response-{name}" for name in _RESPONSES) | frozenset(
    "accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location logging metrics "  # noqa: SIM905
    "notification object-lock partNumber policy replication requestPayment restore select select-type "
    "storageClass tagging torrent uploadId uploads versionId versioning versions website".split()
)


class RequestTimeTooSkewed(ServiceError):
    """The difference between the request time and the server's time is too large."""

    status, code = 403, "RequestTimeTooSkewed"


class Chain(NamedTuple):
    """What the signatures of a streamed body's chunks go on from."""

    key: bytes
    stamp: bytes
    scope: bytes
    seed: bytes


class Proof(NamedTuple):
    """Who signed a request, and what its body must be.

    ``digest`` is the body's SHA-256 in hexadecimal, None where it was not signed. ``form`` is the value of
    x-amz-content-sha256 for a body in chunks, with ``chain`` where each chunk is signed.
    """

    key: Key
    region: str
    digest: str | None
    form: str | None = None
    chain: Chain | None = None


class S3Verifier:
    """Checks signatures with the keys that ``find_key`` knows. The body is checked by who reads it."""

    def __init__(self, find_key: Callable[[str], Key | None], clock: Clock, skew_s: float) -> None:
        self._find_key, self._clock, self._skew_s = find_key, clock, skew_s

    def verify(self, method: bytes, path: bytes, query: bytes, values: Headers) -> Proof:
        """Return who signed the request, from its header or its URL.

        Raises MissingAuthenticationToken, IncompleteSignature, UnrecognizedClient, ExpiredToken,
        InvalidSignature, RequestTimeTooSkewed, or AccessDenied for a URL that has expired.
        """
        if b"authorization" in values:
            return self._verify_header(method, path, query, values)
        pairs = _pairs(query)
        parameters = dict(pairs)
        if "X-Amz-Signature" in parameters:
            return self._verify_url(method, path, pairs, values)
        if "AWSAccessKeyId" in parameters:
            return self._verify_url_2(method, path, pairs, values)
        raise MissingAuthenticationToken

    def _key(self, access_key: str, token: bytes) -> Key:
        key = self._find_key(access_key)
        if key is None:
            raise UnrecognizedClient
        if key.token:
            sigv4.check_token(key, token, self._clock.now())
        return key

    def _verify_header(self, method: bytes, path: bytes, query: bytes, values: Headers) -> Proof:
        credential, signature = sigv4.read_credential(values[b"authorization"])
        key = self._key(credential.access_key, values.get(b"x-amz-security-token", b""))
        stamp = sigv4.stamp_of(values)
        if abs(self._clock.now() - sigv4.epoch(stamp)) > self._skew_s:
            raise RequestTimeTooSkewed
        if stamp[:8] != credential.date:
            raise InvalidSignature("The date of the credential's scope is not that of the request.")
        payload = values.get(b"x-amz-content-sha256", _UNSIGNED)
        signed = frozenset(credential.names)
        headers = sigv4.signed_headers(values, credential.names, signed)
        target = (method, _canonical_path(path), _canonical_query(_pairs(query)))
        lines = (*target, headers, b"", b";".join(credential.names), payload)
        signing_key = sigv4.derive_key(key.secret, credential.scope)
        if not hmac.compare_digest(sigv4.sign(signing_key, stamp, credential.scope, lines), signature):
            raise InvalidSignature
        if payload == _UNSIGNED:
            return Proof(key, credential.region, None)
        if payload.startswith(_STREAMED):
            chain = Chain(signing_key, stamp, credential.scope, signature)
            signs = payload.startswith(b"STREAMING-AWS4-HMAC-SHA256-")
            return Proof(key, credential.region, None, payload.decode("latin-1"), chain if signs else None)
        if not re.fullmatch(rb"[0-9a-fA-F]{64}", payload):
            raise InvalidSignature(
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-…, or a SHA-256."
            )
        return Proof(key, credential.region, payload.decode().lower())

    def _verify_url(self, method: bytes, path: bytes, pairs: list[tuple[str, str]], values: Headers) -> Proof:
        parameters = dict(pairs)
        authorization = (
            f"{parameters.get('X-Amz-Algorithm', '')} Credential={parameters.get('X-Amz-Credential', '')}, "
            f"SignedHeaders={parameters.get('X-Amz-SignedHeaders', '')}, Signature={parameters['X-Amz-Signature']}"
        )
        credential, signature = sigv4.read_credential(authorization.encode())
        key = self._key(credential.access_key, parameters.get("X-Amz-Security-Token", "").encode())
        stamp = parameters.get("X-Amz-Date", "").encode()
        begins, now = sigv4.epoch(stamp), self._clock.now()
        expires = parameters.get("X-Amz-Expires", "")
        if not re.fullmatch("[0-9]{1,7}", expires) or not 0 < int(expires) <= _LONGEST_PRESIGNED_S:
            raise AccessDenied(f"X-Amz-Expires must be between 1 and {_LONGEST_PRESIGNED_S} seconds.")
        if begins - now > self._skew_s:
            raise AccessDenied("Request is not yet valid")
        if now > begins + int(expires):
            raise AccessDenied("Request has expired")
        names = frozenset(credential.names)
        headers = sigv4.signed_headers(values, credential.names, names)
        query = _canonical_query([pair for pair in pairs if pair[0] != "X-Amz-Signature"])
        target = (method, _canonical_path(path), query)
        payload = (
            values.get(b"x-amz-content-sha256", _UNSIGNED) if b"x-amz-content-sha256" in names else _UNSIGNED
        )
        lines = (*target, headers, b"", b";".join(credential.names), payload)
        signing_key = sigv4.derive_key(key.secret, credential.scope)
        if not hmac.compare_digest(sigv4.sign(signing_key, stamp, credential.scope, lines), signature):
            raise InvalidSignature
        return Proof(key, credential.region, None)

    def _verify_url_2(
        self, method: bytes, path: bytes, pairs: list[tuple[str, str]], values: Headers
    ) -> Proof:
        parameters = dict(pairs)
        key = self._key(parameters["AWSAccessKeyId"], parameters.get("x-amz-security-token", "").encode())
        expires = parameters.get("Expires", "")
        if not re.fullmatch("[0-9]{1,12}", expires) or self._clock.now() > int(expires):
            raise AccessDenied("Request has expired")
        amz = {name.decode("latin-1"): value.decode("latin-1") for name, value in values.items()}
        amz = {name: value for name, value in amz.items() if name.startswith("x-amz-")}
        if "x-amz-security-token" in parameters:
            amz["x-amz-security-token"] = parameters["x-amz-security-token"]
        headers = "".join(f"{name}:{value.strip()}\n" for name, value in sorted(amz.items()))
        signed = sorted((name, value) for name, value in pairs if name in _SIGNED_PARAMETERS)
        resource = path.decode("latin-1")
        if signed:
            resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
        # Clients that presign a content type or MD5 put it into the URL as well.
        kind = [
            values.get(name, parameters.get(name.decode(), "").encode()).decode("latin-1")
            for name in (b"content-md5", b"content-type")
        ]
        text = "\n".join((method.decode(), *kind, expires, headers + resource))
        expected = base64.b64encode(hmac.digest(key.secret.encode(), text.encode(), "sha1")).decode()
        if not hmac.compare_digest(expected, parameters.get("Signature", "")):
            raise InvalidSignature
        return Proof(key, "", None)


def chunk_signature(chain: Chain, previous: bytes, digest: str) -> bytes:
    """Return the signature of a chunk whose SHA-256 is ``digest``, after a chunk signed ``previous``."""
    text = (b"AWS4-HMAC-SHA256-PAYLOAD", chain.stamp, chain.scope, previous, _EMPTY.encode(), digest.encode())
    return hmac.digest(chain.key, b"\n".join(text), "sha256").hex().encode()


def trailer_signature(chain: Chain, previous: bytes, trailers: bytes) -> bytes:
    """Return the signature of the trailing headers, lines ``name:value`` that end with a line feed each."""
    digest = sha256(trailers).hexdigest().encode()
    text = (b"AWS4-HMAC-SHA256-TRAILER", chain.stamp, chain.scope, previous, digest)
    return hmac.digest(chain.key, b"\n".join(text), "sha256").hex().encode()


def parameters_of(query: bytes) -> dict[str, str]:
    """Return the parameters of a query, decoded; the last one of a name counts."""
    return dict(_pairs(query))


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """Return names and values of a query, decoded; a name without ``=`` has an empty value."""
    pieces = (piece.partition("=")[::2] for piece in query.decode("latin-1").split("&") if piece)
    return [(unquote(name), unquote(value)) for name, value in pieces]


def _canonical_path(path: bytes) -> bytes:
    return quote(unquote_to_bytes(path), safe="/-_.~").encode()


def _canonical_query(pairs: list[tuple[str, str]]) -> bytes:
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded).encode()

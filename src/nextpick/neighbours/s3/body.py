"""An uploaded body: taken out of its chunks, hashed, written, and compared with what the client said of it.

Source: Amazon S3 API Reference, "Signature calculations for the Authorization header: transferring payload in
multiple chunks", and its chapter on trailing headers.
"""

import base64
import hmac
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from hashlib import sha256
from typing import Any

from nextpick.errors import InvalidSignature
from nextpick.neighbours.s3 import checksums
from nextpick.neighbours.s3.errors import (
    BadDigest,
    IncompleteBody,
    InvalidDigest,
    InvalidRequest,
    XAmzContentSHA256Mismatch,
)
from nextpick.wire.sigv4 import Headers
from nextpick.wire.sigv4_s3 import Chain, Proof, chunk_signature, trailer_signature

_PREFIX = b"x-amz-checksum-"
_LONGEST_LINE = 16 * 1024
_HEAD = re.compile(rb"([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?")


class Body:
    """Takes a body in pieces and gives them to ``write``; not for more than one thread at a time.

    After ``finish``, ``etag`` is its MD5 in hexadecimal, ``size`` its bytes, and ``checksums`` has what the
    client sent, verified.
    """

    def __init__(
        self, values: Headers, proof: Proof, write: Callable[[Any], None], hasher: Executor | None = None
    ) -> None:
        """With a ``hasher`` the MD5, which takes longest, is made there, beside all the rest.

        Raises InvalidDigest or InvalidRequest for headers that make no sense.
        """
        self._proof, self._write, self._hasher = proof, write, hasher
        self._hashing: Future[None] | None = None
        self._md5, self._sent_md5 = checksums.new("MD5"), _md5_of(values)
        self._sha256 = sha256() if proof.digest else None
        self._expected = {
            k[len(_PREFIX) :].decode().upper(): v.decode("latin-1") for k, v in values.items() if _sent(k)
        }
        trailing = values.get(b"x-amz-trailer", b"").lower().split(b",")
        self._announced = [
            n.strip()[len(_PREFIX) :].decode().upper() for n in trailing if n.strip().startswith(_PREFIX)
        ]
        self._digests = {name: checksums.new(name) for name in (*self._expected, *self._announced)}
        chunked = proof.form is not None
        self._chunks = _Chunks(proof.chain, bool(self._announced)) if chunked else None
        declared = values.get(b"x-amz-decoded-content-length" if chunked else b"content-length")
        if declared is not None and not re.fullmatch(rb"[0-9]{1,16}", declared):
            raise InvalidRequest(f"The length {declared[:50].decode('latin-1')} is not a number of bytes.")
        self.declared = None if declared is None else int(declared)
        self.size = 0
        self.checksums: dict[str, str] = {}

    def feed(self, pieces: list[Any]) -> None:
        """Take what has arrived. Raises InvalidSignature, IncompleteBody, or OSError."""
        if self._chunks is not None:
            pieces = [data for piece in pieces for data in self._chunks.feed(piece)]
        # As one piece: each call on one lets go of the interpreter and has to get it back.
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._wait()
        if self._hasher is not None:
            self._hashing = self._hasher.submit(self._md5.update, data)
        else:
            self._md5.update(data)
        self.size += len(data)
        if self._sha256 is not None:
            self._sha256.update(data)
        for digest in self._digests.values():
            digest.update(data)
        self._write(data)

    def _wait(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def finish(self) -> None:
        """Compare all that the client said with what came.

        Raises IncompleteBody, BadDigest, XAmzContentSHA256Mismatch or InvalidSignature.
        """
        self._wait()
        if self._chunks is not None:
            self._expected |= self._chunks.finish()
        if self.declared is not None and self.size != self.declared:
            raise IncompleteBody
        if self._sha256 is not None and self._sha256.hexdigest() != self._proof.digest:
            raise XAmzContentSHA256Mismatch(
                ClientComputedContentSHA256=self._proof.digest or "",
                S3ComputedContentSHA256=self._sha256.hexdigest(),
            )
        if self._sent_md5 is not None and self._md5.digest() != self._sent_md5:
            raise BadDigest("The Content-MD5 you specified did not match what we received.")
        for name, digest in self._digests.items():
            if name not in self._expected:
                raise InvalidRequest(f"The trailing header x-amz-checksum-{name.lower()} did not come.")
            computed = checksums.base64_of(digest.digest())
            if computed != self._expected[name]:
                raise BadDigest(f"The {name} you specified did not match the calculated checksum.")
            self.checksums[name] = computed

    @property
    def etag(self) -> str:
        """The MD5 of what has come, in hexadecimal."""
        return self._md5.digest().hex()


def _sent(name: bytes) -> bool:
    return name.startswith(_PREFIX) and name[len(_PREFIX) :].decode("latin-1").upper() in checksums.ALGORITHMS


def _md5_of(values: Headers) -> bytes | None:
    text = values.get(b"content-md5")
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != 16:
        raise InvalidDigest
    return digest


class _Chunks:
    """Takes a body in the aws-chunked encoding apart, checking the signature of each chunk that has one."""

    def __init__(self, chain: Chain | None, has_trailers: bool) -> None:
        self._chain, self._has_trailers = chain, has_trailers
        self._previous = chain.seed if chain else b""
        self._line = b""
        self._left = 0  # of the chunk being read
        self._state = "head"
        self._hash = sha256()
        self._signature = b""
        self._trailers: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[memoryview]:
        """Yield the payload in a piece. Raises IncompleteBody or InvalidSignature."""
        view, at = memoryview(piece), 0
        while at < len(view):
            if self._state == "data":
                data = view[at : at + self._left]
                at += len(data)
                self._left -= len(data)
                if self._chain:
                    self._hash.update(data)
                yield data
                if not self._left:
                    self._end_chunk()
                    self._state = "data end"
                continue
            end = piece.find(b"\n", at)
            stop = len(view) if end < 0 else end + 1
            self._line += bytes(view[at:stop])
            at = stop
            if len(self._line) > _LONGEST_LINE:
                raise IncompleteBody("A chunk's header is too long.")
            if end >= 0:
                line, self._line = self._line.rstrip(b"\r\n"), b""
                self._take(line)

    def _take(self, line: bytes) -> None:
        """Take a line that is no payload."""
        if self._state == "data end":
            self._state = "head"
        elif self._state == "head":
            match = _HEAD.fullmatch(line)
            if match is None or (self._chain and match[2] is None):
                raise IncompleteBody(f"{line[:100].decode('latin-1')} is no chunk's header.")
            self._left, self._signature = int(match[1], 16), match[2] or b""
            self._hash = sha256()
            if self._left:
                self._state = "data"
            else:
                self._end_chunk()
                self._state = "trailers"
        elif line:
            self._trailers.append(line)
        else:
            self._state = "end"

    def _end_chunk(self) -> None:
        if self._chain is None:
            return
        expected = chunk_signature(self._chain, self._previous, self._hash.hexdigest())
        if not hmac.compare_digest(expected, self._signature):
            raise InvalidSignature("The signature of a chunk does not match.")
        self._previous = expected

    def finish(self) -> dict[str, str]:
        """Return the checksums in the trailing headers. Raises IncompleteBody or InvalidSignature."""
        if self._state not in ("trailers", "end"):
            raise IncompleteBody("The body ended before its last chunk.")
        if self._line.strip():
            self._trailers.append(self._line.strip())
        pairs = [line.partition(b":")[::2] for line in self._trailers]
        trailers = {name.strip().lower(): value.strip() for name, value in pairs}
        signature = trailers.pop(b"x-amz-trailer-signature", None)
        if self._chain is not None and self._has_trailers:
            signed = b"".join(name + b":" + value + b"\n" for name, value in sorted(trailers.items()))
            expected = trailer_signature(self._chain, self._previous, signed)
            if signature is None or not hmac.compare_digest(expected, signature):
                raise InvalidSignature("The signature of the trailing headers does not match.")
        return {
            name[len(_PREFIX) :].decode().upper(): value.decode("latin-1")
            for name, value in trailers.items()
            if _sent(name)
        }

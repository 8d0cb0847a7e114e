"""S3's ASGI application: verifies, finds the operation, streams bodies in and out, answers in XML."""

import asyncio
import base64
import hashlib
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from nextpick.errors import AccessDenied, InternalFailure, Serialization, ServiceError
from nextpick.names import Key
from nextpick.neighbours.s3 import buckets, multipart, objects
from nextpick.neighbours.s3.body import Body
from nextpick.neighbours.s3.context import HANDLERS, Context, Download, Reply, Request, Services
from nextpick.neighbours.s3.errors import (
    EntityTooLarge,
    InvalidPart,
    InvalidRequest,
    KeyTooLongError,
    MethodNotAllowed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NotSpoken,
    S3Error,
    code_of,
)
from nextpick.store import buckets as store
from nextpick.wire import restxml, xmltext
from nextpick.wire.asgi import ASGIApp, Receive, Scope, Send
from nextpick.wire.caller import refuse_foreign_page
from nextpick.wire.dispatch import Call
from nextpick.wire.reading import Bodies, Gone
from nextpick.wire.restxml import Query, Target
from nextpick.wire.shapes import service
from nextpick.wire.sigv4 import Headers, header_map, read_credential
from nextpick.wire.sigv4_s3 import Proof, S3Verifier, parameters_of

_log = logging.getLogger("nextpick.s3")

_BATCH = 1 << 20  # bytes that are hashed and written at a time, and read at a time
_HASHERS = 4
_LARGEST_PUT = 5 * 1024**3
UPLOADS = ("PutObject", "UploadPart")  # whose bodies are streamed

# Root elements of answers, where they are not called as the operation and "Result".
_ROOTS = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "UploadPartCopy": "CopyPartResult",
}

# What the store says, in S3's words.
_STORE_ERRORS: dict[type[Exception], type[S3Error]] = {
    store.NoSuchBucket: NoSuchBucket,
    store.NoSuchKey: NoSuchKey,
    store.NoSuchUpload: NoSuchUpload,
    store.KeyTooLong: KeyTooLongError,
    store.InvalidPart: InvalidPart,
    store.Blocked: InvalidRequest,
}


def s3_app(
    services: Services, find_key: Callable[[str], Key | None], bodies: Bodies, pool: Executor, auth: bool
) -> ASGIApp:
    """Return the application; everything that touches the disk runs in ``pool``."""
    return _App(services, find_key, bodies, pool, auth)


class _App:
    def __init__(
        self,
        services: Services,
        find_key: Callable[[str], Key | None],
        bodies: Bodies,
        pool: Executor,
        auth: bool,
    ) -> None:
        self.services, self.find_key, self.bodies, self.pool, self.auth = (
            services,
            find_key,
            bodies,
            pool,
            auth,
        )
        self.hasher = ThreadPoolExecutor(_HASHERS, thread_name_prefix="nextpick-md5")
        self.verifier = S3Verifier(find_key, services.clock, services.settings.clock_skew_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = secrets.token_hex(8).upper()
        try:
            await self.serve(scope, receive, send, request_id)
        except ServiceError as error:
            await _fail(scope, send, error, request_id)
        except Gone:
            return
        except tuple(_STORE_ERRORS) as error:
            await _fail(scope, send, _STORE_ERRORS[type(error)](), request_id)
        except OSError as error:
            _log.error("request %s: %s", request_id, error)
            await _fail(scope, send, InternalFailure(f"The disk refused: {error.strerror}."), request_id)
        except Exception:
            _log.exception("request %s: %s %s failed", request_id, scope["method"], scope["path"])
            await _fail(scope, send, InternalFailure(), request_id)

    async def serve(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        values, query = header_map(scope["headers"]), parameters_of(scope["query_string"])
        proof = self.prove(scope, values)
        method = scope["method"]
        target = restxml.find_operation("s3", method, scope["raw_path"], query, values)
        if target is None:
            raise _unknown(method, restxml.split_path(scope["raw_path"]))
        client = scope.get("client") or ("",)
        call = Call(
            proof.key.account,
            proof.region or self.services.settings.region,
            proof.key.access_key,
            request_id,
            target.operation,
            proof.key.principal,
            client[0],
        )
        ctx = Context(self.services, call, values)
        if target.operation in UPLOADS:
            reply = await self.upload(ctx, target, query, proof, receive)
        elif target.operation in HANDLERS:
            body = await self.bodies.read(receive, values)
            reply = await self.run(_handle, ctx, target, query, values, proof, body)
        else:
            raise NotSpoken(f"nextpick's S3 does not speak {target.operation}.")
        await self.answer(scope, receive, send, target, reply, request_id)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    def prove(self, scope: Scope, values: Headers) -> Proof:
        """Return who signed the request; without authentication, who it says it is."""
        if self.auth:
            method, path = scope["method"].encode(), scope["raw_path"]
            return self.verifier.verify(method, path, scope["query_string"], values)
        refuse_foreign_page(values)
        key, region = Key("", "", self.services.settings.account), ""
        try:
            credential, _ = read_credential(values.get(b"authorization", b""))
            region = credential.region
            key = self.find_key(credential.access_key) or key
        except ServiceError:
            pass  # presigned, or not signed at all
        form = values.get(b"x-amz-content-sha256", b"").decode("latin-1")
        return Proof(
            key._replace(principal=""), region, None, form if form.startswith("STREAMING-") else None
        )

    async def upload(
        self, ctx: Context, target: Target, query: Query, proof: Proof, receive: Receive
    ) -> Reply:
        """Stream a body to the disk: one batch is hashed and written while the next one arrives."""
        request = restxml.read_request("s3", target, query, ctx.values, None)
        draft = await self.run(_begin, ctx, target, request, proof)
        try:
            body = Body(ctx.values, proof, draft.write, self.hasher)
            if body.declared is not None and body.declared > _LARGEST_PUT:
                raise EntityTooLarge(ProposedSize=str(body.declared), MaxSizeAllowed=str(_LARGEST_PUT))
            writing: asyncio.Future[None] | None = None
            batch: list[bytes] = []
            size, more = 0, True
            try:
                while more:
                    piece, more = await self.bodies.piece(receive)
                    batch.append(piece)
                    size += len(piece)
                    if size >= _BATCH or not more:
                        if writing is not None:
                            await writing
                        writing = asyncio.ensure_future(self.run(body.feed, batch))
                        batch, size = [], 0
                    if body.size > _LARGEST_PUT:
                        raise EntityTooLarge(MaxSizeAllowed=str(_LARGEST_PUT))
            finally:
                if writing is not None:  # the draft must not be discarded under a thread that writes it
                    await asyncio.wait([writing])
            if writing is not None:
                await writing
            return await self.run(_finish, ctx, target, request, draft, body)
        finally:
            await self.run(draft.discard)

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, target: Target, reply: Reply, request_id: str
    ) -> None:
        operation = target.operation
        headers = list(restxml.answer_headers("s3", operation, reply.members))
        headers += _identity(request_id)
        status = reply.status or service("s3").operations[operation].status
        if reply.download is not None:
            await self.download(receive, send, status, headers, reply.download)
            return
        if scope["method"] == "HEAD":
            headers = [header for header in headers if header[0] != b"content-length"]
            headers.append((b"content-length", b"%d" % (reply.length or 0)))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        body = reply.body
        if body is None:
            root = _ROOTS.get(operation, f"{operation}Result")
            body = restxml.answer_body("s3", operation, reply.members, root, buckets.NAMESPACE)
        if body:
            kind = b"application/json" if body.startswith(b"{") else b"application/xml"
            headers.append((b"content-type", kind))
        if status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def download(
        self,
        receive: Receive,
        send: Send,
        status: int,
        headers: list[tuple[bytes, bytes]],
        download: Download,
    ) -> None:
        """Send a file's bytes as fast as they are taken, and stop when nobody takes them any more."""
        file, (start, end) = download
        gone = asyncio.ensure_future(receive())
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            file.seek(start)
            left = end - start
            while left and not gone.done():
                data = await self.run(file.read, min(_BATCH, left))
                if not data:
                    # Shorter than it was: only a broken connection tells the client that it has not got all.
                    raise Gone
                left -= len(data)
                await send({"type": "http.response.body", "body": data, "more_body": left > 0})
            if end == start:
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            file.close()


def _context_keys(request: Request) -> dict[str, str]:
    """Return the condition keys that lists have."""
    members = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}
    return {key: str(request[name]) for name, key in members.items() if name in request}


def _handle(ctx: Context, target: Target, query: Query, values: Headers, proof: Proof, body: bytes) -> Reply:
    payload: list[Any] = []
    checked = Body(values, proof, payload.append)
    checked.feed([body])
    checked.finish()
    request = restxml.read_request("s3", target, query, values, b"".join(payload))
    if target.operation != "DeleteObjects":  # which asks for each of them
        lists = target.operation.startswith("List")
        keys = _context_keys(request) if lists else {}
        ctx.require(target.operation, target.bucket, target.key, keys)
    return HANDLERS[target.operation](ctx, request)


def _begin(ctx: Context, target: Target, request: Request, proof: Proof) -> Any:
    """Return what the body is written to, after all has been checked that can be checked before it comes."""
    ctx.require(target.operation, target.bucket, target.key)
    ctx.bucket(target.bucket)
    if target.operation == "PutObject":
        objects.new_meta(request, objects.expires_of(ctx))
        return ctx.buckets.begin(target.bucket)
    multipart.find_upload(ctx, request)
    size = Body(ctx.values, proof, lambda data: None).declared
    return ctx.buckets.begin_part(target.bucket, request["UploadId"], multipart.part_number(request), size)


def _finish(ctx: Context, target: Target, request: Request, draft: Any, body: Body) -> Reply:
    body.finish()
    if target.operation == "PutObject":
        return objects.put_object(ctx, request, draft, body)
    return multipart.put_part(ctx, request, draft, body)


def _unknown(method: str, path: tuple[str, str]) -> S3Error:
    if method == "POST" and path[0] and not path[1]:
        return NotSpoken("nextpick's S3 does not speak PostObject, the upload by a form.")
    return MethodNotAllowed(Method=method)


def _identity(request_id: str) -> list[tuple[bytes, bytes]]:
    host_id = base64.b64encode(hashlib.sha256(request_id.encode()).digest())
    return [(b"x-amz-request-id", request_id.encode()), (b"x-amz-id-2", host_id)]


async def _fail(scope: Scope, send: Send, error: ServiceError, request_id: str) -> None:
    code, status = code_of(error)
    if isinstance(error, Serialization) and scope["method"] in ("GET", "HEAD"):
        code = "InvalidArgument"
    headers = _identity(request_id)
    body = b""
    if scope["method"] != "HEAD" and status != 304:
        details = {"Code": code, "Message": error.message, **getattr(error, "details", {})}
        details |= {"Resource": scope["path"], "RequestId": request_id}
        inner = "".join(f"<{name}>{xmltext.text_of(text)}</{name}>" for name, text in details.items())
        body = (xmltext.DECLARATION + f"<Error>{inner}</Error>").encode()
        headers.append((b"content-type", b"application/xml"))
    if isinstance(error, AccessDenied):
        headers.append((b"x-amzn-errortype", code.encode()))
    if status != 304:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

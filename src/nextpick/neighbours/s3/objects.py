"""Operations on objects."""

from typing import Any
from urllib.parse import quote

from nextpick.errors import AccessDenied
from nextpick.neighbours.s3 import checksums, conditions
from nextpick.neighbours.s3.body import Body
from nextpick.neighbours.s3.buckets import acl, owner_of
from nextpick.neighbours.s3.context import HANDLERS, Context, Download, Reply, Request
from nextpick.neighbours.s3.errors import (
    InvalidArgument,
    InvalidPart,
    InvalidRequest,
    MalformedXML,
    NoSuchBucket,
    NoSuchKey,
    PreconditionFailed,
)
from nextpick.neighbours.s3.metadata import checksum_members, new_meta, quoted, refuse_not_spoken, shown
from nextpick.store.buckets import Draft, Meta, Stored
from nextpick.store.buckets import NoSuchKey as Missing
from nextpick.wire.restxml import split_path

_MOST_LISTED = 1000
_BLOCK = 1 << 20


def expires_of(ctx: Context) -> str | None:
    """Return the Expires header as it was sent, which need not be a date."""
    text = ctx.values.get(b"expires")
    return text.decode("latin-1") if text else None


def write_condition(request: Request, key: str) -> Any:
    """Return what decides, of the object that is there, whether it may be replaced."""
    if_match, if_none_match = request.get("IfMatch"), request.get("IfNoneMatch")

    def check(current: Stored | None) -> None:
        if (
            if_none_match is not None
            and current is not None
            and conditions.matches(if_none_match, current.meta.etag)
        ):
            raise PreconditionFailed(Condition="If-None-Match")
        if if_match is not None:
            if current is None:
                raise NoSuchKey(Key=key)
            if not conditions.matches(if_match, current.meta.etag):
                raise PreconditionFailed(Condition="If-Match")

    return check if (if_match, if_none_match) != (None, None) else None


def put_object(ctx: Context, request: Request, draft: Draft, body: Body) -> Reply:
    """Make what was uploaded the object."""
    meta = new_meta(request, expires_of(ctx))
    meta.etag, meta.checksums = body.etag, body.checksums
    key = request["Key"]
    stored = ctx.buckets.commit(draft, request["Bucket"], key, meta, check=write_condition(request, key))
    ctx.created(request["Bucket"], stored, "Put")
    return Reply({"ETag": quoted(stored.meta.etag), **checksum_members(stored.meta)})


def _open(ctx: Context, request: Request, *, reads: bool) -> Reply:
    bucket, key = request["Bucket"], request["Key"]
    refuse_not_spoken(request)
    ctx.bucket(bucket)
    try:
        stored, file = ctx.buckets.open(bucket, key)
    except Missing:
        raise NoSuchKey(Key=key) from None
    try:
        conditions.check_read(request, stored.meta.etag, stored.modified_at)
        span, part = _span(ctx, request, stored), request.get("PartNumber")
        members = shown(stored, request, whole=span is None)
        whole = conditions.Span(0, stored.size)
        taken = span or whole
        members["ContentLength"] = taken.end - taken.start
        if span is not None:
            members["ContentRange"] = f"bytes {span.start}-{span.end - 1}/{stored.size}"
        if part is not None and stored.meta.parts:
            members["PartsCount"] = len(stored.meta.parts)
        status = 200 if span is None else 206
    except BaseException:
        file.close()
        raise
    if reads:
        return Reply(members, status=status, download=Download(file, taken))
    file.close()
    return Reply(members, status=status, length=members["ContentLength"])


def _span(ctx: Context, request: Request, stored: Stored) -> conditions.Span | None:
    number = request.get("PartNumber")
    if number is not None:
        sizes = stored.meta.parts or [stored.size]
        if not 1 <= number <= len(sizes):
            raise InvalidPart("The requested partnumber is not satisfiable")
        start = sum(sizes[: number - 1])
        return conditions.Span(start, start + sizes[number - 1]) if stored.size else None
    if_range = ctx.values.get(b"if-range", b"").decode("latin-1").strip('"')
    if if_range and if_range != stored.meta.etag:
        return None
    return conditions.find_span(request.get("Range"), stored.size)


@HANDLERS.operation("GetObject")
def get_object(ctx: Context, request: Request) -> Reply:
    return _open(ctx, request, reads=True)


@HANDLERS.operation("HeadObject")
def head_object(ctx: Context, request: Request) -> Reply:
    return _open(ctx, request, reads=False)


@HANDLERS.operation("GetObjectAcl")
def get_object_acl(ctx: Context, request: Request) -> Reply:
    bucket = ctx.bucket(request["Bucket"])
    if ctx.buckets.stat(bucket.name, request["Key"]) is None:
        raise NoSuchKey(Key=request["Key"])
    return acl(ctx, bucket)


@HANDLERS.operation("DeleteObject")
def delete_object(ctx: Context, request: Request) -> Reply:
    refuse_not_spoken(request)
    ctx.bucket(request["Bucket"])
    check = write_condition(request, request["Key"])
    ctx.buckets.remove(request["Bucket"], request["Key"], check=check)
    return Reply({})


@HANDLERS.operation("DeleteObjects")
def delete_objects(ctx: Context, request: Request) -> Reply:
    bucket, asked = ctx.bucket(request["Bucket"]).name, request.get("Delete", {})
    objects = asked.get("Objects", [])
    if not 1 <= len(objects) <= _MOST_LISTED or any(not one.get("Key") for one in objects):
        raise MalformedXML
    deleted, errors = [], []
    for one in objects:
        key = one["Key"]
        try:
            ctx.require("DeleteObjects", bucket, key)
            refuse_not_spoken(one)
            ctx.buckets.remove(bucket, key)
            deleted.append({"Key": key})
        except AccessDenied as error:
            errors.append({"Key": key, "Code": "AccessDenied", "Message": error.message})
    return Reply({"Deleted": None if asked.get("Quiet") else deleted, "Errors": errors})


def source_of(ctx: Context, request: Request) -> tuple[str, str]:
    """Return bucket and key that a copy reads, after asking whether the caller may. Raises InvalidArgument."""
    text, _, version = request["CopySource"].partition("?versionId=")
    if version not in ("", "null"):
        raise InvalidArgument(f"The version {version} does not exist.", ArgumentName="x-amz-copy-source")
    bucket, key = split_path(b"/" + text.removeprefix("/").encode())
    if not (bucket and key):
        raise InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
        )
    ctx.require("GetObject", bucket, key)
    return bucket, key


def open_source(ctx: Context, request: Request, bucket: str, key: str) -> tuple[Stored, Any]:
    """Open the object that a copy reads. Raises NoSuchBucket, NoSuchKey, or PreconditionFailed."""
    if ctx.buckets.find(bucket) is None:
        raise NoSuchBucket(BucketName=bucket)
    try:
        stored, file = ctx.buckets.open(bucket, key)
    except Missing:
        raise NoSuchKey(Key=key) from None
    try:
        conditions.check_read(request, stored.meta.etag, stored.modified_at, "CopySource")
    except BaseException:
        file.close()
        raise
    return stored, file


@HANDLERS.operation("CopyObject")
def copy_object(ctx: Context, request: Request) -> Reply:
    bucket, key = ctx.bucket(request["Bucket"]).name, request["Key"]
    replaces = request.get("MetadataDirective", "COPY").upper() == "REPLACE"
    given, source = new_meta(request, expires_of(ctx)), source_of(ctx, request)
    if source == (bucket, key) and not replaces:
        raise InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )
    stored, file = open_source(ctx, request, *source)
    with file, ctx.buckets.begin(bucket) as draft:
        meta = (
            given if replaces else Meta(**{f: getattr(stored.meta, f) for f in stored.meta.__struct_fields__})
        )
        meta.etag, meta.checksums, meta.parts = copy_bytes(file, draft, stored)
        made = ctx.buckets.commit(draft, bucket, key, meta, check=write_condition(request, key))
        ctx.created(bucket, made, "Copy")
    return Reply({"CopyObjectResult": {"ETag": quoted(made.meta.etag), "LastModified": made.modified_at}})


def copy_bytes(file: Any, draft: Draft, stored: Stored) -> tuple[str, dict[str, str], None]:
    """Copy an object's bytes; return their entity tag, the checksums that still hold, and that there are no parts."""
    md5 = checksums.new("MD5")
    while block := file.read(_BLOCK):
        md5.update(block)
        draft.write(block)
    kept = {name: value for name, value in stored.meta.checksums.items() if "-" not in value}
    return md5.digest().hex(), kept, None


@HANDLERS.operation("ListObjects")
def list_objects(ctx: Context, request: Request) -> Reply:
    members, last, more = _listing(ctx, request, request.get("Marker", ""))
    members["Marker"] = _encoded(request, request.get("Marker", ""))
    if more and request.get("Delimiter"):
        members["NextMarker"] = _encoded(request, last)
    return Reply(members)


@HANDLERS.operation("ListObjectsV2")
def list_objects_v2(ctx: Context, request: Request) -> Reply:
    token = request.get("ContinuationToken")
    if token == "":
        raise InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        )
    after = _position(token) if token is not None else request.get("StartAfter", "")
    members, last, more = _listing(ctx, request, after, with_owner=request.get("FetchOwner", False))
    members["KeyCount"] = len(members["Contents"]) + len(members["CommonPrefixes"])
    members["ContinuationToken"] = token
    if "StartAfter" in request:
        members["StartAfter"] = _encoded(request, request["StartAfter"])
    if more:
        members["NextContinuationToken"] = last.encode().hex()
    return Reply(members)


@HANDLERS.operation("ListObjectVersions")
def list_object_versions(ctx: Context, request: Request) -> Reply:
    """In a bucket that never had versions each object is its own latest one, called null."""
    members, last, more = _listing(ctx, request, request.get("KeyMarker", ""))
    owner = owner_of(ctx, ctx.bucket(request["Bucket"]))
    members["Versions"] = [
        {**one, "VersionId": "null", "IsLatest": True, "Owner": owner} for one in members.pop("Contents")
    ]
    members["KeyMarker"] = _encoded(request, request.get("KeyMarker", ""))
    if more:
        members |= {"NextKeyMarker": _encoded(request, last), "NextVersionIdMarker": "null"}
    return Reply(members)


def _position(token: str) -> str:
    try:
        return bytes.fromhex(token).decode()
    except ValueError:
        raise InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        ) from None


def _encoded(request: Request, text: str) -> str:
    return quote(text, safe="/*-._") if request.get("EncodingType") == "url" else text


def _listing(
    ctx: Context, request: Request, after: str, *, with_owner: bool = True
) -> tuple[dict[str, Any], str, bool]:
    """Return the members that all lists have, the last entry's name, and whether there is more."""
    bucket = ctx.bucket(request["Bucket"])
    size = request.get("MaxKeys", _MOST_LISTED)
    if size < 0:
        raise InvalidArgument(
            "Argument maxKeys must be an integer between 0 and 2147483647", ArgumentName="maxKeys"
        )
    if request.get("EncodingType", "url") != "url":
        raise InvalidArgument("Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter", "")
    limit = min(size, _MOST_LISTED)
    found = ctx.buckets.objects(bucket.name, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
    owner = {"Owner": owner_of(ctx, bucket)} if with_owner else {}
    contents = [
        {
            "Key": _encoded(request, one.key),
            "LastModified": one.modified_at,
            "ETag": quoted(one.meta.etag),
            "Size": one.size,
            "StorageClass": "STANDARD",
            **owner,
        }
        for one in found.objects
    ]
    members: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": _encoded(request, prefix),
        "MaxKeys": size,
        "IsTruncated": found.more and limit > 0,
        "Contents": contents,
        "CommonPrefixes": [{"Prefix": _encoded(request, one)} for one in found.prefixes],
        "EncodingType": request.get("EncodingType"),
        "Delimiter": _encoded(request, delimiter) if delimiter else None,
    }
    return members, found.last, bool(members["IsTruncated"])

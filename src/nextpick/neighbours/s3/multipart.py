"""Uploads in parts."""

import itertools
from typing import Any

from nextpick.neighbours.s3 import checksums
from nextpick.neighbours.s3.body import Body
from nextpick.neighbours.s3.buckets import owner_of
from nextpick.neighbours.s3.conditions import find_span
from nextpick.neighbours.s3.context import HANDLERS, Context, Reply, Request
from nextpick.neighbours.s3.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidArgument,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
)
from nextpick.neighbours.s3.metadata import algorithm_of, checksum_members, new_meta, quoted
from nextpick.neighbours.s3.objects import expires_of, open_source, source_of, write_condition
from nextpick.store.buckets import Part, PartDraft, Upload

MOST_PARTS = 10_000
_SMALLEST_PART = 5 * 1024 * 1024
_MOST_LISTED = 1000
_FULL = "FULL_OBJECT"


def part_number(request: Request) -> int:
    """Return the number of a part. Raises InvalidArgument."""
    number = request["PartNumber"]
    if not 1 <= number <= MOST_PARTS:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive", ArgumentName="partNumber"
        )
    return number


def find_upload(ctx: Context, request: Request) -> Upload:
    """Return the upload a request is about; raises the store's NoSuchUpload also for another key's."""
    ctx.bucket(request["Bucket"])
    return ctx.buckets.upload(request["Bucket"], request["UploadId"], key=request["Key"])


@HANDLERS.operation("CreateMultipartUpload")
def create_multipart_upload(ctx: Context, request: Request) -> Reply:
    bucket, key = ctx.bucket(request["Bucket"]).name, request["Key"]
    meta, algorithm = new_meta(request, expires_of(ctx)), algorithm_of(request)
    sort = None
    if algorithm is not None:
        sort = request.get("ChecksumType", _FULL if algorithm == "CRC64NVME" else "COMPOSITE")
        meta.checksums = {algorithm: sort}  # what is to be made when it is complete
    upload_id = ctx.buckets.start_upload(bucket, key, meta, now=ctx.now())
    members = {"Bucket": bucket, "Key": key, "UploadId": upload_id}
    return Reply(members | {"ChecksumAlgorithm": algorithm, "ChecksumType": sort})


def put_part(ctx: Context, request: Request, draft: PartDraft, body: Body) -> Reply:
    """Make what was uploaded a part."""
    part = ctx.buckets.commit_part(draft, etag=body.etag, checksums=body.checksums)
    return Reply({"ETag": quoted(part.etag)} | {f"Checksum{name}": v for name, v in part.checksums.items()})


@HANDLERS.operation("UploadPartCopy")
def upload_part_copy(ctx: Context, request: Request) -> Reply:
    find_upload(ctx, request)
    stored, file = open_source(ctx, request, *source_of(ctx, request))
    with file:
        span = find_span(request.get("CopySourceRange"), stored.size)
        if "CopySourceRange" in request and span is None:
            raise InvalidArgument("The x-amz-copy-source-range value must be of the form bytes=first-last")
        start, end = span or (0, stored.size)
        number = part_number(request)
        with ctx.buckets.begin_part(request["Bucket"], request["UploadId"], number, end - start) as draft:
            md5 = checksums.new("MD5")
            file.seek(start)
            left = end - start
            while left and (block := file.read(min(left, 1 << 20))):
                md5.update(block)
                draft.write(block)
                left -= len(block)
            part = ctx.buckets.commit_part(draft, etag=md5.digest().hex(), checksums={})
    return Reply({"CopyPartResult": {"ETag": quoted(part.etag), "LastModified": part.modified_at}})


@HANDLERS.operation("ListParts")
def list_parts(ctx: Context, request: Request) -> Reply:
    upload = find_upload(ctx, request)
    parts = ctx.buckets.parts(request["Bucket"], request["UploadId"])
    marker, size = (
        request.get("PartNumberMarker", 0),
        min(request.get("MaxParts", _MOST_LISTED), _MOST_LISTED),
    )
    left = [part for part in parts if part.number > int(marker)]
    shown = left[:size]
    owner = owner_of(ctx, ctx.bucket(request["Bucket"]))
    members: dict[str, Any] = {
        "Bucket": request["Bucket"],
        "Key": upload.key,
        "UploadId": request["UploadId"],
        "PartNumberMarker": int(marker),
        "NextPartNumberMarker": shown[-1].number if shown else 0,
        "MaxParts": size,
        "IsTruncated": len(left) > size,
        "Parts": [_shown(part) for part in shown],
        "Initiator": owner,
        "Owner": owner,
        "StorageClass": "STANDARD",
    }
    return Reply(members)


def _shown(part: Part) -> dict[str, Any]:
    members = {
        "PartNumber": part.number,
        "LastModified": part.modified_at,
        "ETag": quoted(part.etag),
        "Size": part.size,
    }
    return members | {f"Checksum{name}": value for name, value in part.checksums.items()}


@HANDLERS.operation("ListMultipartUploads")
def list_multipart_uploads(ctx: Context, request: Request) -> Reply:
    bucket = ctx.bucket(request["Bucket"])
    prefix, key_marker = request.get("Prefix", ""), request.get("KeyMarker", "")
    marker, delimiter = request.get("UploadIdMarker", ""), request.get("Delimiter", "")
    size = min(request.get("MaxUploads", _MOST_LISTED), _MOST_LISTED)
    owner = owner_of(ctx, bucket)
    shown: list[dict[str, Any]] = []
    prefixes: list[str] = []
    more, passed = False, not marker
    for upload in ctx.buckets.uploads(bucket.name):
        if not upload.key.startswith(prefix) or upload.key < key_marker:
            continue
        if upload.key == key_marker and not (marker and passed):
            passed = passed or upload.id == marker
            continue
        rest = upload.key[len(prefix) :]
        if delimiter and delimiter in rest:
            common = prefix + rest.partition(delimiter)[0] + delimiter
            if common not in prefixes:
                prefixes.append(common)
            continue
        if len(shown) >= size:
            more = True
            break
        times = {
            "Initiated": upload.initiated,
            "StorageClass": "STANDARD",
            "Owner": owner,
            "Initiator": owner,
        }
        shown.append({"Key": upload.key, "UploadId": upload.id, **times})
    members: dict[str, Any] = {
        "Bucket": bucket.name,
        "KeyMarker": key_marker,
        "UploadIdMarker": marker,
        "Prefix": prefix,
        "Delimiter": delimiter or None,
        "MaxUploads": size,
        "IsTruncated": more,
        "Uploads": shown,
        "CommonPrefixes": [{"Prefix": common} for common in prefixes],
    }
    if more:
        members |= {"NextKeyMarker": shown[-1]["Key"], "NextUploadIdMarker": shown[-1]["UploadId"]}
    return Reply(members)


@HANDLERS.operation("AbortMultipartUpload")
def abort_multipart_upload(ctx: Context, request: Request) -> Reply:
    find_upload(ctx, request)
    ctx.buckets.abort(request["Bucket"], request["UploadId"])
    return Reply({})


@HANDLERS.operation("CompleteMultipartUpload")
def complete_multipart_upload(ctx: Context, request: Request) -> Reply:
    bucket, key = request["Bucket"], request["Key"]
    upload = find_upload(ctx, request)
    chosen = _chosen(ctx, request)
    meta = upload.meta
    digest = checksums.new("MD5")
    for part in chosen:
        digest.update(bytes.fromhex(part.etag))
    meta.etag = f"{digest.digest().hex()}-{len(chosen)}"
    meta.parts = [part.size for part in chosen]
    meta.checksums = _checksum_of(request, upload, chosen)
    numbers = [part.number for part in chosen]
    stored = ctx.buckets.complete(bucket, upload.id, numbers, meta, check=write_condition(request, key))
    ctx.created(bucket, stored, "CompleteMultipartUpload")
    location = f"/{bucket}/{key}"
    members = {"Location": location, "Bucket": bucket, "Key": key, "ETag": quoted(stored.meta.etag)}
    return Reply(members | checksum_members(stored.meta))


def _chosen(ctx: Context, request: Request) -> list[Part]:
    """Return the parts that a completion names, which must be as it says."""
    asked = request.get("MultipartUpload", {}).get("Parts", [])
    if not asked or any("PartNumber" not in one for one in asked):
        raise MalformedXML
    numbers = [one["PartNumber"] for one in asked]
    if any(after <= before for before, after in itertools.pairwise(numbers)):
        raise InvalidPartOrder(UploadId=request["UploadId"])
    known = {part.number: part for part in ctx.buckets.parts(request["Bucket"], request["UploadId"])}
    for one in asked:
        part = known.get(one["PartNumber"])
        given = {name: one[f"Checksum{name}"] for name in checksums.ALGORITHMS if f"Checksum{name}" in one}
        if (
            part is None
            or one.get("ETag", "").strip('"') != part.etag
            or any(part.checksums.get(name, value) != value for name, value in given.items())
        ):
            raise InvalidPart(UploadId=request["UploadId"], PartNumber=str(one["PartNumber"]))
    chosen = [known[number] for number in numbers]
    for part in chosen[:-1]:
        if part.size < _SMALLEST_PART:
            raise EntityTooSmall(
                ETag=part.etag,
                PartNumber=str(part.number),
                MinSizeAllowed=str(_SMALLEST_PART),
                ProposedSize=str(part.size),
            )
    total, declared = sum(part.size for part in chosen), request.get("MpuObjectSize")
    if declared is not None and int(declared) != total:
        raise InvalidRequest(f"The parts have {total} bytes, x-amz-mp-object-size says {declared}.")
    return chosen


def _checksum_of(request: Request, upload: Upload, chosen: list[Part]) -> dict[str, str]:
    """Return the checksum of the whole, from those of the parts. Raises BadDigest where the client has another."""
    found: dict[str, str] = {}
    for name, sort in upload.meta.checksums.items():
        if all(name in part.checksums for part in chosen):
            full = (request.get("ChecksumType") or sort) == _FULL
            found[name] = checksums.of_parts(name, [(p.checksums[name], p.size) for p in chosen], full=full)
    for name in checksums.ALGORITHMS:
        sent = request.get(f"Checksum{name}")
        if sent is not None and name in found and sent.partition("-")[0] != found[name].partition("-")[0]:
            raise BadDigest(f"The {name} you specified did not match the calculated checksum.")
    return found

"""What is kept of an object beside its bytes: from headers of requests, to headers of answers."""

from typing import Any

from nextpick.neighbours.s3 import checksums
from nextpick.neighbours.s3.context import Request
from nextpick.neighbours.s3.errors import (
    AccessControlListNotSupported,
    InvalidArgument,
    InvalidRequest,
    NotSpoken,
)
from nextpick.store.buckets import Meta, Stored

_SYSTEM = {
    "CacheControl": "cache_control",
    "ContentDisposition": "content_disposition",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "ContentType": "content_type",
}
_MOST_USER_BYTES = 2048
_ACLS = ("private", "bucket-owner-full-control")

# Members that change what is stored, or who may read it, in ways that are not done here.
_NOT_SPOKEN = (
    "ServerSideEncryption",
    "SSECustomerAlgorithm",
    "SSEKMSKeyId",
    "BucketKeyEnabled",
    "CopySourceSSECustomerAlgorithm",
    "Tagging",
    "WebsiteRedirectLocation",
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "ObjectLockLegalHoldStatus",
    "GrantFullControl",
    "GrantRead",
    "GrantReadACP",
    "GrantWriteACP",
    "WriteOffsetBytes",
    "VersionId",
)


def refuse_not_spoken(request: Request) -> None:
    """Raise NotSpoken, by name, for members that would have to be obeyed."""
    for name in _NOT_SPOKEN:
        value = request.get(name)
        if value and value != "null":  # the version of an object in a bucket without versions
            raise NotSpoken(f"nextpick's S3 does not speak {name}.", Header=name)
    if request.get("ACL", "private") not in _ACLS:
        raise AccessControlListNotSupported


def new_meta(request: Request, expires: str | None) -> Meta:
    """Return the metadata that a request gives an object; ``expires`` as it was sent, which need not be a date.

    Raises what ``refuse_not_spoken`` does, or InvalidArgument.
    """
    refuse_not_spoken(request)
    user = request.get("Metadata") or {}
    if sum(len(name.encode()) + len(value.encode()) for name, value in user.items()) > _MOST_USER_BYTES:
        raise InvalidArgument("Your metadata headers exceed the maximum allowed metadata size")
    system = {field: request[name] for name, field in _SYSTEM.items() if request.get(name)}
    if "content_encoding" in system:
        kept = [coding.strip() for coding in system["content_encoding"].split(",")]
        system["content_encoding"] = ",".join(coding for coding in kept if coding and coding != "aws-chunked")
        if not system["content_encoding"]:
            del system["content_encoding"]
    return Meta(user=user, expires=expires or "", **system)


def shown(stored: Stored, request: Request, *, whole: bool) -> dict[str, Any]:
    """Return an object's metadata as members of an answer; checksums only where they are of what is sent."""
    meta = stored.meta
    members: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": stored.modified_at,
        "ETag": quoted(meta.etag),
        "Metadata": meta.user,
    }
    for name, field in _SYSTEM.items():
        held = request.get(f"Response{name}") or getattr(meta, field)
        if held:
            members[name] = held
    if meta.expires:
        members["ExpiresString"] = meta.expires
    if whole and request.get("ChecksumMode", "").upper() == "ENABLED":
        members |= checksum_members(meta)
    return members


def checksum_members(meta: Meta) -> dict[str, str]:
    """Return the checksums of an object as members of an answer."""
    members = {f"Checksum{name}": value for name, value in meta.checksums.items()}
    if members:
        composite = any("-" in value for value in members.values())
        members["ChecksumType"] = "COMPOSITE" if composite else "FULL_OBJECT"
    return members


def algorithm_of(request: Request) -> str | None:
    """Return the checksum algorithm that an upload in parts announces. Raises InvalidRequest for an unknown one."""
    name = request.get("ChecksumAlgorithm")
    if name is not None and name not in checksums.ALGORITHMS:
        raise InvalidRequest(f"Checksum algorithm provided is unsupported: {name}.")
    return name


def quoted(etag: str) -> str:
    """Return an entity tag as answers write it."""
    return f'"{etag}"'

"""What S3's handlers are given and give back, and who may call them.

Source of the actions: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations".
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, Protocol

from nextpick.access.bucket_policy import bucket_policy
from nextpick.access.guard import Caller, Guard
from nextpick.clock import Clock
from nextpick.neighbours.handlers import Handlers
from nextpick.neighbours.s3.conditions import Span
from nextpick.neighbours.s3.errors import NoSuchBucket
from nextpick.settings import Settings
from nextpick.store.buckets import Bucket, Buckets, Stored
from nextpick.wire.dispatch import Call
from nextpick.wire.sigv4 import Headers

Request = dict[str, Any]

# Where the action is not called as the operation.
_ACTIONS = {
    "AbortMultipartUpload": "AbortMultipartUpload",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_NONE: Mapping[str, str] = MappingProxyType({})
_POLICY_OPERATIONS = ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy")


class Events(Protocol):
    """Who is told what happens in buckets, before the answer goes out."""

    def created(self, bucket: str, stored: Stored, event: str, call: Call) -> None:
        """An object was created, in the way that ``event`` says: "ObjectCreated:Put"."""

    def configured(self, bucket: str, configuration: dict[str, Any]) -> None:
        """A bucket's notification configuration is this one now; it is empty when the bucket is gone."""


class Services(NamedTuple):
    """What handlers share."""

    buckets: Buckets
    guard: Guard
    settings: Settings
    clock: Clock
    events: Events


class Download(NamedTuple):
    """A file to answer with: some of its bytes."""

    file: BinaryIO
    span: Span


class Reply(NamedTuple):
    """An answer: members of the output by the model, and what the model has no words for."""

    members: dict[str, Any]
    status: int | None = None
    body: bytes | None = None
    download: Download | None = None
    length: int | None = None  # of the body that a HEAD request leaves out


class Context(NamedTuple):
    """One call."""

    services: Services
    call: Call
    values: Headers

    @property
    def buckets(self) -> Buckets:
        """Where the objects are."""
        return self.services.buckets

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self.services.clock.now()

    def created(self, bucket: str, stored: Stored, how: str) -> None:
        """Tell that an object was created: by "Put", "Copy" or "CompleteMultipartUpload"."""
        self.services.events.created(bucket, stored, f"ObjectCreated:{how}", self.call)

    def bucket(self, name: str) -> Bucket:
        """Return a bucket; raises NoSuchBucket."""
        bucket = self.buckets.find(name)
        if bucket is None:
            raise NoSuchBucket(BucketName=name)
        return bucket

    def require(
        self, operation: str, bucket: str = "", key: str = "", context: Mapping[str, str] = _NONE
    ) -> None:
        """Raise AccessDenied unless the caller may do ``operation`` on a bucket or an object of it."""
        found = self.buckets.find(bucket) if bucket else None
        arn = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "") if bucket else "*"
        # The owner's administrator can always mend a bucket policy, as the root user can in AWS.
        asks_policy = not (operation in _POLICY_OPERATIONS and not self.call.principal)
        self.services.guard.require(
            Caller.of(self.call),
            f"s3:{_ACTIONS.get(operation, operation)}",
            arn,
            context=context,
            resource_policy=bucket_policy(self.buckets, bucket) if found and asks_policy else None,
            owner=found.account if found else None,
        )


HANDLERS: Handlers[Context, Reply] = Handlers()

"""Objects that jobs write under ``s3://bucket/key``: whole or not at all, in place of one of the same key."""

import hashlib

from nextpick.settings import Settings
from nextpick.store.buckets import Buckets, KeyTooLong, Meta, NoSuchBucket, StoreError
from nextpick.store.readable import BlobError
from nextpick.store.s3service import put_service


def check_bucket(bucket: str, settings: Settings) -> None:
    """Raise BlobError when there is no such bucket; one of another S3 service is found out when it is written to."""
    if not settings.s3_endpoint and not (settings.home / "buckets" / bucket).is_dir():
        raise BlobError(f"Invalid S3 output path. There is no bucket {bucket}.")


def put_object(
    bucket: str, key: str, content: bytes, settings: Settings, *, content_type: str, owner: str
) -> None:
    """Make ``content`` the object of a key, on the disk when this returns; ``owner`` is who writes, and nobody else.

    Raises BlobError naming the bucket when it is missing, else the location and what is wrong.
    """
    if settings.s3_endpoint:
        put_service(bucket, key, content, settings)
        return
    buckets = Buckets(settings.home / "buckets", owner=owner)
    meta = Meta(etag=hashlib.md5(content, usedforsecurity=False).hexdigest(), content_type=content_type)
    try:
        draft = buckets.begin(bucket)
        with draft:
            draft.write(content)
            buckets.commit(draft, bucket, key, meta)
    except NoSuchBucket:
        raise BlobError(f"Invalid S3 output path. There is no bucket {bucket}.") from None
    except KeyTooLong:
        raise BlobError(f"Invalid S3 output path. The key {key} is too long.") from None
    except StoreError as error:
        raise BlobError(f"s3://{bucket}/{key} cannot be written: {error}.") from None

"""Writing an object from a file: into a bucket directory, or to the S3 service that ``s3_endpoint`` names."""

import hashlib
import os
from pathlib import Path

from nextpick.settings import Settings
from nextpick.store.buckets import Buckets, Meta, StoreError
from nextpick.store.readable import BlobError
from nextpick.store.s3service import put_service

_BLOCK = 1 << 20


def put_file(path: Path, bucket: str, key: str, settings: Settings, *, owner: str) -> None:
    """Make the content of a file the object of a key: all of it or nothing, on disk when this returns.

    ``owner`` names the process, as for Buckets. Raises BlobError naming what is missing or refused.
    """
    if settings.s3_endpoint:
        put_service(path, bucket, key, settings)
        return
    buckets = Buckets(settings.home / "buckets", owner=owner)
    try:
        with path.open("rb") as file, buckets.begin(bucket) as draft:
            digest = hashlib.md5(usedforsecurity=False)
            while block := file.read(_BLOCK):
                digest.update(block)
            draft.copy(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            buckets.commit(draft, bucket, key, Meta(etag=digest.hexdigest()))
    except StoreError as error:
        raise BlobError(f"s3://{bucket}/{key} cannot be written: {type(error).__name__} {error}.") from None

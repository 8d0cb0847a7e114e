"""Where jobs read from and write to, judged by the role of the job."""

from nextpick.access.job import JobAccess, Refused
from nextpick.jobs.work import JobFailure
from nextpick.settings import Settings
from nextpick.store import blobs
from nextpick.store.readable import BlobError, Object


def inputs(access: JobAccess, location: str, settings: Settings, told: str = "") -> list[Object]:
    """Return the objects of a location. Raises JobFailure, which begins with ``told`` where they cannot be read."""
    try:
        bucket, key = blobs.parse_location(location)
        access.require("s3:ListBucket", bucket, prefix=key)
        objects = blobs.list_objects(location, settings)
        for found in objects:
            access.require("s3:GetObject", bucket, found.key)
    except BlobError as error:
        raise JobFailure(f"{told}{error}") from None
    except Refused as refused:
        raise JobFailure(str(refused)) from None
    return objects


def target(access: JobAccess, location: str, name: str) -> tuple[str, str]:
    """Return bucket and prefix of an output, a folder with or without its last slash, that takes an object ``name``.

    Raises JobFailure for a location that is none, or may not be written.
    """
    try:
        bucket, prefix = blobs.parse_location(location)
        prefix = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix
        access.require("s3:PutObject", bucket, f"{prefix}{name}")
    except BlobError as error:
        raise JobFailure(f"Invalid S3 output path. {error}") from None
    except Refused as refused:
        raise JobFailure(str(refused)) from None
    return bucket, prefix

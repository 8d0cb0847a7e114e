"""Objects of an S3 service that ``s3_endpoint`` names."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from nextpick.settings import Settings
from nextpick.store.readable import DENIED, BlobError, Object

if TYPE_CHECKING:
    from obstore.store import S3Store


def list_service(bucket: str, key: str, settings: Settings) -> list[Object]:
    """Return the object of a key, or those at the first level under it. Raises BlobError."""
    import obstore
    from obstore.exceptions import NotFoundError

    store = _service(bucket, settings)
    with _service_refusals(bucket, key):
        if key and not key.endswith("/"):
            try:
                head = obstore.head(store, key)
                return [Object(key, head["size"], partial(_open_service, store, bucket, key))]
            except (FileNotFoundError, NotFoundError):
                pass
        prefix = key.removesuffix("/")
        listed = obstore.list_with_delimiter(store, prefix or None)["objects"]
    return [
        Object(found["path"], found["size"], partial(_open_service, store, bucket, found["path"]))
        for found in cast(list[Any], listed)
        if found["size"]
    ]


def put_service(path: Path, bucket: str, key: str, settings: Settings) -> None:
    """Upload a file as the object of a key. Raises BlobError."""
    import obstore

    with _service_refusals(bucket, key):
        obstore.put(_service(bucket, settings), key, path)


def _service(bucket: str, settings: Settings) -> "S3Store":
    from obstore.store import S3Store

    # Keys from the settings or none at all: never the AWS_* variables or the machine's own role.
    # A provider, because plain options are completed from the environment (AWS_SESSION_TOKEN).
    keys: Any = {"skip_signature": True}
    if settings.s3_access_key_id:
        credential = {
            "access_key_id": settings.s3_access_key_id,
            "secret_access_key": settings.s3_secret_access_key,
            "expires_at": None,
        }
        keys = {"skip_signature": False, "credential_provider": lambda: credential}
    return S3Store(
        bucket,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        virtual_hosted_style_request=False,
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        client_options={"allow_http": settings.s3_endpoint.startswith("http://")},
        **keys,
    )


def _open_service(store: "S3Store", bucket: str, key: str) -> BinaryIO:
    import obstore

    with _service_refusals(bucket, key):
        reader = obstore.open_reader(store, key)
    return io.BufferedReader(_ServiceFile(reader, bucket, key), 1 << 20)


class _ServiceFile(io.RawIOBase):
    """An obstore reader as a file of Python's."""

    def __init__(self, reader: Any, bucket: str, key: str) -> None:
        self._reader, self._bucket, self._key = reader, bucket, key

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _service_refusals(self._bucket, self._key):
            found = memoryview(self._reader.read(len(buffer)))
        buffer[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


@contextmanager
def _service_refusals(bucket: str, key: str) -> Iterator[None]:
    from obstore import exceptions as wrong

    location = f"s3://{bucket}/{key}"
    try:
        yield
    except (wrong.PermissionDeniedError, wrong.UnauthenticatedError):
        raise BlobError(f"{DENIED} {location} was refused by the S3 service.") from None
    except (wrong.BaseError, OSError) as error:
        text = str(error)
        if "NoSuchBucket" in text:
            raise BlobError(f"Invalid Data location. There is no bucket {bucket}.") from None
        if isinstance(error, wrong.NotFoundError | FileNotFoundError):
            raise BlobError(f"Invalid Data location. There is no object at {location}.") from None
        raise BlobError(f"{location} cannot be read: {text.splitlines()[0]}") from None

"""Where a configuration's data is: beside it, in a bucket or in a directory.

``train/<group>/config.json`` has its data in the same folder, as ``interactions.csv`` or as a folder
``interactions/``; a batch job reads ``batch/<group>/<solution>/job_config.json`` and writes below a folder of its
name beside that. A file outside the home's buckets has its data copied into one first.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from nextpick.workflow.refusal import code_of

BATCH_INPUT = "job_config.json"


class Place(NamedTuple):
    """The folder of a configuration in a bucket (``prefix`` ends with a slash, or is empty), and the local folder its
    data is copied from, if it is."""

    bucket: str
    prefix: str
    local: Path | None = None

    @property
    def root(self) -> str:
        """The prefix that ``train/`` is in; where there is none, that of the configuration itself."""
        before, found, _ = f"/{self.prefix}".rpartition("/train/")
        return f"{before}/".lstrip("/") if found else self.prefix

    def url(self, key: str) -> str:
        """Return the location of a key."""
        return f"s3://{self.bucket}/{key}"

    def batch_folder(self, group: str, solution: str) -> str:
        """Return the prefix of a solution's batch jobs."""
        return f"{self.root}batch/{group}/{solution}/"


class Data(NamedTuple):
    """Data that was found: where, and when its newest object was written."""

    location: str
    modified_at: datetime


def split(url: str) -> tuple[str, str]:
    """Return bucket and key of an ``s3://`` location."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def place_of(file: str, home: Path, bucket: str, group: str) -> Place:
    """Return the place of a configuration file: an ``s3://`` location, a file in the home's buckets, or any other."""
    if file.startswith("s3://"):
        name, key = split(file)
        return Place(name, key[: key.rfind("/") + 1])
    path = Path(file).absolute()
    buckets = home / "buckets"
    if path.is_relative_to(buckets):
        name, *folders = path.parent.relative_to(buckets).parts
        return Place(name, "".join(f"{folder}/" for folder in folders))
    return Place(bucket, f"train/{group}/", path.parent)


def read(file: str, s3: Any) -> str:
    """Return the text of a configuration file. Raises FileNotFoundError."""
    if not file.startswith("s3://"):
        return Path(file).read_text(encoding="utf-8")
    bucket, key = split(file)
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except ClientError as error:
        raise FileNotFoundError(f"{file}: {code_of(error)}") from None


def find_data(s3: Any, place: Place, kind: str) -> Data | None:
    """Return a dataset's data: what is in the folder of its name, else the file; None when there is neither."""
    for name in (kind, kind.capitalize()):
        folder = f"{place.prefix}{name}/"
        found = _objects(s3, place.bucket, folder)
        if found:
            return Data(place.url(folder), max(found))
        key = f"{place.prefix}{name}.csv"
        modified = modified_at(s3, place.bucket, key)
        if modified is not None:
            return Data(place.url(key), modified)
    return None


def modified_at(s3: Any, bucket: str, key: str) -> datetime | None:
    """Return when an object was written, None when there is none."""
    try:
        return s3.head_object(Bucket=bucket, Key=key)["LastModified"]
    except ClientError:
        return None


def _objects(s3: Any, bucket: str, prefix: str) -> list[datetime]:
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [one["LastModified"] for page in pages for one in page.get("Contents", []) if one["Size"]]
    except ClientError:
        return []


class Copy(NamedTuple):
    """A local file and the key it is copied to."""

    path: Path
    key: str


def to_copy(s3: Any, place: Place, kinds: list[str], group: str, solutions: list[str]) -> list[Copy]:
    """Return the local data files that the bucket has not, or has with another content."""
    if place.local is None:
        return []
    found = []
    for kind in kinds:
        for name in (kind, kind.capitalize()):
            folder = place.local / name
            files = sorted(folder.glob("**/*.csv")) if folder.is_dir() else []
            found += [
                Copy(path, f"{place.prefix}{path.relative_to(place.local).as_posix()}") for path in files
            ]
            single = place.local / f"{name}.csv"
            if not files and single.is_file():
                found.append(Copy(single, f"{place.prefix}{name}.csv"))
                break
    for solution in solutions:
        key = f"{place.batch_folder(group, solution)}{BATCH_INPUT}"
        for folder in (place.local, place.local.parent.parent):  # beside the file, or beside its train/
            path = folder / "batch" / group / solution / BATCH_INPUT
            if path.is_file():
                found.append(Copy(path, key))
                break
    return [copy for copy in found if not _is_there(s3, place.bucket, copy)]


def _is_there(s3: Any, bucket: str, copy: Copy) -> bool:
    try:
        head = s3.head_object(Bucket=bucket, Key=copy.key)
    except ClientError:
        return False
    if head["ContentLength"] != copy.path.stat().st_size:
        return False
    return head.get("Metadata", {}).get("sha256") == digest(copy.path)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

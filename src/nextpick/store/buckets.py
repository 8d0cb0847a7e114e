"""Buckets and their objects, as S3 has them, in plain directories: HOME/buckets/BUCKET/KEY.

Several processes and threads use one directory at once, and people put files into it by hand. What a call says it
has done is on the disk; one that fails, or whose process is killed, has done nothing.
"""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from nextpick.durable import make_dirs, sync
from nextpick.store import keypaths
from nextpick.store.backstage import Backstage, clear_temp
from nextpick.store.drafts import Draft, PartDraft
from nextpick.store.faults import (
    Blocked,
    BucketExists,
    BucketNotEmpty,
    InvalidPart,
    KeyTooLong,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    StoreError,
)
from nextpick.store.keypaths import check_key
from nextpick.store.listing import Listing
from nextpick.store.multipart import Part, Upload, Uploads, release_slots
from nextpick.store.objectmeta import Meta, Stored
from nextpick.store.objects import Check, Objects, is_bucket_name

__all__ = [
    "Blocked",
    "Bucket",
    "BucketExists",
    "BucketNotEmpty",
    "Buckets",
    "Check",
    "Draft",
    "InvalidPart",
    "KeyTooLong",
    "Listing",
    "Meta",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchUpload",
    "Part",
    "PartDraft",
    "StoreError",
    "Stored",
    "Upload",
    "check_key",
]

_DOCUMENTS = ("policy", "notification")


class Bucket(NamedTuple):
    """A bucket. ``created_at`` in seconds since 1970; one made by hand has no account and no region."""

    name: str
    created_at: float
    account: str | None
    region: str | None


class _Record(msgspec.Struct):
    created_at: float
    account: str
    region: str


_RECORD = msgspec.json.Decoder(_Record).decode


class Buckets:
    """All buckets below ``root``, for one process (``owner``) with any number of threads.

    OSError is raised by everything: a full disk, a file that may not be read.
    """

    def __init__(self, root: Path, *, owner: str) -> None:
        """Remove what an earlier process of that owner left unfinished."""
        self._root = root
        self._stage = Backstage(root, owner)
        self._objects = Objects(self._stage)
        self._uploads = Uploads(self._stage, self._objects)
        release_slots(root, owner)

    @staticmethod
    def sweep(root: Path) -> None:
        """Remove what was left unfinished by all; nobody may be serving. Uploads in progress stay."""
        clear_temp(root)
        release_slots(root, None)

    def create(self, name: str, *, account: str, region: str, now: float) -> Bucket:
        """Make a bucket. Raises BucketExists with it, ValueError for what is no name of a bucket."""
        if not is_bucket_name(name):
            raise ValueError(f"{name!r} is no name of a bucket")
        side = self._stage.side(name)
        make_dirs(side)
        with self._stage.lock(name):
            found = self.find(name)
            if found is not None:
                raise BucketExists(found)
            self._clear(name)  # what a deletion left that was killed
            content = msgspec.json.encode(_Record(now, account, region))
            self._stage.write(name, side / "bucket.json", content)
            sync(side)
            sync(side.parent)
            (self._root / name).mkdir()
            sync(self._root)
        return Bucket(name, now, account, region)

    def delete(self, name: str) -> None:
        """Delete a bucket, its documents and uploads. Raises NoSuchBucket, BucketNotEmpty for any file in it."""
        with self._objects.locked(name) as top:
            if not keypaths.clear_folders(top):
                raise BucketNotEmpty(name)
            try:
                (self._root / name).rmdir()
            except OSError:
                raise BucketNotEmpty(name) from None
            sync(self._root)
            self._clear(name)

    def _clear(self, name: str) -> None:
        """Remove all that was known of a bucket. The lock stays: others may be waiting for it."""
        for entry in ("meta", "uploads", "bucket.json", *_DOCUMENTS):
            self._stage.discard(name, self._stage.side(name) / entry)
        clear_temp(self._root, bucket=name)  # who is still writing there has no bucket to commit to

    def find(self, name: str) -> Bucket | None:
        """Return a bucket, None when there is none."""
        try:
            found = os.stat(self._root / name, follow_symlinks=False) if is_bucket_name(name) else None
        except FileNotFoundError:
            return None
        if found is None or not stat.S_ISDIR(found.st_mode):
            return None
        try:
            record = _RECORD((self._stage.side(name) / "bucket.json").read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return Bucket(name, getattr(found, "st_birthtime", found.st_mtime), None, None)
        return Bucket(name, record.created_at, record.account, record.region)

    def list(self) -> Sequence[Bucket]:
        """Return all buckets, by name."""
        try:
            names = sorted(os.listdir(self._root))
        except FileNotFoundError:
            return []
        return [bucket for name in names if (bucket := self.find(name)) is not None]

    def document(self, bucket: str, kind: str) -> str | None:
        """Return a text kept with a bucket, "policy" or "notification"; None when there is none."""
        path = self._document(bucket, kind)
        with self._objects.bucket(bucket), contextlib.suppress(FileNotFoundError):
            return path.read_text(encoding="utf-8")
        return None

    def set_document(self, bucket: str, kind: str, text: str | None) -> None:
        """Keep a text with a bucket, None removes it. Raises NoSuchBucket."""
        path = self._document(bucket, kind)
        with self._objects.locked(bucket):
            self._stage.make(bucket, self._stage.meta(bucket))  # and with it what is above both
            if text is None:
                path.unlink(missing_ok=True)
            else:
                self._stage.write(bucket, path, text.encode())
            sync(path.parent)

    def _document(self, bucket: str, kind: str) -> Path:
        if kind not in _DOCUMENTS:
            raise ValueError(f"{kind} is no document of a bucket")
        return self._stage.side(bucket) / kind

    def stat(self, bucket: str, key: str) -> Stored | None:
        """Return an object, None when there is none. Raises NoSuchBucket."""
        return self._objects.stat(bucket, key)

    def open(self, bucket: str, key: str) -> tuple[Stored, BinaryIO]:
        """Return an object and its content, which belong together. Raises NoSuchBucket, NoSuchKey."""
        return self._objects.open(bucket, key)

    def begin(self, bucket: str) -> Draft:
        """Return where to write what is to become an object of the bucket. Raises NoSuchBucket."""
        with self._objects.bucket(bucket):
            return Draft(self._stage.temp(bucket), bucket=bucket)

    def commit(
        self, draft: Draft, bucket: str, key: str, meta: Meta, *, check: Check | None = None
    ) -> Stored:
        """Make a draft the object of a key, at once and on the disk.

        ``check`` sees the object that is replaced, and nobody changes it before this is done. When anything is
        raised (by it, KeyTooLong, Blocked, NoSuchBucket) the object is as it was and the draft discarded.
        """
        with draft:
            if draft.bucket != bucket:
                raise ValueError(f"begun in {draft.bucket}, not in {bucket}")
            stored = self._objects.put(draft.path, draft.fd, bucket, key, meta, check)
            draft.kept()
        return stored

    def remove(self, bucket: str, key: str, *, check: Check | None = None) -> bool:
        """Remove an object, and folders that only it was in; return whether there was one. Raises NoSuchBucket."""
        return self._objects.remove(bucket, key, check)

    def objects(
        self, bucket: str, *, prefix: str = "", delimiter: str = "", after: str = "", limit: int = 1000
    ) -> Listing:
        """Return the objects whose key begins with ``prefix``, those after ``after``, in the order of UTF-8.

        Keys that hold ``delimiter`` behind the prefix are told by their common beginning, once; ``after`` may be
        such a beginning or be inside one, which is then not told again. Raises NoSuchBucket.
        """
        return self._objects.objects(bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit)

    def start_upload(self, bucket: str, key: str, meta: Meta, *, now: float) -> str:
        """Begin an upload in parts and return its identifier. Raises NoSuchBucket, KeyTooLong."""
        check_key(key)
        with self._objects.bucket(bucket):
            return self._uploads.start(bucket, key, meta, now)

    def upload(self, bucket: str, upload_id: str, *, key: str | None = None) -> Upload:
        """Return an upload; of another key than ``key`` it is none. Raises NoSuchBucket, NoSuchUpload."""
        found = self._uploads.find(bucket, upload_id)
        if key is not None and found.key != key:
            raise NoSuchUpload(upload_id)
        return found

    def uploads(self, bucket: str) -> Sequence[Upload]:
        """Return the uploads in progress by key, those of one key by time. Raises NoSuchBucket."""
        return self._uploads.all(bucket)

    def begin_part(self, bucket: str, upload_id: str, number: int, size: int | None) -> PartDraft:
        """Return where to write a part; ``size`` in bytes, None if not known. Raises NoSuchBucket, NoSuchUpload.

        It may not become larger than was said (ValueError). All parts but the last of the size of the one begun
        first need not be copied in the end.
        """
        return self._uploads.begin_part(bucket, upload_id, number, size)

    def commit_part(self, draft: PartDraft, *, etag: str, checksums: dict[str, str]) -> Part:
        """Make a draft the part of its number, on the disk; an earlier one is replaced. Raises NoSuchUpload."""
        with draft:
            return self._uploads.commit_part(draft, etag, checksums)

    def parts(self, bucket: str, upload_id: str) -> Sequence[Part]:
        """Return the parts of an upload by number. Raises NoSuchBucket, NoSuchUpload."""
        return self._uploads.parts(bucket, upload_id)

    def complete(
        self, bucket: str, upload_id: str, numbers: Sequence[int], meta: Meta, *, check: Check | None = None
    ) -> Stored:
        """Make the parts of these numbers, in this order, the object of the upload's key; the upload is gone then.

        Raises NoSuchBucket, NoSuchUpload, InvalidPart, and as ``commit`` does; then the upload is as it was.
        """
        return self._uploads.complete(bucket, upload_id, [*numbers], meta, check)

    def abort(self, bucket: str, upload_id: str) -> None:
        """Remove an upload and its parts. Raises NoSuchBucket, NoSuchUpload."""
        self._uploads.abort(bucket, upload_id)

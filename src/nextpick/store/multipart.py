"""Uploads in parts: each part is on the disk when it is told, and none is written twice where that can be.

    uploads/ID/upload.json    key, metadata, when it was begun; its lock is the upload's
    uploads/ID/slot           the size of the part begun first: that of every slot
    uploads/ID/data           part N from byte (N - 1) * slot on
    uploads/ID/begun.N        somebody writes, or has written, slot N of the data; holds the owner's name
    uploads/ID/own.N.…        a part that does not fit its slot, or came when that was taken
    uploads/ID/part.N         where part N is, and what is known of it

When the parts chosen are the slots from the first on, the data becomes the object by being moved. If a process is
killed just then the object is there, and the upload too, without its data; completing it again succeeds.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nextpick.durable import sync
from nextpick.store.backstage import NAME, Backstage, flocked
from nextpick.store.drafts import Draft, PartDraft
from nextpick.store.faults import InvalidPart, NoSuchBucket, NoSuchUpload
from nextpick.store.objectmeta import Meta, Stored
from nextpick.store.objects import Check, Objects

_LARGEST_DATA = 5 << 40  # bytes, as the largest object of S3; a slot beyond would not fit every file system


class Upload(NamedTuple):
    """An upload in progress. ``initiated`` in seconds since 1970."""

    id: str
    key: str
    meta: Meta
    initiated: float


class Part(NamedTuple):
    """A part of an upload. ``size`` in bytes, ``modified_at`` in seconds since 1970."""

    number: int
    size: int
    etag: str
    checksums: dict[str, str]
    modified_at: float


class _Begun(msgspec.Struct):
    key: str
    meta: Meta
    initiated: float


class _Record(msgspec.Struct):
    size: int
    etag: str
    checksums: dict[str, str]
    file: str
    start: int


_BEGUN = msgspec.json.Decoder(_Begun).decode
_RECORD = msgspec.json.Decoder(_Record).decode


class Uploads:
    """The uploads of all buckets."""

    def __init__(self, stage: Backstage, objects: Objects) -> None:
        self._stage, self._objects = stage, objects

    def start(self, bucket: str, key: str, meta: Meta, now: float) -> str:
        """Begin an upload and return its identifier. Raises NoSuchBucket, OSError."""
        upload_id = uuid.uuid4().hex
        made = self._stage.temp(bucket)
        try:
            made.mkdir()
            content = msgspec.json.encode(_Begun(key, meta, now))
            self._stage.write(bucket, made / "upload.json", content)
            sync(made)
            with self._objects.locked(bucket):
                directory = self._stage.uploads(bucket)
                self._stage.make(bucket, directory)
                made.rename(directory / upload_id)
                sync(directory)
        except FileNotFoundError:  # it went with the bucket
            raise NoSuchBucket(bucket) from None
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return upload_id

    def find(self, bucket: str, upload_id: str) -> Upload:
        """Return an upload. Raises NoSuchBucket, NoSuchUpload, OSError."""
        with self._objects.bucket(bucket):
            try:
                begun = _BEGUN((self._folder(bucket, upload_id) / "upload.json").read_bytes())
            except FileNotFoundError:
                raise NoSuchUpload(upload_id) from None
        return Upload(upload_id, begun.key, begun.meta, begun.initiated)

    def all(self, bucket: str) -> list[Upload]:
        """Return all uploads by key, of one key by time. Raises NoSuchBucket, OSError."""
        with self._objects.bucket(bucket):
            found = []
            for name in _names(self._stage.uploads(bucket)):
                with contextlib.suppress(NoSuchUpload):
                    found.append(self.find(bucket, name))
        return sorted(found, key=lambda upload: (upload.key, upload.initiated, upload.id))

    def begin_part(self, bucket: str, upload_id: str, number: int, size: int | None) -> PartDraft:
        """Return where to write a part; ``size`` in bytes where it is known. Raises NoSuchUpload, OSError."""
        names: Any = {"bucket": bucket, "upload_id": upload_id, "number": number}
        with self._locked(bucket, upload_id) as folder:
            slot = self._slot(bucket, folder, size)
            claim, data = folder / f"begun.{number}", folder / "data"
            fits = size is not None and 0 < size <= slot and number * slot <= _LARGEST_DATA
            if fits and not claim.exists():
                claim.write_text(self._stage.owner)
                start = (number - 1) * slot
                try:
                    return PartDraft.in_data(data, claim, range(start, start + (size or 0)), **names)
                except FileNotFoundError:  # a completion that was killed has moved it
                    raise NoSuchUpload(upload_id) from None
                except BaseException:
                    claim.unlink(missing_ok=True)
                    raise
            return PartDraft(self._stage.temp(bucket), **names)

    def _slot(self, bucket: str, folder: Path, size: int | None) -> int:
        """Return the size of a slot, 0 while no part of a known size was begun; ``size`` is this one's."""
        path = folder / "slot"
        with contextlib.suppress(FileNotFoundError):
            return int(path.read_text())
        if not size:
            return 0
        (folder / "data").touch()
        self._stage.write(bucket, path, str(size).encode())
        return size

    def commit_part(self, draft: PartDraft, etag: str, checksums: dict[str, str]) -> Part:
        """Make a draft the part of its number, in place of an earlier one. Raises NoSuchUpload, OSError."""
        bucket, number = draft.bucket, draft.number
        os.fsync(draft.fd)
        with self._locked(bucket, draft.upload_id) as folder:
            name = "data" if draft.in_slot else f"own.{number}.{uuid.uuid4().hex}"
            path, record = folder / f"part.{number}", _Record(draft.size, etag, checksums, name, draft.start)
            before = _record(path)
            try:
                if not draft.in_slot:
                    draft.path.rename(folder / name)
                self._stage.write(bucket, path, msgspec.json.encode(record))
            except FileNotFoundError:  # it went with the bucket
                raise NoSuchUpload(draft.upload_id) from None
            except BaseException:
                if not draft.in_slot:
                    (folder / name).unlink(missing_ok=True)
                raise
            draft.kept()
            sync(folder)
            if before is not None and before.file != "data":
                (folder / before.file).unlink(missing_ok=True)
            return Part(number, draft.size, etag, checksums, path.stat().st_mtime)

    def parts(self, bucket: str, upload_id: str) -> list[Part]:
        """Return the parts by number. Raises NoSuchBucket, NoSuchUpload, OSError."""
        with self._locked(bucket, upload_id) as folder:
            return [
                Part(n, r.size, r.etag, r.checksums, (folder / f"part.{n}").stat().st_mtime)
                for n, r in sorted(_records(folder).items())
            ]

    def complete(
        self, bucket: str, upload_id: str, numbers: list[int], meta: Meta, check: Check | None
    ) -> Stored:
        """Make parts, in this order, the object. Raises InvalidPart, NoSuchUpload and what Objects.put does."""
        key = self.find(bucket, upload_id).key
        with self._locked(bucket, upload_id) as folder:
            records = _records(folder)
            for number in numbers or [0]:
                if number not in records:
                    raise InvalidPart(number)
            chosen = [records[number] for number in numbers]
            size, data = sum(record.size for record in chosen), folder / "data"
            if any(record.file == "data" for record in chosen) and not data.exists():
                stored = self._completed_before(bucket, key, upload_id, size, meta)
            elif _is_data(folder, numbers, records):
                fd = os.open(data, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    os.ftruncate(fd, size)
                    stored = self._objects.put(data, fd, bucket, key, meta, check)
                finally:
                    os.close(fd)
            else:
                with Draft(self._stage.temp(bucket), bucket=bucket) as draft:
                    for record in chosen:
                        with (folder / record.file).open("rb") as file:
                            draft.copy(file.fileno(), record.start, record.size)
                    stored = self._objects.put(draft.path, draft.fd, bucket, key, meta, check)
                    draft.kept()
            self._stage.discard(bucket, folder)
            return stored

    def _completed_before(self, bucket: str, key: str, upload_id: str, size: int, meta: Meta) -> Stored:
        stored = self._objects.stat(bucket, key)
        if stored is None or (stored.size, stored.meta.etag) != (size, meta.etag):
            raise NoSuchUpload(upload_id)
        return stored

    def abort(self, bucket: str, upload_id: str) -> None:
        """Remove an upload with its parts. Raises NoSuchBucket, NoSuchUpload, OSError."""
        with self._locked(bucket, upload_id) as folder:
            self._stage.discard(bucket, folder)

    def _folder(self, bucket: str, upload_id: str) -> Path:
        if not upload_id.isalnum() or len(upload_id) > 64:
            raise NoSuchUpload(upload_id)
        return self._stage.uploads(bucket) / upload_id

    @contextmanager
    def _locked(self, bucket: str, upload_id: str) -> Iterator[Path]:
        """Give an upload's directory, in which nobody else begins or ends anything meanwhile."""
        with self._objects.bucket(bucket):
            folder = self._folder(bucket, upload_id)
        try:
            fd = os.open(folder / "upload.json", os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NoSuchUpload(upload_id) from None
        with flocked(fd):
            if not (folder / "upload.json").exists():  # it ended while this waited; no identifier comes twice
                raise NoSuchUpload(upload_id)
            yield folder


def _is_data(folder: Path, numbers: list[int], records: dict[int, _Record]) -> bool:
    """Return whether the data of an upload, cut at its end, is the object of these parts."""
    chosen = [records[number] for number in numbers]
    if numbers != list(range(1, len(numbers) + 1)) or any(record.file != "data" for record in chosen):
        return False
    slot = int((folder / "slot").read_text())
    if any(record.size != slot for record in chosen[:-1]):
        return False
    # Another slot's writer would write into the object, and a part that is not chosen now may be chosen later,
    # should this completion fail.
    return set(_numbers(folder, "begun")) <= set(numbers)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _numbers(folder: Path, kind: str) -> Iterator[int]:
    for name in _names(folder):
        if name.startswith(f"{kind}."):
            yield int(name.partition(".")[2])


def _record(path: Path) -> _Record | None:
    try:
        return _RECORD(path.read_bytes())
    except FileNotFoundError:
        return None


def _records(folder: Path) -> dict[int, _Record]:
    found = {number: _record(folder / f"part.{number}") for number in _numbers(folder, "part")}
    return {number: record for number, record in found.items() if record is not None}


def release_slots(root: Path, owner: str | None) -> None:
    """Give back the slots that a process began and did not fill, of ``owner`` or of everybody."""
    for folder in root.glob(f"{NAME}/*/uploads/*"):
        for number in list(_numbers(folder, "begun")):
            claim, record = folder / f"begun.{number}", _record(folder / f"part.{number}")
            with contextlib.suppress(FileNotFoundError):
                if (record is None or record.file != "data") and owner in (None, claim.read_text()):
                    claim.unlink()

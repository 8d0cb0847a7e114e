"""Several processes and threads in one bucket, one of them killed, and what is on the disk when a put is told."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nextpick.store.buckets import Buckets, Meta, NoSuchKey, NoSuchUpload, Stored

WRITER = """
import hashlib, random, sys
from pathlib import Path
from nextpick.store.buckets import Buckets, Meta

root, owner, seconds, size = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
import time
chance, buckets, end = random.Random(owner), Buckets(root, owner=owner), time.monotonic() + seconds
print("ready", flush=True)
while time.monotonic() < end:
    key = chance.choice(["a", "a/b", "a/b/c", "d"])
    if chance.random() < 0.3:
        buckets.remove("b", key)
        continue
    content = chance.randbytes(size)  # always of one length: only time and digest tell them apart
    with buckets.begin("b") as draft:
        for at in range(0, size, 1 << 16):
            draft.write(content[at : at + (1 << 16)])
        buckets.commit(draft, "b", key, Meta(etag=hashlib.md5(content).hexdigest()))
"""
UPLOADER = """
import sys
from pathlib import Path
from nextpick.store.buckets import Buckets, Meta

buckets = Buckets(Path(sys.argv[1]), owner="up")
for n in range(10**6):
    upload = buckets.start_upload("b", f"k{n}", Meta(), now=n)
    for number in (1, 2):
        with buckets.begin_part("b", upload, number, 4) as draft:
            draft.write(b"abcd")
            buckets.commit_part(draft, etag="e", checksums={})
    print(f"{upload} k{n}", flush=True)
    buckets.complete("b", upload, [1, 2], Meta(etag="whole"))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Buckets(tmp_path / "buckets", owner="test").create("b", account="a", region="r", now=1)
    return tmp_path / "buckets"


def started(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def belongs_together(buckets: Buckets, key: str) -> bool:
    """Read an object and see that content and metadata are of one put; return whether there is one."""
    try:
        stored, file = buckets.open("b", key)
    except NoSuchKey:
        return False
    with file:
        content = file.read()
    assert stored.meta.etag == hashlib.md5(content).hexdigest()
    return True


def is_consistent(root: Path, killed: bool = False) -> None:
    """See that every object listed is whole, and nothing else lies there."""
    buckets = Buckets(root, owner="test")
    listed = [stored.key for stored in buckets.objects("b").objects]
    assert all(belongs_together(buckets, key) for key in listed)
    assert len([path for path in (root / "b").rglob("*") if path.is_file()]) == len(listed)
    for key in listed:
        assert buckets.remove("b", key)
    if not killed:  # who is killed may leave an empty folder, which nobody sees
        assert list((root / "b").iterdir()) == []
    buckets.delete("b")


def test_processes_that_put_and_remove_the_same_keys_leave_a_consistent_bucket(root: Path) -> None:
    writers = [started(WRITER, root, f"worker-{n}", 1.5, 5000) for n in range(3)]
    buckets, seen = Buckets(root, owner="test"), 0
    while any(writer.poll() is None for writer in writers):
        for key in ("a", "a/b", "a/b/c", "d"):
            seen += belongs_together(buckets, key)
        for stored in buckets.objects("b").objects:
            assert len(stored.meta.etag) == 32
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert seen
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    sidecars = list(root.glob(".nextpick/b/meta/*/*"))
    assert len(sidecars) == len(buckets.objects("b").objects)
    assert list(root.glob(".nextpick/b/temp/*")) == []
    is_consistent(root)


def test_a_process_killed_leaves_no_partial_object_and_its_successor_clears_up(root: Path) -> None:
    chance, left = random.Random(1), 0
    for _ in range(8):
        with started(WRITER, root, "worker-0", 60, 1 << 20) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.05, 0.15))
            writer.send_signal(signal.SIGKILL)
        buckets = Buckets(root, owner="worker-1")
        for stored in buckets.objects("b").objects:
            assert belongs_together(buckets, stored.key)
        left += len(list(root.glob(".nextpick/b/temp/worker-0.*")))
        Buckets(root, owner="worker-0")
        assert list(root.glob(".nextpick/b/temp/*")) == []
    assert left
    is_consistent(root, killed=True)


def test_a_process_killed_in_an_upload_leaves_the_object_or_the_upload(root: Path) -> None:
    chance = random.Random(2)
    for _ in range(8):
        with started(UPLOADER, root) as uploader:
            assert uploader.stdout is not None
            uploader.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
            uploader.send_signal(signal.SIGKILL)
            told = uploader.stdout.read().splitlines()
        buckets = Buckets(root, owner="up")
        for line in told:
            upload, key = line.split()
            with contextlib.suppress(NoSuchUpload):
                buckets.complete("b", upload, [1, 2], Meta(etag="whole"))
            _, file = buckets.open("b", key)
            with file:
                assert file.read() == b"abcdabcd"
        for stored in buckets.objects("b").objects:
            buckets.remove("b", stored.key)
        for upload in buckets.uploads("b"):
            buckets.abort("b", upload.id)


def test_of_many_that_put_if_there_is_none_one_succeeds(root: Path) -> None:
    buckets = Buckets(root, owner="test")
    for turn in range(5):
        done: list[int] = []

        def attempt(n: int, key: str = f"in/{turn}", done: list[int] = done) -> None:
            with buckets.begin("b") as draft:
                try:
                    buckets.commit(draft, "b", key, Meta(etag=str(n)), check=only_if_none)
                except FileExistsError:
                    return
            done.append(n)

        threads = [threading.Thread(target=attempt, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = buckets.stat("b", f"in/{turn}")
        assert found is not None
        assert [found.meta.etag] == [str(n) for n in done]


def only_if_none(current: Stored | None) -> None:
    if current is not None:
        raise FileExistsError


class Seen:
    """Flushes and moves in order, each by the number of its file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, int]] = []
        flush, move = os.fsync, os.rename

        def fsync(fd: int) -> None:
            flush(fd)
            self.steps.append(("fsync", os.fstat(fd).st_ino))

        def rename(source: Path, target: str, **where: int) -> None:
            move(source, target, **where)
            self.steps.append(("rename", os.stat(target, dir_fd=where.get("dst_dir_fd")).st_ino))

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", rename)

    def during(self, call: Callable[[], object]) -> list[tuple[str, int]]:
        """Return what was seen during a call."""
        self.steps.clear()
        call()
        return list(self.steps)


def put(buckets: Buckets, key: str) -> None:
    with buckets.begin("b") as draft:
        draft.write(b"content")
        buckets.commit(draft, "b", key, Meta(etag="e"))


def number(path: Path) -> int:
    return path.stat().st_ino


def test_a_put_is_on_disk_with_its_names_before_it_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets, seen = Buckets(root, owner="test"), Seen(monkeypatch)
    first = seen.during(lambda: put(buckets, "x/y/k"))
    again = seen.during(lambda: put(buckets, "x/y/k"))
    data = root / "b" / "x" / "y" / "k"
    (sidecar,) = root.glob(".nextpick/b/meta/*/*")
    before = [("fsync", number(data)), ("fsync", number(sidecar)), ("fsync", number(sidecar.parent))]
    assert again == [*before, ("rename", number(data)), ("fsync", number(data.parent))]
    made = [root / "b", root / "b" / "x", root / "b" / "x" / "y"]
    assert [step for step in first if step[1] in map(number, made)] == [
        ("fsync", number(path)) for path in made
    ]
    shelves = [root / ".nextpick" / "b" / "meta", root / ".nextpick" / "b"]
    assert {("fsync", number(path)) for path in shelves} <= set(first)


def test_a_removal_flushes_the_lowest_folder_left(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets, seen = Buckets(root, owner="test"), Seen(monkeypatch)
    put(buckets, "x/y/k")
    put(buckets, "x/other")
    assert seen.during(lambda: buckets.remove("b", "x/y/k")) == [("fsync", number(root / "b" / "x"))]
    assert seen.during(lambda: buckets.remove("b", "x/other")) == [("fsync", number(root / "b"))]


def test_a_part_is_on_disk_with_its_record_before_it_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets, seen = Buckets(root, owner="test"), Seen(monkeypatch)
    upload = buckets.start_upload("b", "k", Meta(), now=1)
    folder = root / ".nextpick" / "b" / "uploads" / upload
    for n, (size, name) in enumerate([(7, "data"), (None, "own.2.*")], 1):
        draft = buckets.begin_part("b", upload, n, size)
        draft.write(b"content")
        steps = seen.during(lambda draft=draft: buckets.commit_part(draft, etag="e", checksums={}))
        (content,) = folder.glob(name)
        flushed = [inode for what, inode in steps if what == "fsync"]
        assert flushed == [number(content), number(folder / f"part.{n}"), number(folder)]
    steps = seen.during(lambda: buckets.complete("b", upload, [1], Meta()))
    assert ("fsync", number(root / "b")) in steps[steps.index(("rename", number(root / "b" / "k"))) :]


def test_a_bucket_is_on_disk_before_it_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buckets, seen = Buckets(root, owner="test"), Seen(monkeypatch)
    steps = seen.during(lambda: buckets.create("new", account="a", region="r", now=1))
    side = root / ".nextpick" / "new"
    wanted = [number(path) for path in (side / "bucket.json", side, root / ".nextpick", root)]
    assert {("fsync", inode) for inode in wanted} <= set(steps)
    assert steps[-1] == ("fsync", number(root))

"""Buckets and objects: what is put is there, in S3's order, and files put there by hand are objects too."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.settings import Settings
from nextpick.store import blobs
from nextpick.store.buckets import (
    Blocked,
    Bucket,
    BucketExists,
    BucketNotEmpty,
    Buckets,
    KeyTooLong,
    Listing,
    Meta,
    NoSuchBucket,
    NoSuchKey,
    Stored,
)

KEYS = st.lists(
    st.sampled_from(["a", "b", "/", "-", ".", "%", "é", "\n", "..", "//", "%2F"]), min_size=1, max_size=5
)
KEY = KEYS.map("".join)


@pytest.fixture
def buckets(tmp_path: Path) -> Buckets:
    return opened(tmp_path / "buckets")


def opened(root: Path) -> Buckets:
    made = Buckets(root, owner="worker-0")
    made.create("b", account="111122223333", region="us-east-1", now=5.5)
    return made


def put(buckets: Buckets, key: str, content: bytes = b"x", bucket: str = "b", **meta) -> Stored:
    with buckets.begin(bucket) as draft:
        draft.write(content)
        return buckets.commit(draft, bucket, key, Meta(etag=content.hex(), **meta))


def read(buckets: Buckets, key: str) -> bytes:
    stored, file = buckets.open("b", key)
    with file:
        content = file.read()
    assert stored.size == len(content)
    return content


def keys(listing: Listing) -> list[str]:
    return [stored.key for stored in listing.objects]


def pages(buckets: Buckets, limit: int, **how: str) -> list[str]:
    """Read a whole listing page by page."""
    found: list[str] = []
    after = how.pop("after", "")
    while True:
        page = buckets.objects("b", after=after, limit=limit, **how)
        names = sorted(keys(page) + page.prefixes)
        assert len(names) <= limit
        found += names
        if not page.more:
            return found
        assert page.last == names[-1]
        after = page.last


def left_over(root: Path) -> list[str]:
    return [str(path) for path in root.glob(".nextpick/*/temp/*")]


def sidecars(root: Path) -> list[Path]:
    return list(root.glob(".nextpick/*/meta/*/*"))


def test_an_object_is_a_plain_file_with_its_metadata_beside(buckets: Buckets, tmp_path: Path) -> None:
    meta = {"content_type": "text/csv", "cache_control": "no-cache", "user": {"who": "é"}, "parts": [1, 2]}
    made = put(buckets, "in/a.csv", b"abc", **meta)
    assert (tmp_path / "buckets" / "b" / "in" / "a.csv").read_bytes() == b"abc"
    assert buckets.stat("b", "in/a.csv") == made
    assert made.meta == Meta(etag="616263", **meta)
    assert read(buckets, "in/a.csv") == b"abc"
    assert left_over(tmp_path / "buckets") == []


def test_a_file_put_there_by_hand_is_an_object(buckets: Buckets, tmp_path: Path) -> None:
    file = tmp_path / "buckets" / "b" / "100%.csv"
    file.write_bytes(b"abc")
    stored = buckets.stat("b", "100%.csv")
    assert stored is not None
    assert stored.meta == Meta(etag=f"{file.stat().st_mtime_ns:x}-3", content_type="binary/octet-stream")
    assert keys(buckets.objects("b")) == ["100%.csv"]
    put(buckets, "100%.csv", b"new")
    assert read(buckets, "100%.csv") == b"new"
    assert not file.exists()
    assert buckets.remove("b", "100%.csv")
    assert buckets.stat("b", "100%.csv") is None


def test_a_file_replaced_by_hand_loses_its_metadata(buckets: Buckets, tmp_path: Path) -> None:
    put(buckets, "a", b"abc", content_type="text/csv")
    (tmp_path / "buckets" / "b" / "a").write_bytes(b"xyz")
    stored = buckets.stat("b", "a")
    assert stored is not None
    assert stored.meta.content_type == "binary/octet-stream"


@pytest.mark.parametrize("content", [b"", b'{"etag":', b"\0\0\0", b"\xff"])
def test_a_torn_sidecar_counts_as_none(buckets: Buckets, tmp_path: Path, content: bytes) -> None:
    put(buckets, "a", content_type="text/csv")
    (found,) = sidecars(tmp_path / "buckets")
    found.write_bytes(content)
    stored = buckets.stat("b", "a")
    assert stored is not None
    assert stored.meta.content_type == "binary/octet-stream"


def test_a_replaced_and_a_removed_object_leave_no_sidecar(buckets: Buckets, tmp_path: Path) -> None:
    for n in range(20):
        assert put(buckets, "a", b"same", content_type=f"t/{n}") == buckets.stat("b", "a")
        assert len(sidecars(tmp_path / "buckets")) == 1
    assert buckets.remove("b", "a")
    assert not buckets.remove("b", "a")
    assert sidecars(tmp_path / "buckets") == []


def test_a_key_may_be_a_prefix_of_another_whichever_comes_first(buckets: Buckets, tmp_path: Path) -> None:
    put(buckets, "a", b"1")
    put(buckets, "a/b", b"2")
    put(buckets, "c/d", b"4")
    put(buckets, "c", b"3")
    put(buckets, "e/", b"5")
    put(buckets, "e//f", b"6")
    assert sorted(path.name for path in (tmp_path / "buckets" / "b").iterdir()) == [
        "a",
        "a%2F",
        "c",
        "c%2F",
        "e",
    ]
    assert keys(buckets.objects("b")) == ["a", "a/b", "c", "c/d", "e/", "e//f"]
    assert [read(buckets, key) for key in ("a", "a/b", "c", "c/d", "e/", "e//f")] == [
        b"%d" % n for n in range(1, 7)
    ]
    where = Settings(home=tmp_path)
    assert [found.key for found in blobs.list_objects("s3://b/", where)] == ["a", "c"]
    for key, content in (("a", b"1"), ("c", b"3"), ("a/b", b"2"), ("e//f", b"6")):
        (found,) = blobs.list_objects(f"s3://b/{key}", where)
        with found.open() as file:
            assert file.read() == content
    for key in ("a", "c", "a/b", "c/d", "e/", "e//f"):
        assert buckets.remove("b", key)
        assert buckets.stat("b", key) is None
    assert list((tmp_path / "buckets" / "b").iterdir()) == []


def test_the_plain_name_wins_and_a_put_removes_the_alternate(buckets: Buckets, tmp_path: Path) -> None:
    put(buckets, "c/d")
    put(buckets, "c", b"first")
    buckets.remove("b", "c/d")
    assert read(buckets, "c") == b"first"
    put(buckets, "c", b"second")
    directory = tmp_path / "buckets" / "b"
    assert [path.name for path in directory.iterdir()] == ["c"]
    (directory / "c%2F").write_bytes(b"by hand")
    assert keys(buckets.objects("b")) == ["c"]
    assert read(buckets, "c") == b"second"
    buckets.remove("b", "c")
    assert list(directory.iterdir()) == []


def test_a_bucket_is_made_once_and_told_in_order(buckets: Buckets, tmp_path: Path) -> None:
    with pytest.raises(BucketExists) as found:
        buckets.create("b", account="other", region="r", now=9)
    assert found.value.args[0] == Bucket("b", 5.5, "111122223333", "us-east-1")
    root = tmp_path / "buckets"
    (root / "a").mkdir()
    (root / "file").touch()
    (root / "link").symlink_to(root / "a")
    (root / "no name").mkdir()
    by_hand = Bucket("a", (root / "a").stat().st_mtime, None, None)
    assert [bucket._replace(created_at=0) for bucket in buckets.list()] == [
        by_hand._replace(created_at=0),
        Bucket("b", 0, "111122223333", "us-east-1"),
    ]
    with pytest.raises(ValueError, match="no name"):
        buckets.create(".nextpick", account="a", region="r", now=0)


def test_a_bucket_by_hand_takes_objects_and_documents(buckets: Buckets, tmp_path: Path) -> None:
    (tmp_path / "buckets" / "hand").mkdir()
    put(buckets, "k", bucket="hand")
    buckets.set_document("hand", "policy", "{}")
    assert buckets.document("hand", "policy") == "{}"
    assert buckets.find("hand") is not None


def test_only_an_empty_bucket_is_deleted_and_nothing_of_it_comes_back(
    buckets: Buckets, tmp_path: Path
) -> None:
    put(buckets, "a/b")
    buckets.set_document("b", "policy", "{}")
    buckets.start_upload("b", "k", Meta(), now=1)
    with pytest.raises(BucketNotEmpty):
        buckets.delete("b")
    assert keys(buckets.objects("b")) == ["a/b"]
    buckets.remove("b", "a/b")
    (tmp_path / "buckets" / "b" / "left" / "over").mkdir(parents=True)
    buckets.delete("b")
    assert buckets.list() == []
    assert [path.name for path in (tmp_path / "buckets" / ".nextpick" / "b").iterdir() if path.is_file()] == [
        "lock"
    ]
    with pytest.raises(NoSuchBucket):
        buckets.delete("b")
    buckets.create("b", account="new", region="r", now=7)
    assert buckets.document("b", "policy") is None
    assert list(buckets.uploads("b")) == []


def test_a_draft_of_a_deleted_bucket_is_not_committed_to_its_successor(buckets: Buckets) -> None:
    draft = buckets.begin("b")
    draft.write(b"x")
    buckets.delete("b")
    buckets.create("b", account="new", region="r", now=7)
    with pytest.raises(NoSuchBucket):
        buckets.commit(draft, "b", "k", Meta())
    assert keys(buckets.objects("b")) == []


@pytest.mark.parametrize("name", ["none", ".nextpick", "..", "", "b/../b", "b\0"])
def test_what_is_no_bucket_is_told(buckets: Buckets, tmp_path: Path, name: str) -> None:
    for call in (
        lambda: buckets.stat(name, "k"),
        lambda: buckets.open(name, "k"),
        lambda: buckets.begin(name),
        lambda: buckets.remove(name, "k"),
        lambda: buckets.objects(name),
        lambda: buckets.delete(name),
        lambda: buckets.set_document(name, "policy", "x"),
        lambda: buckets.uploads(name),
        lambda: buckets.start_upload(name, "k", Meta(), now=0),
    ):
        with pytest.raises(NoSuchBucket):
            call()
    assert buckets.find(name) is None
    assert sorted(path.name for path in (tmp_path / "buckets" / ".nextpick").iterdir()) == ["b"]


def test_documents_are_kept_replaced_and_removed(buckets: Buckets) -> None:
    assert buckets.document("b", "policy") is None
    for text in ("one", "zwö", None):
        buckets.set_document("b", "policy", text)
        assert buckets.document("b", "policy") == text
    buckets.set_document("b", "policy", None)


def test_a_check_sees_what_is_replaced_and_stops_it(buckets: Buckets, tmp_path: Path) -> None:
    seen = []

    def refuse(current: Stored | None) -> None:
        seen.append(current)
        raise PermissionError("no")

    def attempt() -> None:
        draft = buckets.begin("b")
        draft.write(b"other")
        with pytest.raises(PermissionError):
            buckets.commit(draft, "b", "new/a", Meta(), check=refuse)
        with pytest.raises(PermissionError):
            buckets.remove("b", "new/a", check=refuse)

    attempt()
    assert list((tmp_path / "buckets" / "b").iterdir()) == []
    first = put(buckets, "new/a")
    attempt()
    assert seen == [None, None, first, first]
    assert buckets.stat("b", "new/a") == first
    assert left_over(tmp_path / "buckets") == []
    assert len(sidecars(tmp_path / "buckets")) == 1


def test_a_link_is_neither_listed_nor_read_nor_written_through(buckets: Buckets, tmp_path: Path) -> None:
    outside, directory = tmp_path / "outside", tmp_path / "buckets" / "b"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (directory / "link").symlink_to(outside / "secret")
    (directory / "folder").symlink_to(outside)
    (directory / "link%2F").write_text("behind it")
    os.mkfifo(directory / "pipe")
    assert keys(buckets.objects("b")) == []
    assert buckets.objects("b", delimiter="/").prefixes == []
    for key in ("link", "folder/secret", "pipe"):
        assert buckets.stat("b", key) is None
        with pytest.raises(NoSuchKey):
            buckets.open("b", key)
        assert not buckets.remove("b", key)
    for key in ("link", "link/a", "folder", "folder/new", "folder/secret", "pipe"):
        with pytest.raises(Blocked):
            put(buckets, key)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "x"
    with pytest.raises(BucketNotEmpty):
        buckets.delete("b")


@pytest.mark.parametrize("key", ["../x", "..", "a/../../x", "./x", "/x", "a//x", "a\nb"])
def test_an_odd_key_is_itself_inside_its_bucket(buckets: Buckets, tmp_path: Path, key: str) -> None:
    put(buckets, key)
    assert keys(buckets.objects("b")) == [key]
    assert sorted(path.name for path in (tmp_path / "buckets").iterdir()) == [".nextpick", "b"]


@pytest.mark.parametrize("key", ["x" * 253, "y/" * 513, "é" * 200])
def test_a_key_too_long_is_refused_and_nowhere(buckets: Buckets, tmp_path: Path, key: str) -> None:
    with pytest.raises(KeyTooLong):
        put(buckets, key)
    assert buckets.stat("b", key) is None
    assert not buckets.remove("b", key)
    assert left_over(tmp_path / "buckets") == []


def test_a_key_of_a_thousand_folders_is_put_listed_and_removed(buckets: Buckets, tmp_path: Path) -> None:
    key = "/" * 1000 + "a"
    put(buckets, key)
    put(buckets, "/" * 998 + "z")
    assert keys(buckets.objects("b")) == [key, "/" * 998 + "z"]
    assert buckets.objects("b", delimiter="/").prefixes == ["/"]
    assert buckets.remove("b", key)
    buckets.remove("b", "/" * 998 + "z")
    assert list((tmp_path / "buckets" / "b").iterdir()) == []


def test_a_failing_disk_leaves_nothing(
    buckets: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = put(buckets, "a", b"before")

    def fail(*_args: object, **_more: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("fsync", "rename", "pwrite", "utime"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, fail)
            for key in ("a", "x/y/z"):
                with pytest.raises(OSError, match="No space left"):
                    put(buckets, key, b"other")
        assert buckets.stat("b", "a") == before
        assert sorted(path.name for path in (tmp_path / "buckets" / "b").iterdir()) == ["a"]
        assert left_over(tmp_path / "buckets") == []
        assert len(sidecars(tmp_path / "buckets")) == 1


def test_pages_stand_in_the_order_of_utf8_and_prefixes_count(buckets: Buckets) -> None:
    for key in ("a-b", "a/b", "a0", "a/c", "é", "z", "\U0001f600", "￿"):
        put(buckets, key)
    assert keys(buckets.objects("b")) == ["a-b", "a/b", "a/c", "a0", "z", "é", "￿", "\U0001f600"]
    page = buckets.objects("b", delimiter="/", limit=2)
    assert (keys(page), page.prefixes, page.last, page.more) == (["a-b"], ["a/"], "a/", True)
    for after in ("a/", "a/b", "a/zzz"):
        page = buckets.objects("b", delimiter="/", after=after)
        assert (keys(page)[0], page.prefixes) == ("a0", [])
    assert buckets.objects("b", limit=0) == Listing([], [], "", False)
    assert keys(buckets.objects("b", prefix="a/", delimiter="/")) == ["a/b", "a/c"]


def test_an_empty_folder_is_no_prefix(buckets: Buckets, tmp_path: Path) -> None:
    (tmp_path / "buckets" / "b" / "in" / "deep").mkdir(parents=True)
    assert buckets.objects("b", delimiter="/") == Listing([], [], "", False)


def test_folders_that_cannot_matter_are_not_read(
    buckets: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a/1", "b/c/1", "b/d/1", "z/1"):
        put(buckets, key)
    read_ones = []
    real = os.scandir

    def scandir(fd: int) -> object:
        read_ones.append(os.fstat(fd).st_ino)
        return real(fd)

    monkeypatch.setattr(os, "scandir", scandir)
    found = keys(buckets.objects("b", prefix="b/", after="b/c0", limit=1))
    monkeypatch.undo()
    directory = tmp_path / "buckets" / "b" / "b"
    assert found == ["b/d/1"]
    assert read_ones == [directory.stat().st_ino, (directory / "d").stat().st_ino]


def expected(model: dict[str, bytes], prefix: str, delimiter: str, after: str) -> list[str]:
    """List a model as S3 does, the slow way."""
    found = []
    for key in sorted(model, key=str.encode):
        if not key.startswith(prefix) or key <= after:
            continue
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            name = prefix + rest[: rest.index(delimiter)] + delimiter
            if name not in found and not after.startswith(name):
                found.append(name)
        else:
            found.append(key)
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(KEY, st.booleans()), max_size=12),
    st.lists(
        st.tuples(st.just("") | KEY, st.sampled_from(["", "/", "/", "-", "a", "//"]), st.just("") | KEY),
        max_size=6,
    ),
    st.integers(1, 4),
)
def test_a_bucket_is_a_dict_with_s3s_listing(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[str, bool]],
    questions: list[tuple[str, str, str]],
    limit: int,
) -> None:
    root = tmp_path_factory.mktemp("model") / "buckets"
    buckets, model = opened(root), {}
    for n, (key, there) in enumerate(changes):
        if there:
            model[key] = b"%d" % n
            put(buckets, key, model[key])
        else:
            assert buckets.remove("b", key) == (model.pop(key, None) is not None)
    for key, content in model.items():
        assert read(buckets, key) == content
    for prefix, delimiter, after in [("", "", ""), *questions]:
        wanted = expected(model, prefix, delimiter, after)
        assert pages(buckets, limit, prefix=prefix, delimiter=delimiter, after=after) == wanted
        assert pages(buckets, 1000, prefix=prefix, delimiter=delimiter, after=after) == wanted
    assert len(sidecars(root)) == len(model)
    for key in model:
        assert buckets.remove("b", key)
    assert list((root / "b").iterdir()) == []

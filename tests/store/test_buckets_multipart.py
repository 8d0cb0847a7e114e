"""Uploads in parts: moved into place where the parts lie in order, copied where not, whole or not at all."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.store import objects
from nextpick.store.buckets import Buckets, InvalidPart, KeyTooLong, Meta, NoSuchUpload, Part
from nextpick.store.drafts import Draft


@pytest.fixture
def buckets(tmp_path: Path) -> Buckets:
    return opened(tmp_path / "buckets")


def opened(root: Path) -> Buckets:
    made = Buckets(root, owner="worker-0")
    if made.find("b") is None:
        made.create("b", account="111122223333", region="us-east-1", now=5.5)
    return made


def start(buckets: Buckets, key: str = "in/k", now: float = 7.5) -> str:
    return buckets.start_upload("b", key, Meta(content_type="text/csv"), now=now)


def part(buckets: Buckets, upload: str, number: int, content: bytes, known: bool = True) -> Part:
    with buckets.begin_part("b", upload, number, len(content) if known else None) as draft:
        draft.write(content)
        return buckets.commit_part(draft, etag=content.hex(), checksums={"CRC32": "x"})


def complete(buckets: Buckets, upload: str, numbers: list[int]) -> bytes:
    key = buckets.upload("b", upload).key
    made = buckets.complete("b", upload, numbers, Meta(etag="whole", parts=[1]))
    stored, file = buckets.open("b", key)
    with file:
        content = file.read()
    assert stored == made
    assert (stored.size, stored.meta) == (len(content), Meta(etag="whole", parts=[1]))
    with pytest.raises(NoSuchUpload):
        buckets.upload("b", upload)
    assert list(buckets.uploads("b")) == []
    return content


@pytest.fixture
def no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("copied")

    monkeypatch.setattr(Draft, "copy", refuse)


@pytest.mark.usefixtures("no_copies")
def test_parts_in_order_are_moved_not_copied(buckets: Buckets, tmp_path: Path) -> None:
    upload = start(buckets)
    for number, content in ((1, b"aaaa"), (3, b"cc"), (2, b"bbbb")):
        made = part(buckets, upload, number, content)
        assert (made.number, made.size, made.etag) == (number, len(content), content.hex())
    found = buckets.parts("b", upload)
    assert [(p.number, p.size, p.etag, p.checksums) for p in found] == [
        (1, 4, "61616161", {"CRC32": "x"}),
        (2, 4, "62626262", {"CRC32": "x"}),
        (3, 2, "6363", {"CRC32": "x"}),
    ]
    assert complete(buckets, upload, [1, 2, 3]) == b"aaaabbbbcc"
    side = tmp_path / "buckets" / ".nextpick" / "b"
    assert list((side / "uploads").iterdir()) == list((side / "temp").iterdir()) == []


def test_parts_that_fit_no_slot_are_copied(buckets: Buckets) -> None:
    upload = start(buckets)
    part(buckets, upload, 2, b"22")
    part(buckets, upload, 1, b"larger")
    part(buckets, upload, 3, b"3", known=False)
    part(buckets, upload, 7, b"")
    part(buckets, upload, 10000, b"9")
    assert complete(buckets, upload, [1, 2, 3, 7, 10000]) == b"larger2239"


def test_a_part_uploaded_again_replaces_the_first(buckets: Buckets, tmp_path: Path) -> None:
    upload = start(buckets)
    for content in (b"aaaa", b"bbbb", b"cccc"):
        part(buckets, upload, 1, content)
    part(buckets, upload, 2, b"dddd")
    assert [p.etag for p in buckets.parts("b", upload)] == [b"cccc".hex(), b"dddd".hex()]
    (folder,) = (tmp_path / "buckets" / ".nextpick" / "b" / "uploads").iterdir()
    assert len(list(folder.glob("own.*"))) == 1
    assert complete(buckets, upload, [1, 2]) == b"ccccdddd"


def test_of_two_uploads_of_a_part_at_once_the_last_told_is_whole(buckets: Buckets) -> None:
    for first, last in ((0, 1), (1, 0)):
        upload = start(buckets)
        drafts = [buckets.begin_part("b", upload, 1, 4) for _ in range(2)]
        for letter in (0, 1, 0, 1):
            drafts[letter].write(b"AB"[letter : letter + 1] * 2)
        for one in (first, last):
            buckets.commit_part(drafts[one], etag="e", checksums={})
        assert complete(buckets, upload, [1]) == b"AB"[last : last + 1] * 4


def test_a_slot_given_up_is_used_again(buckets: Buckets, no_copies: None) -> None:
    upload = start(buckets)
    with buckets.begin_part("b", upload, 1, 4) as draft:
        draft.write(b"gone")
    part(buckets, upload, 1, b"here")
    assert complete(buckets, upload, [1]) == b"here"


def test_a_slot_is_given_back_when_the_process_that_had_it_starts_again(
    buckets: Buckets, tmp_path: Path, no_copies: None
) -> None:
    upload = start(buckets)
    draft = buckets.begin_part("b", upload, 1, 4)
    draft.write(b"gone")
    Buckets(tmp_path / "buckets", owner="worker-1")
    again = opened(tmp_path / "buckets")
    part(again, upload, 1, b"here")
    Buckets.sweep(tmp_path / "buckets")
    assert complete(again, upload, [1]) == b"here"


def test_who_writes_a_part_that_is_not_chosen_does_not_write_into_the_object(buckets: Buckets) -> None:
    upload = start(buckets)
    part(buckets, upload, 1, b"aaaa")
    late = buckets.begin_part("b", upload, 2, 4)
    late.write(b"bb")
    assert complete(buckets, upload, [1]) == b"aaaa"
    late.write(b"bb")
    with pytest.raises(NoSuchUpload):
        buckets.commit_part(late, etag="e", checksums={})
    _, file = buckets.open("b", "in/k")
    with file:
        assert file.read() == b"aaaa"


def test_a_completion_of_fewer_parts_that_fails_harms_no_part(buckets: Buckets) -> None:
    upload = start(buckets)
    for number, content in ((1, b"aaaa"), (2, b"bbbb"), (3, b"cccc")):
        part(buckets, upload, number, content)

    def refuse(_: object) -> None:
        raise PermissionError("no")

    for numbers in ([1], [1, 2, 3], [2]):
        with pytest.raises(PermissionError):
            buckets.complete("b", upload, numbers, Meta(), check=refuse)
    assert complete(buckets, upload, [1, 2, 3]) == b"aaaabbbbcccc"


def test_a_part_never_uploaded_is_named(buckets: Buckets) -> None:
    upload = start(buckets)
    part(buckets, upload, 1, b"aaaa")
    with pytest.raises(InvalidPart) as found:
        buckets.complete("b", upload, [1, 2], Meta())
    assert found.value.args == (2,)
    with pytest.raises(InvalidPart):
        buckets.complete("b", upload, [], Meta())
    assert complete(buckets, upload, [1]) == b"aaaa"


def test_a_part_may_not_become_larger_than_its_slot(buckets: Buckets) -> None:
    upload = start(buckets)
    part(buckets, upload, 2, b"bbbb")
    draft = buckets.begin_part("b", upload, 1, 4)
    with pytest.raises(ValueError, match="announced"):
        draft.write(b"aaaaX")
    part(buckets, upload, 1, b"aaaa")
    assert complete(buckets, upload, [1, 2]) == b"aaaabbbb"


def test_uploads_are_told_by_key_and_time_with_what_was_given(buckets: Buckets) -> None:
    ids = [start(buckets, key, now) for key, now in (("b", 1), ("a", 3), ("a", 2))]
    found = buckets.uploads("b")
    assert [upload.id for upload in found] == [ids[2], ids[1], ids[0]]
    assert found[0] == buckets.upload("b", ids[2], key="a")
    assert (found[0].key, found[0].initiated, found[0].meta) == ("a", 2, Meta(content_type="text/csv"))
    with pytest.raises(NoSuchUpload):
        buckets.upload("b", ids[2], key="b")
    with pytest.raises(KeyTooLong):
        start(buckets, "x" * 300)


def test_an_aborted_upload_is_gone(buckets: Buckets, tmp_path: Path) -> None:
    upload = start(buckets)
    part(buckets, upload, 1, b"aaaa")
    draft, own = buckets.begin_part("b", upload, 2, 4), buckets.begin_part("b", upload, 3, None)
    buckets.abort("b", upload)
    for call in (
        lambda: buckets.parts("b", upload),
        lambda: buckets.upload("b", upload),
        lambda: buckets.abort("b", upload),
        lambda: buckets.begin_part("b", upload, 1, 4),
        lambda: buckets.commit_part(draft, etag="e", checksums={}),
        lambda: buckets.commit_part(own, etag="e", checksums={}),
        lambda: buckets.complete("b", upload, [1], Meta()),
        lambda: buckets.upload("b", "../../secret"),
    ):
        with pytest.raises(NoSuchUpload):
            call()
    assert list((tmp_path / "buckets" / ".nextpick" / "b" / "temp").iterdir()) == []


def test_an_upload_survives_a_sweep_and_a_new_process(buckets: Buckets, tmp_path: Path) -> None:
    upload = start(buckets)
    part(buckets, upload, 1, b"aaaa")
    Buckets.sweep(tmp_path / "buckets")
    assert complete(opened(tmp_path / "buckets"), upload, [1]) == b"aaaa"


def test_a_completion_killed_as_the_object_was_there_succeeds_again(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = start(buckets)
    part(buckets, upload, 1, b"aaaa")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(objects.Objects, "_forget", killed)
        with pytest.raises(KeyboardInterrupt):
            buckets.complete("b", upload, [1], Meta(etag="whole", parts=[1]))
    with pytest.raises(NoSuchUpload):
        buckets.begin_part("b", upload, 2, 4)
    with pytest.raises(NoSuchUpload):
        buckets.complete("b", upload, [1], Meta(etag="another"))
    assert complete(buckets, upload, [1]) == b"aaaa"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4), st.binary(max_size=5) | st.sampled_from([b"abc", b"def"]), st.booleans()
        ),
        min_size=1,
        max_size=8,
    ),
    st.data(),
)
def test_any_parts_make_what_they_are_one_behind_the_other(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[int, bytes, bool]], data: st.DataObject
) -> None:
    buckets = opened(tmp_path_factory.mktemp("parts") / "buckets")
    upload, model = start(buckets), {}
    for number, content, known in sent:
        part(buckets, upload, number, content, known)
        model[number] = content
    assert {p.number: p.size for p in buckets.parts("b", upload)} == {n: len(c) for n, c in model.items()}
    chosen = sorted(data.draw(st.sets(st.sampled_from(sorted(model)), min_size=1)))
    assert complete(buckets, upload, chosen) == b"".join(model[number] for number in chosen)

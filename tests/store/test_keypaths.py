"""Names of segments: safe, distinct, and with an alternate where a file and a directory want one name."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.store import keypaths
from nextpick.store.faults import Blocked, KeyTooLong
from nextpick.store.keypaths import escape, names_of, unescape

SEGMENTS = st.text(st.characters(exclude_characters="/", exclude_categories=("Cs",)), max_size=20)
ODD = st.text("a%2F./é\n5", max_size=8).map(lambda text: text.replace("/", ""))


@pytest.fixture
def top(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@given(SEGMENTS | ODD)
def test_every_name_of_a_segment_stands_for_it(segment: str) -> None:
    names = names_of(segment)
    assert {unescape(name) for name in names} == {segment}
    assert len(set(names)) == len(names)
    assert names[:2] == [escape(segment), escape(segment) + "%2F"]


@given(ODD.filter(lambda name: name not in ("", ".", "..")))
def test_every_file_name_is_among_the_names_of_what_it_stands_for(name: str) -> None:
    assert name in names_of(unescape(name))


def test_an_empty_segment_has_an_alternate_too() -> None:
    assert names_of("") == ["%", "%%2F"]
    assert unescape("%%2F") == ""


def test_a_name_by_hand_comes_last() -> None:
    assert names_of("100%.csv") == ["100%25.csv", "100%25.csv%2F", "100%.csv"]


def test_a_name_that_its_alternate_would_be_too_long_for_has_none() -> None:
    assert len(names_of("x" * 252)) == 2
    assert len(names_of("x" * 253)) == 1


@pytest.mark.parametrize("key", ["x" * 252, "é" * 126, "%" * 84, "/".join("x" * 512), "/" * 1024])
def test_a_key_at_the_limit_is_fine(key: str) -> None:
    keypaths.check_key(key)


@pytest.mark.parametrize("key", ["x" * 253, "é" * 127, "%" * 85, "/".join("x" * 513), "/" * 1025])
def test_a_key_over_the_limit_is_too_long(key: str) -> None:
    with pytest.raises(KeyTooLong):
        keypaths.check_key(key)


@pytest.mark.parametrize("key", ["", "\ud800"])
def test_what_can_be_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"empty|surrogates"):
        keypaths.check_key(key)


def test_folders_are_made_beside_files_and_taken_away_as_far_as_they_are_empty(
    top: int, tmp_path: Path
) -> None:
    (tmp_path / "a").touch()
    fd, names = keypaths.make_folders(top, ["a", "", "c"])
    os.close(fd)
    assert names == ["a%2F", "%", "c"]
    (tmp_path / "a%2F" / "other").touch()
    os.close(keypaths.prune(top, names))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "a%2F", "other"]


def test_folders_behind_a_link_are_refused_and_leave_nothing(top: int, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/tmp")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "link").symlink_to("/tmp")
    for folders in (["link"], ["link", "b"], ["new", "link"]):
        with pytest.raises(Blocked):
            keypaths.make_folders(top, folders)
    assert keypaths.descend(top, ["none", "b"]) is None
    with pytest.raises(keypaths.SymbolicLink):
        keypaths.descend(top, ["new", "link"])


def test_a_file_behind_the_one_that_counts_makes_way_for_a_folder(top: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("counts")
    (tmp_path / "a%2F").write_text("older")
    fd, names = keypaths.make_folders(top, ["a"])
    os.close(fd)
    assert names == ["a%2F"]
    assert (tmp_path / "a").read_text() == "counts"

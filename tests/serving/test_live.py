"""Live tails hold what each user did after a snapshot, in order, whoever wrote it down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving_world import GROUP, FakeReader

from nextpick.serving.live import Tails


@pytest.fixture
def reader() -> FakeReader:
    return FakeReader()


def items(tails: Tails, user: str, positions: dict[str, int] | None = None) -> list[str]:
    """Return a user's items after some positions."""
    return [event.item for event in tails.of(GROUP, user, positions or {})]


def test_events_come_by_time_and_those_of_one_second_by_arrival(reader: FakeReader) -> None:
    tails = Tails(reader)
    tails.hold("all", {})
    for file, item, time in (("a", "late", 9), ("b", "early", 1), ("a", "first", 5), ("a", "second", 5)):
        reader.write(file, "u", item, time)
    assert items(tails, "u") == ["early", "first", "second", "late"]


def test_nothing_is_read_while_nothing_changes(reader: FakeReader) -> None:
    tails = Tails(reader)
    tails.hold("all", {})
    reader.write("a", "u", "i")
    assert items(tails, "u") == items(tails, "u") == ["i"]
    assert reader.polled == 2  # once for hold, once for the event


def test_what_a_snapshot_has_folded_in_is_left_out(reader: FakeReader) -> None:
    for item in "abc":
        reader.write("x", "u", item)
    tails = Tails(reader)
    tails.hold("old", {"x": 1})
    assert items(tails, "u", {"x": 1}) == ["b", "c"]
    assert items(tails, "u", {"x": 2}) == ["c"]
    assert items(tails, "u", {"x": 3}) == []


def test_an_older_version_makes_the_log_be_read_again(reader: FakeReader) -> None:
    for item in "abc":
        reader.write("x", "u", item)
    tails = Tails(reader)
    tails.hold("new", {"x": 3})
    assert items(tails, "u", {"x": 3}) == []
    tails.hold("old", {"x": 1})
    assert items(tails, "u", {"x": 1}) == ["b", "c"]


def test_a_version_from_before_a_file_was_there_makes_it_be_read(reader: FakeReader) -> None:
    reader.write("x", "u", "a")
    tails = Tails(reader)
    tails.hold("old", {"x": 1})
    tails.hold("all", {})
    assert items(tails, "u", {}) == ["a"]


def test_what_no_version_needs_is_forgotten(reader: FakeReader) -> None:
    tails = Tails(reader)
    tails.hold("all", {})
    for item in "abc":
        reader.write("x", "u", item)
    assert items(tails, "u") == ["a", "b", "c"]
    tails.hold("newer", {"x": 2})
    tails.release(["all"])
    assert items(tails, "u") == ["c"]


def test_a_session_becomes_its_users_as_soon_as_it_names_one(reader: FakeReader) -> None:
    tails = Tails(reader)
    tails.hold("all", {})
    reader.write("x", None, "before", 1, session="s1")
    assert items(tails, "s1") == ["before"]
    assert items(tails, "u") == []
    reader.write("y", "u", "after", 2, session="s1")
    assert items(tails, "u") == ["before", "after"]
    assert items(tails, "s1") == []


def test_what_a_session_does_after_it_named_its_user_is_the_users_too(reader: FakeReader) -> None:
    tails = Tails(reader)
    tails.hold("all", {})
    reader.write("x", "u", "named", 1, session="s1")
    assert items(tails, "u") == ["named"]
    reader.write("x", None, "later", 2, session="s1")
    reader.write("x", None, "other", 3, session="s2")
    assert items(tails, "u") == ["named", "later"]
    assert items(tails, "s2") == ["other"]
    tails.hold("newer", {"x": 3})
    tails.release(["all"])
    reader.write("x", None, "much later", 4, session="s1")
    assert items(tails, "s1") == ["much later"]


def test_an_event_without_item_links_a_session_and_is_none_itself(reader: FakeReader) -> None:
    tails = Tails(reader)
    tails.hold("all", {})
    reader.write("x", None, "a", session="s1")
    reader.write("x", "u", None, session="s1")
    assert items(tails, "u") == ["a"]


def test_groups_and_users_do_not_see_each_other(reader: FakeReader) -> None:
    tails = Tails(reader)
    tails.hold("all", {})
    reader.write("x", "u", "a")
    assert tails.of("other", "u", {}) == []
    assert items(tails, "v") == []


@given(
    st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("uv"), st.integers(0, 3)), max_size=20),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_a_tail_is_what_a_look_through_all_files_finds(
    writes: list[tuple[str, str, int]], x: int, y: int
) -> None:
    reader = FakeReader()
    tails = Tails(reader)
    tails.hold("all", {})
    arrived = []
    for n, (file, user, time) in enumerate(writes):
        reader.write(file, user, f"i{n}", time)
        arrived.append((file, len(reader.files[file]), user, time, f"i{n}"))
        if n % 3 == 0:
            items(tails, user)  # read now and then, so that arrival order is that of reading
    floor = {"x": x, "y": y}
    for user in "uv":
        wanted = sorted(
            (time, item) for file, seq, u, time, item in arrived if u == user and seq > floor[file]
        )
        found = [(event.time, event.item) for event in tails.of(GROUP, user, floor)]
        assert sorted(found) == wanted
        assert [time for time, _ in found] == sorted(time for time, _ in found)

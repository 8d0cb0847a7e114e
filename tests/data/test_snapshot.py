"""A snapshot is what an obvious join of parts and events would be, whatever order they came in."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from part_world import INTERACTIONS, ITEMS, USERS, a_run, imported, lines

from nextpick.data.dataset import Data, open_snapshot
from nextpick.data.run import Stopped
from nextpick.data.snapshot import Source, build_snapshot
from nextpick.store.log import EventRow

HEADER = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE"


def row(user: str, item: str, time: int, kind: str = "", value: str = "") -> str:
    return f"{user},{item},{time},{kind},{value}"


def event(
    user: str | None, item: str | None, time: int, *, id: str, session: str = "s", kind: str = "click",
    value: float | None = None,
) -> EventRow:  # fmt: skip
    return EventRow("g", user, session, item, kind, value, time, id)


def build(
    out: Path, *parts: list[str], items: str | None = None, users: str | None = None, events=(), **options
) -> Data:
    """Import rows as parts, build a snapshot and open it."""
    made = []
    for n, records in enumerate(parts):
        made.append(out / f"part{n}")
        imported(made[-1], lines(HEADER, *records), of=INTERACTIONS)
    sources = {}
    for name, text, of in (("items", items, ITEMS), ("users", users, USERS)):
        if text is not None:
            imported(out / name, text, of=of, dataset_type=name.upper())
            sources[name] = Source(of, [out / name])
    build_snapshot(
        out / "snapshot",
        interactions=Source(INTERACTIONS, made),
        items=sources.get("items"),
        users=sources.get("users"),
        events=events,
        run=a_run(),
        **options,
    )
    return open_snapshot(out / "snapshot")


def histories(data: Data) -> dict[str, list[tuple[int, str]]]:
    """Return each user's (time, item) in the order they lie."""
    offsets, item, time = data.interactions.offsets, data.interactions.item, data.interactions.time
    return {
        data.users.ids.id(user): [(int(time[i]), data.items.ids.id(int(item[i]))) for i in range(start, end)]
        for user, (start, end) in enumerate(zip(offsets.tolist(), offsets[1:].tolist(), strict=False))
        if start < end
    }


RECORD = st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "007", "z z"]), st.integers(0, 5))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(RECORD, min_size=1, max_size=8, unique=True), min_size=1, max_size=3),
    st.lists(RECORD, max_size=6),
)
def test_interactions_lie_by_user_and_time_and_equal_ones_count_once(
    parts: list[list[tuple[str, str, int]]], streamed: list[tuple[str, str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        texts = [[row(u, i, t, "click") for u, i, t in records] for records in parts]
        events = [event(u, i, t, id=str(n)) for n, (u, i, t) in enumerate(dict.fromkeys(streamed))]
        found = histories(build(Path(scratch), *texts, events=events))
    wanted: dict[str, list[tuple[int, str]]] = {}
    for u, i, t in {*streamed, *(record for records in parts for record in records)}:
        wanted.setdefault(u, []).append((t, i))
    assert {user: sorted(history) for user, history in found.items()} == {
        user: sorted(history) for user, history in wanted.items()
    }
    for history in found.values():
        assert [time for time, _ in history] == sorted(time for time, _ in history)


def test_rows_of_one_second_keep_the_order_of_the_file(tmp_path: Path) -> None:
    data = build(tmp_path, [row("u", i, 7) for i in ("c", "a", "b")])
    assert histories(data) == {"u": [(7, "c"), (7, "a"), (7, "b")]}


def test_events_of_one_id_count_once_and_a_session_is_its_users(tmp_path: Path) -> None:
    events = [
        event("u", "x", 1, id="1"),
        event("u", "x", 1, id="1"),
        event(None, "y", 2, id="2", session="s9"),
        event("u", "z", 3, id="3", session="s9"),
        event(None, "z", 4, id="4", session="nobody's"),
    ]
    data = build(tmp_path, [row("u", "w", 0)], events=events)
    assert histories(data) == {"u": [(0, "w"), (1, "x"), (2, "y"), (3, "z")]}


def test_an_event_type_and_a_threshold_choose_the_rows(tmp_path: Path) -> None:
    rows = [
        row("u", "a", 1, "Watch", "3"),
        row("u", "b", 2, "watch", "5"),
        row("u", "c", 3, "click", "5"),
        row("u", "d", 4, "watch"),
    ]
    events = [event("u", "e", 5, id="1", kind="WATCH", value=4.0)]
    data = build(tmp_path, rows, events=events, event_type="watch", event_value_threshold=4.0)
    assert histories(data) == {"u": [(2, "b"), (5, "e")]}


def test_metadata_is_aligned_with_the_ids(tmp_path: Path) -> None:
    items = lines(
        "ITEM_ID,GENRES,PRICE,CREATION_TIMESTAMP,DESCRIPTION,NOTE",
        "new,drama|comedy,2.5,90,long text,note",
        "x,,,,,",
    )
    users = lines("USER_ID,AGE,GENDER", "u,30,f", "quiet,,m")
    data = build(
        tmp_path, [row("u", "x", 10), row("u", "y", 20), row("v", "x", 30)], items=items, users=users
    )
    ids = [data.items.ids.id(i) for i in range(len(data.items.ids))]
    assert ids == ["new", "x", "y"]
    assert data.items.created.tolist() == [90, 10, 20]
    assert data.latest == 30
    columns = {column.name: column for column in data.items.columns}
    genres = columns["GENRES"]
    assert genres.values == ("comedy", "drama")
    assert genres.offsets is not None
    assert genres.offsets.tolist() == [0, 2, 2, 2]
    prices = columns["PRICE"].numbers
    assert prices is not None
    assert np.array_equal(prices, np.array([2.5, np.nan, np.nan], np.float32), equal_nan=True)
    people = [data.users.ids.id(i) for i in range(len(data.users.ids))]
    assert set(people[:2]) == {"u", "v"}
    assert people[2] == "quiet"
    ages = next(column.numbers for column in data.users.columns if column.name == "AGE")
    assert ages is not None
    assert np.nan_to_num(ages)[people.index("u")] == 30


def test_excluded_columns_are_not_there(tmp_path: Path) -> None:
    items = lines("ITEM_ID,GENRES,PRICE,CREATION_TIMESTAMP,DESCRIPTION,NOTE", "x,drama,1,1,a,b")
    data = build(tmp_path, [row("u", "x", 1)], items=items, excluded_columns={"Items": ["GENRES"]})
    assert "GENRES" not in [column.name for column in data.items.columns]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    def built(name: str) -> dict[str, bytes]:
        rows = [row(f"u{n % 7}", f"i{n % 5}", n, "click", "1") for n in range(60)]
        build(tmp_path / name, rows, events=[event("u1", "i9", 99, id="e")])
        root = tmp_path / name / "snapshot"
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    assert built("one") == built("two")


def test_a_stop_leaves_nothing(tmp_path: Path) -> None:
    imported(tmp_path / "part", lines(HEADER, row("u", "x", 1)), of=INTERACTIONS)
    with pytest.raises(Stopped):
        build_snapshot(
            tmp_path / "snapshot",
            interactions=Source(INTERACTIONS, [tmp_path / "part"]),
            items=None,
            users=None,
            events=[],
            run=a_run(lambda: True),
        )
    assert not (tmp_path / "snapshot").exists()

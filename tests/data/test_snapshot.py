"""A snapshot is what an obvious join of parts and events would be, whatever order they came in."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from part_world import INTERACTIONS, ITEMS, USERS, a_run, imported, lines

from nextpick.data import growing, snapshot
from nextpick.data.avro import Field
from nextpick.data.dataset import Column, Data, open_snapshot
from nextpick.data.objective import EventRule
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


Fact = tuple[str, str, int, str, str]  # user, item, time, event type, event value; the last two may be empty


def slow_join(
    sources: Sequence[Sequence[Fact]], event_type: str | None, threshold: float | None
) -> dict[str, list[tuple[int, str, str | None, float | None]]]:
    """Return each user's history: what is wanted, each fact from the first source that has it, by time."""
    histories: dict[str, list[tuple[int, str, str | None, float | None]]] = {}
    told: set[Fact] = set()
    for facts in sources:
        for user, item, time, kind, value in [fact for fact in facts if fact not in told]:
            if event_type is not None and kind.lower() != event_type.lower():
                continue
            if threshold is not None and not (value and float(value) >= threshold):
                continue
            told_as = (time, item, kind or None, float(np.float32(value)) if value else None)
            histories.setdefault(user, []).append(told_as)
        told.update(facts)
    return {user: sorted(history, key=lambda fact: fact[0]) for user, history in histories.items()}


def full_histories(data: Data) -> dict[str, list[tuple[int, str, str | None, float | None]]]:
    """Return each user's (time, item, event type, event value) in the order they lie."""
    rows, found = data.interactions, {}
    for user in range(len(data.users.ids)):
        own = range(rows.offsets[user], rows.offsets[user + 1])
        found[data.users.ids.id(user)] = [
            (
                int(rows.time[i]),
                data.items.ids.id(int(rows.item[i])),
                rows.event_types[rows.event_type[i]] if rows.event_type[i] >= 0 else None,
                None if np.isnan(rows.event_value[i]) else float(rows.event_value[i]),
            )
            for i in own
        ]
    return found


WHO_WHAT_WHEN = (
    st.sampled_from(["a", "b", "c", "ü"]),
    st.sampled_from(["x", "y", "007", "z z"]),
    st.integers(0, 4),
)
FACT = st.tuples(
    *WHO_WHAT_WHEN,
    st.sampled_from(["", "click", "Click", "buy"]),
    st.sampled_from(["", "0", "0.7", "-1", "5"]),
)
STREAMED = st.tuples(
    *WHO_WHAT_WHEN, st.sampled_from(["click", "Click", "buy"]), st.sampled_from(["0.7", "5"])
)


@pytest.mark.parametrize("rows_at_once", [1, 1_000_000])
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(FACT, min_size=1, max_size=9, unique=True), min_size=1, max_size=3),
    st.lists(STREAMED, max_size=6),
    st.sampled_from([None, "CLICK", "buy"]),
    st.sampled_from([None, 0.0, 0.7]),
)
def test_it_is_the_obvious_join_however_many_rows_are_merged_at_once(
    rows_at_once: int,
    parts: list[list[Fact]],
    streamed: list[Fact],
    event_type: str | None,
    threshold: float | None,
) -> None:
    events = [
        event(u, i, t, id=str(n), kind=kind, value=float(value))
        for n, (u, i, t, kind, value) in enumerate(streamed)
    ]
    texts = [[row(*fact) for fact in facts] for facts in parts]
    with (
        tempfile.TemporaryDirectory() as scratch,
        mock.patch.object(snapshot, "_RANGE_ROWS", rows_at_once),
        mock.patch.object(growing, "_REMAP_ROWS", 2),
    ):
        rules = [EventRule(event_type, threshold)] if event_type or threshold is not None else []
        data = build(Path(scratch), *texts, events=events, rules=rules)
        found = full_histories(data)
    wanted = slow_join([*parts, streamed], event_type, threshold)
    assert found == wanted
    items = [data.items.ids.id(i) for i in range(len(data.items.ids))]
    assert items == sorted({item for history in wanted.values() for _, item, _, _ in history})
    oldest = {item: min(t for h in wanted.values() for t, i, _, _ in h if i == item) for item in items}
    assert data.items.created.tolist() == [oldest[item] for item in items]
    assert data.latest == max((t for history in wanted.values() for t, *_ in history), default=0)
    used = {kind for history in wanted.values() for _, _, kind, _ in history if kind}
    assert list(data.interactions.event_types) == sorted(used)


def test_an_event_of_an_import_and_of_the_stream_counts_once_but_two_of_the_stream_count_twice(
    tmp_path: Path,
) -> None:
    first, again = row("u", "x", 1, "click", "2"), row("u", "x", 1, "click", "2")
    events = [event("u", "x", 1, id="1", value=2.0), event("u", "y", 2, id="2"), event("u", "y", 2, id="3")]
    data = build(tmp_path, [first, again], [again, row("u", "x", 1, "click", "3")], events=events)
    assert full_histories(data) == {
        "u": [
            (1, "x", "click", 2.0),
            (1, "x", "click", 3.0),
            (2, "y", "click", None),
            (2, "y", "click", None),
        ]
    }


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
    data = build(tmp_path, rows, events=events, rules=[EventRule("watch", 4.0)])
    assert histories(data) == {"u": [(2, "b"), (5, "e")]}


def test_each_event_type_may_have_a_threshold_of_its_own(tmp_path: Path) -> None:
    rows = [
        row("u", "a", 1, "watch", "0.2"),
        row("u", "b", 2, "watch", "0.9"),
        row("u", "c", 3, "click"),
        row("u", "d", 4, "share"),
    ]
    data = build(tmp_path, rows, rules=[EventRule("watch", 0.5, 0.3), EventRule("CLICK", None, 0.1)])
    assert histories(data) == {"u": [(2, "b"), (3, "c")]}


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
    assert [column.name for column in data.items.columns] == ["PRICE"]  # texts are not trained on


def test_a_creation_time_that_is_excluded_is_that_of_the_oldest_interaction(tmp_path: Path) -> None:
    items = lines("ITEM_ID,GENRES,PRICE,CREATION_TIMESTAMP,DESCRIPTION,NOTE", "x,a,1,5,,", "unseen,a,1,5,,")
    data = build(
        tmp_path,
        [row("u", "x", 70), row("u", "x", 90)],
        items=items,
        excluded_columns={"ITEMS": ["CREATION_TIMESTAMP", "PRICE"], "USERS": ["GENRES"]},
    )
    assert {data.items.ids.id(i): int(t) for i, t in enumerate(data.items.created)} == {"x": 70, "unseen": 90}
    assert [column.name for column in data.items.columns] == ["GENRES"]


def values_of(column: Column, row: int) -> list[str]:
    """Return the categories of a row."""
    assert column.offsets is not None
    assert column.codes is not None
    return [column.values[code] for code in column.codes[column.offsets[row] : column.offsets[row + 1]]]


GENRES = st.lists(st.sampled_from(["", "a", "b", "é", "a b"]), max_size=4).map("|".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("vwxyz"), GENRES, min_size=1), min_size=1, max_size=3))
def test_categories_are_those_of_the_last_record_split_at_bars(records: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        imported(out / "events", lines(HEADER, row("u", "x", 1)), of=INTERACTIONS)
        parts = [out / f"items{n}" for n in range(len(records))]
        for part, of_part in zip(parts, records, strict=True):
            rows = (f"{item},{genres},,,," for item, genres in of_part.items())
            header = "ITEM_ID,GENRES,PRICE,CREATION_TIMESTAMP,DESCRIPTION,NOTE"
            imported(part, lines(header, *rows), of=ITEMS, dataset_type="ITEMS")
        build_snapshot(
            out / "snapshot",
            interactions=Source(INTERACTIONS, [out / "events"]),
            items=Source(ITEMS, parts),
            users=None,
            events=[],
            run=a_run(),
        )
        data = open_snapshot(out / "snapshot")
        (column,) = (column for column in data.items.columns if column.name == "GENRES")
        found = {data.items.ids.id(i): values_of(column, i) for i in range(len(data.items.ids))}
    last = {"x": ""} | {item: genres for of_part in records for item, genres in of_part.items()}
    assert found == {item: [v for v in genres.split("|") if v] for item, genres in last.items()}
    assert list(column.values) == sorted(
        {v for of_part in records for g in of_part.values() for v in g.split("|")} - {""}
    )


def test_users_of_the_interactions_come_first_and_those_without_a_record_have_no_metadata(
    tmp_path: Path,
) -> None:
    rows = [row(f"u{n}", "x", n) for n in range(20)]
    users = lines("USER_ID,AGE,GENDER", *(f"u{n},{n},f|m" for n in range(10, 30)))
    data = build(tmp_path, rows, users=users)
    people = [data.users.ids.id(i) for i in range(30)]
    assert set(people[:20]) == {f"u{n}" for n in range(20)}
    assert np.diff(data.interactions.offsets).tolist() == [1] * 20 + [0] * 10
    gender = next(column for column in data.users.columns if column.name == "GENDER")
    age = next(column.numbers for column in data.users.columns if column.name == "AGE")
    assert age is not None
    for place, user in enumerate(people):
        number = int(user[1:])
        assert values_of(gender, place) == (["f", "m"] if number >= 10 else [])
        assert np.isnan(age[place]) if number < 10 else age[place] == number


def write_the_same(out: Path) -> None:
    """Build a snapshot of everything there is, always from the same input."""
    rows = [row(f"u{n % 7}", f"i{n % 5}", n, ("click", "buy", "")[n % 3], "1") for n in range(60)]
    items = lines(
        "ITEM_ID,GENRES,PRICE,CREATION_TIMESTAMP,DESCRIPTION,NOTE",
        *(f"i{n},g{n}|g{n % 3},1,1,," for n in range(9)),
    )
    users = lines("USER_ID,AGE,GENDER", *(f"u{n},{n},{'fm'[n % 2]}" for n in range(9)))
    excluded = {"ITEMS": ["PRICE", "NOTE"], "USERS": ["AGE"]}
    streamed = [event("u1", "i9", 99, id="e"), event(None, "i8", 98, id="f")]
    build(out, rows[:30], rows[20:], items=items, users=users, events=streamed, excluded_columns=excluded)


def bytes_of(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_same_input_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = "import sys, pathlib, test_snapshot; test_snapshot.write_the_same(pathlib.Path(sys.argv[1]))"
    for seed in ("1", "2"):  # of Python's own hashes, and so of the order of sets
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            check=True,
        )
    first = bytes_of(tmp_path / "1" / "snapshot")
    assert len(first) > 10
    assert first == bytes_of(tmp_path / "2" / "snapshot")


def test_the_rows_merged_at_once_change_no_byte(tmp_path: Path) -> None:
    write_the_same(tmp_path / "at once")
    with mock.patch.object(snapshot, "_RANGE_ROWS", 1):
        write_the_same(tmp_path / "one by one")
    assert bytes_of(tmp_path / "at once" / "snapshot") == bytes_of(tmp_path / "one by one" / "snapshot")


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


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from("abcx"), max_size=4)), min_size=2)
)
def test_what_was_shown_and_taken_is_counted(chosen: list[tuple[str, list[str]]]) -> None:
    listing = replace(
        INTERACTIONS, fields=(*INTERACTIONS.fields, Field("IMPRESSION", "string", nullable=True))
    )
    half = len(chosen) // 2
    rows = [f"{row('u', item, n)},{'|'.join(shown)}" for n, (item, shown) in enumerate(chosen[:half])]
    events = [
        event("v", item, n, id=str(n))._replace(impression=tuple(shown) or None)
        for n, (item, shown) in enumerate(chosen[half:])
    ]
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        imported(out / "part", lines(f"{HEADER},IMPRESSION", *rows), of=listing)
        source = Source(listing, [out / "part"])
        options = {"items": None, "users": None, "events": events, "run": a_run()}
        build_snapshot(out / "snapshot", source, **options, with_impressions=True)
        data = open_snapshot(out / "snapshot")
        build_snapshot(out / "plain", source, **options)
        assert open_snapshot(out / "plain").impressions is None
    if data.impressions is None:
        assert not any(shown for _, shown in chosen)
        return
    for at, item in enumerate(data.items.ids.ids(np.arange(len(data.items.ids), dtype=np.int32))):
        assert data.impressions.shown[at] == sum(shown.count(item) for _, shown in chosen)
        assert data.impressions.taken[at] == sum(took == item and item in shown for took, shown in chosen)

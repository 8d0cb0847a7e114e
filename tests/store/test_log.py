"""The event log keeps what it acknowledged, in order, and tells every reader of it at once."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.errors import ServiceUnavailable
from nextpick.store.log import EventRow, LogReader, LogWriter, has_events, positions, read_group
from nextpick.store.stamp import Stamp

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
ROW = st.builds(
    EventRow,
    group=st.sampled_from(["g1", "g2"]),
    user=st.none() | TEXT,
    session=TEXT,
    item=st.none() | TEXT,
    event_type=TEXT,
    event_value=st.none() | st.floats(allow_nan=False),
    time=st.integers(-(2**40), 2**40),
    event_id=TEXT,
    properties=st.none() | TEXT,
    recommendation_id=st.none() | TEXT,
    impression=st.none() | st.lists(TEXT, min_size=1, max_size=3).map(tuple),
    source=st.none() | TEXT,
)


def row(n: int, group: str = "g1") -> EventRow:
    return EventRow(group, "u", "s", f"i{n}", "click", None, n, f"e{n}")


def append(writer: LogWriter, *calls: list[EventRow]) -> list[BaseException | None]:
    """Append all calls at the same time, and return what each raised."""

    async def run() -> list[BaseException | None]:
        return await asyncio.gather(*(writer.append(rows) for rows in calls), return_exceptions=True)

    return asyncio.run(run())


def everything(directory: Path, group: str) -> list[EventRow]:
    return list(read_group(directory, group, positions(directory)))


def test_a_file_is_seen_with_its_table_or_not_at_all(tmp_path: Path) -> None:
    done = threading.Event()

    def look() -> int:
        looks = 0
        while not done.is_set():
            assert set(positions(tmp_path).values()) <= {0}
            looks += 1
        return looks

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            for n in range(20):
                LogWriter(tmp_path, f"worker-{n}").close()
        finally:
            done.set()
        assert looking.result() > 0
    assert len(positions(tmp_path)) == 20


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    opened = LogWriter(tmp_path / "log", "one")
    yield opened
    opened.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=8))
def test_rows_come_back_as_they_were_and_by_their_group(rows: list[EventRow]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        writer = LogWriter(Path(scratch), "one")
        append(writer, rows)
        writer.close()
        for group in ("g1", "g2"):
            own = [row for row in rows if row.group == group]
            assert everything(Path(scratch), group) == own
            assert has_events(Path(scratch), group, {}) == bool(own)
            assert not has_events(Path(scratch), group, positions(Path(scratch)))


def test_a_reader_learns_of_an_append_and_reads_it_once(writer: LogWriter, tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "log")
    reader.poll({})
    assert not reader.changed()
    append(writer, [row(1), row(2)])
    assert reader.changed()
    assert [(file, seq, r.event_id) for file, seq, r in reader.poll({})] == [
        ("one", 1, "e1"),
        ("one", 2, "e2"),
    ]
    assert not reader.changed()
    assert reader.poll({"one": 2}) == []
    reader.rewind()
    assert reader.changed()
    assert [seq for _, seq, _ in reader.poll({"one": 1})] == [2]
    reader.close()


def test_a_writer_that_comes_later_is_seen(writer: LogWriter, tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "log")
    reader.poll({})
    second = LogWriter(tmp_path / "log", "two")
    append(second, [row(7)])
    assert reader.changed()
    assert [(file, r.event_id) for file, _, r in reader.poll({})] == [("two", "e7")]
    assert positions(tmp_path / "log") == {"one": 0, "two": 1}
    second.close()
    reader.close()


def test_a_file_that_its_writer_is_just_making_has_no_position(writer: LogWriter, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "log" / "z.db").close()
    assert list(positions(tmp_path / "log")) == ["one"]
    assert not has_events(tmp_path / "log", "nobody", {})


def test_calls_that_wait_together_are_committed_together(writer: LogWriter) -> None:
    commits = []
    writer._connection.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
    assert append(writer, *([row(n)] for n in range(300))) == [None] * 300
    assert 1 <= len(commits) < 100


def test_a_full_disk_refuses_the_call_and_keeps_nothing_of_it(writer: LogWriter, tmp_path: Path) -> None:
    append(writer, [row(1)])
    pages = writer._connection.execute("PRAGMA page_count").fetchone()[0]
    writer._connection.execute(f"PRAGMA max_page_count = {pages}")
    big = [row(n)._replace(properties="x" * 1000) for n in range(100)]
    (error,) = append(writer, big)
    assert isinstance(error, ServiceUnavailable)
    assert "full" in error.message
    assert [r.event_id for r in everything(tmp_path / "log", "g1")] == ["e1"]
    writer._connection.execute("PRAGMA max_page_count = 1000000")
    assert append(writer, [row(2)]) == [None]
    assert [r.event_id for r in everything(tmp_path / "log", "g1")] == ["e1", "e2"]


_WRITES_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from nextpick.store.log import EventRow, LogWriter

async def run():
    writer = LogWriter(Path(sys.argv[1]), "one")
    for n in range(1_000_000):
        await writer.append([EventRow("g1", "u", "s", "i", "click", None, n, f"e{n}", "x" * 200)])
        print(n, flush=True)

asyncio.run(run())
"""


def killed_writer(directory: Path) -> int:
    """Run a writer in a process, kill it, and return the last row it acknowledged."""
    command = [sys.executable, "-c", _WRITES_UNTIL_KILLED, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = []
        for line in process.stdout:
            acknowledged.append(int(line))
            if acknowledged[-1] == 50:
                os.kill(process.pid, signal.SIGKILL)
    return acknowledged[-1]


def test_what_was_acknowledged_is_there_after_kill_9(tmp_path: Path) -> None:
    last = killed_writer(tmp_path)
    kept = [r.event_id for r in everything(tmp_path, "g1")]
    assert kept[: last + 1] == [f"e{n}" for n in range(last + 1)]


def test_a_torn_end_of_the_wal_costs_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    last = killed_writer(tmp_path)
    with (tmp_path / "one.db-wal").open("ab") as wal:
        wal.write(os.urandom(5000))  # a commit that was under way when the power went
    writer = LogWriter(tmp_path, "one")
    assert append(writer, [row(9)]) == [None]
    kept = [r.event_id for r in everything(tmp_path, "g1")]
    assert kept[: last + 1] == [f"e{n}" for n in range(last + 1)]
    assert kept[-1] == "e9"
    writer.close()


@pytest.mark.parametrize("damage", ["cut", "garbage"])
@pytest.mark.parametrize("kept", [1, 24, 1000, 5000, -1])
def test_a_torn_commit_is_none_at_all(writer: LogWriter, tmp_path: Path, kept: int, damage: str) -> None:
    append(writer, *([row(n)] for n in range(5)))
    (wal,) = (tmp_path / "log").glob("*-wal")
    acknowledged = wal.stat().st_size
    append(writer, [row(n)._replace(properties="x" * 1000) for n in range(50)])
    torn = tmp_path / "torn"
    torn.mkdir()
    shutil.copy(tmp_path / "log" / "one.db", torn)
    shutil.copy(wal, torn)
    end = acknowledged + kept if kept > 0 else wal.stat().st_size + kept
    with (torn / wal.name).open("r+b") as file:
        lost = wal.stat().st_size - end
        file.truncate(end)
        if damage == "garbage":
            file.seek(end)
            file.write(os.urandom(lost))
    reopened = LogWriter(torn, "one")
    assert [r.event_id for r in everything(torn, "g1")] == [f"e{n}" for n in range(5)]
    assert append(reopened, [row(9)]) == [None]
    reopened.close()


def test_a_row_that_cannot_be_written_is_refused_and_the_next_one_taken(tmp_path: Path) -> None:
    unwritable = row(1)._replace(item="\ud800")  # json.loads makes it of the six characters \\ud800

    async def run() -> None:
        writer = LogWriter(tmp_path, "one")
        calls = [writer.append([r]) for r in (row(2), unwritable, row(3))]
        errors = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
        assert [type(error) for error in errors] == [type(None), ServiceUnavailable, type(None)]
        await asyncio.wait_for(writer.append([row(4)]), 5)
        writer.close()

    asyncio.run(run())
    assert [r.event_id for r in everything(tmp_path, "g1")] == ["e2", "e3", "e4"]


def test_a_log_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "one.db").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        LogWriter(tmp_path, "one")


def test_a_stamp_changes_for_every_process_that_looks(tmp_path: Path) -> None:
    stamp = Stamp(tmp_path / "a.stamp")
    before = stamp.value()
    assert stamp.value() == before
    change = "import sys, pathlib, nextpick.store.stamp as s; s.Stamp(pathlib.Path(sys.argv[1])).change()"
    subprocess.run([sys.executable, "-c", change, str(tmp_path / "a.stamp")], check=True)
    after = stamp.value()
    assert after != before
    stamp.change()
    assert stamp.value() not in (before, after)
    stamp.close()


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    async def run() -> None:
        writer = LogWriter(tmp_path, "one")
        waiting = [asyncio.ensure_future(writer.append([row(n)])) for n in range(20)]
        await asyncio.sleep(0)
        await asyncio.get_running_loop().run_in_executor(None, writer.close)
        await asyncio.gather(*waiting)

    asyncio.run(run())
    assert len(everything(tmp_path, "g1")) == 20

"""Records are on disk, in order and once, however many write."""

import itertools
import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import ACCOUNT, REGION, make, new

from nextpick.store import stream as store
from nextpick.store.stream import HASH_SPACE, Config, Stream, StreamFull, StreamMissing, hash_range, shard_of
from nextpick.stream.registry import StreamExists, Streams


@given(st.integers(0, HASH_SPACE - 1), st.integers(1, 64))
def test_every_hash_key_is_in_the_range_of_its_shard(key: int, shards: int) -> None:
    first, last = hash_range(shard_of(key, shards), shards)
    assert first <= key <= last


def test_the_ranges_of_shards_divide_the_space() -> None:
    for shards in (1, 2, 3, 7):
        ranges = [hash_range(shard, shards) for shard in range(shards)]
        assert (ranges[0][0], ranges[-1][1]) == (0, HASH_SPACE - 1)
        assert all(last + 1 == first for (_, last), (first, _) in itertools.pairwise(ranges))


def test_records_of_a_partition_key_are_in_one_shard_in_the_order_they_were_put(tmp_path: Path) -> None:
    stream = make(tmp_path, shards=3)
    for n in range(30):
        stream.append([new(f"k{n % 5}", b"%d" % n)], 1.0)
    by_key: dict[str, list[tuple[int, int]]] = {}
    for shard in range(3):
        numbers = []
        for record in stream.read(shard, 0, 100):
            by_key.setdefault(record.key, []).append((shard, int(record.data)))
            numbers.append(stream.sequence(shard, record.number))
        assert numbers == sorted(numbers)
    assert {key: [n for _, n in found] for key, found in by_key.items()} == {
        f"k{k}": list(range(k, 30, 5)) for k in range(5)
    }
    assert all(len({shard for shard, _ in found}) == 1 for found in by_key.values())


def write(directory: Path, writer: int) -> None:
    stream = Stream(directory)
    for n in range(40):
        stream.append([new(f"w{writer}", b"%d" % n)], 1.0)


def test_several_processes_write_one_stream_and_a_reader_misses_nothing(tmp_path: Path) -> None:
    stream = make(tmp_path)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(stream.directory, n)) for n in range(2)]
    for writer in writers:
        writer.start()
    seen: list[store.Record] = []
    while any(writer.is_alive() for writer in writers) or stream.last(0) > len(seen):
        seen += stream.read(0, seen[-1].number if seen else 0, 7)
    for writer in writers:
        writer.join()
    assert [record.number for record in seen] == list(range(1, 81))
    for n in range(2):
        assert [int(record.data) for record in seen if record.key == f"w{n}"] == list(range(40))


def test_threads_share_a_stream(tmp_path: Path) -> None:
    stream = make(tmp_path)
    places: list[tuple[int, int]] = []
    work = lambda: places.extend(stream.append([new("k", b"x"), new("k", b"y")], 1.0))  # noqa: E731
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(places) == [(0, n) for n in range(1, 17)]


def test_old_records_go_once_they_are_taken_and_numbers_go_on(tmp_path: Path) -> None:
    stream = make(tmp_path)
    for n in range(10):
        stream.append([new("k", b"x")], float(n))
    assert stream.trim(5.0, {0: 3}) == 3  # the others are older, but nobody has taken them yet
    assert stream.trim(5.0, {}) == 2
    assert (stream.first(0), stream.before(0, 7.0)) == (6, 7)
    assert stream.trim(100.0, {}) == 5
    assert (stream.first(0), stream.last(0)) == (11, 10)
    assert stream.append([new("k", b"x")], 11.0) == [(0, 11)]


def test_a_read_ends_at_its_limits_but_gives_the_first_record(tmp_path: Path) -> None:
    stream = make(tmp_path)
    stream.append([new("k", b"x" * 100) for _ in range(5)], 1.0)
    assert len(stream.read(0, 0, 3)) == 3
    assert len(stream.read(0, 0, 9, most_bytes=250)) == 2
    assert len(stream.read(0, 0, 9, most_bytes=1)) == 1


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    stream = make(tmp_path)
    stream.append([new("k", b"x")], 1.0)
    with pytest.raises(sqlite3.Error):
        stream.append([new("k", b"y"), new("k", object())], 1.0)  # type: ignore[arg-type]
    assert (len(stream.read(0, 0, 9)), stream.append([new("k", b"z")], 1.0)) == (1, [(0, 2)])


def test_a_stream_that_nobody_empties_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = make(tmp_path)
    monkeypatch.setattr(store, "_PAGES_AT_MOST", 40)

    def fill() -> None:
        for _ in range(200):
            stream.append([new("k", b"x" * 4096)], 1.0)

    with pytest.raises(StreamFull):
        fill()
    kept = len(stream.read(0, 0, 1000))
    assert 0 < kept < 60
    stream.trim(2.0, {0: kept})
    assert stream.append([new("k", b"x")], 3.0) == [(0, kept + 1)]


def test_a_stream_that_was_deleted_takes_no_more_and_its_name_is_free(tmp_path: Path) -> None:
    stream = make(tmp_path)
    streams = Streams(tmp_path)
    with pytest.raises(StreamExists):
        make(tmp_path)
    streams.delete(ACCOUNT, REGION, "s")
    with pytest.raises(StreamMissing):
        stream.append([new("k", b"x")], 1.0)
    with pytest.raises(StreamMissing):
        streams.get(ACCOUNT, REGION, "s")
    again = make(tmp_path, created=1_800_000_000.0)
    assert again.append([new("k", b"x")], 1.0) == [(0, 1)]
    assert streams.names(ACCOUNT, REGION) == ["s"]
    assert again.number(stream.sequence(0, 1)) is None  # a number of the stream before


@pytest.mark.parametrize("name", ["../x", "a/b", ""])
def test_no_name_leads_out_of_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(StreamMissing):
        Streams(tmp_path).get(ACCOUNT, REGION, name)
    with pytest.raises(StreamMissing):
        Streams(tmp_path).get("..", "..", "x")
    with pytest.raises(ValueError, match="shards"):
        Streams(tmp_path).create(Config("x", ACCOUNT, REGION, 0, 1.0))

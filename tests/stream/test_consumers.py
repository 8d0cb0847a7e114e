"""Consumers take every record at least once, in order, and a bad one does not stop them."""

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streams import make, new, until

from fakes import Functions
from nextpick.store.log import EventRow, LogReader
from nextpick.store.stream import Record, Stream, letters_path
from nextpick.stream import put_events
from nextpick.stream.letters import DeadLetters
from served import Server, children_of, command_of
from worlds import Api, open_api

EVENTS = {"name": "events", "type": "events"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Api]:
    opened = open_api(tmp_path / "home")
    yield opened
    opened.library.close()


def tracker_of(api: Any) -> str:
    group = api.personalize.create_dataset_group(name="g")["datasetGroupArn"]
    return api.personalize.create_event_tracker(name="t", datasetGroupArn=group)["trackingId"]


def click(tracker: str, user: str, item: str, **more: Any) -> bytes:
    return json.dumps(
        {"trackingId": tracker, "userId": user, "itemId": item, "eventType": "click", **more}
    ).encode()


def recorded(home: Path) -> list[EventRow]:
    reader = LogReader(home / "log")
    try:
        return [row for _, _, row in reader.poll({})]
    finally:
        reader.close()


def letters(stream: Stream) -> list[dict[str, Any]]:
    path = letters_path(stream.directory)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_record_becomes_as_many_events_as_it_says_each_in_its_own_session(engine: Api) -> None:
    tracker, home = tracker_of(engine), engine.library.home
    stream = make(home, consumers=(EVENTS,))
    stream.append(
        [new("userId", click(tracker, "u1", "i1", interactions=3, sentAt="1698711110"))], 1_700_000_000.0
    )
    rows = until(lambda: len(found := recorded(home)) == 3 and found)
    assert {(row.user, row.item, row.event_type, row.time) for row in rows} == {
        ("u1", "i1", "click", 1698711110)
    }
    assert len({row.session for row in rows}) == 3
    assert len({row.event_id for row in rows}) == 3


def test_bad_records_become_dead_letters_with_their_reason_and_the_others_go_on(engine: Api) -> None:
    tracker, home = tracker_of(engine), engine.library.home
    stream = make(home, consumers=(EVENTS,))
    bad = {
        b"not json": "could not be read",
        b"[]": "no JSON object",
        b'{"userId": "u"}': "no trackingId",
        click(tracker, "u", "i", interactions=1.5): "whole number",
        click("unknown", "u", "i"): "The tracking id unknown",
        click(tracker, "u", "i" * 300): "InvalidInputException",
    }
    stream.append([new("k", data) for data in bad] + [new("k", click(tracker, "u", "good"))], 1_700_000_000.0)
    until(lambda: [row.item for row in recorded(home)] == ["good"])
    found = until(lambda: len(told := letters(stream)) == len(bad) and told)
    reasons = {base64.b64decode(letter["data"]): letter["reason"] for letter in found}
    for data, reason in bad.items():
        assert reason in reasons[data]
    assert found[0]["partitionKey"] == "k"
    assert {letter["consumer"] for letter in found} == {"events"}


def test_a_dead_letter_that_a_kill_cut_off_is_written_anew(tmp_path: Path) -> None:
    stream = make(tmp_path)
    stream.append([new("k", b"one"), new("k", b"two")], 1.0)
    one, two = stream.read(0, 0, 9)
    DeadLetters(stream).write("c", [one, two], "bad", 2.0)
    path = letters_path(stream.directory)
    whole = path.read_bytes()
    for left in (len(whole) - 1, len(whole) - 50, 20, 0):
        path.write_bytes(whole[:left])
        kept = [one] if left > 50 else []
        DeadLetters(stream).write("c", [two], "again", 3.0)
        found = [(base64.b64decode(letter["data"]), letter["reason"]) for letter in letters(stream)]
        assert found == [(record.data, "bad") for record in kept] + [(b"two", "again")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1698711110", 1698711110.0), (1698711110.5, 1698711110.5), ("1698711110500", 1698711110.5), (None, 5.0),
        ("2023-10-31T00:11:50Z", 1698711110.0), ("Invalid Date", 5.0), (True, 5.0), ({}, 5.0), ("NaN", 5.0),
    ],
)  # fmt: skip
def test_times_are_read_as_clients_send_them(given: Any, expected: float) -> None:
    record = Record(0, 1, "k", click("t", "u", "i", sentAt=given), 5.0)
    ((call,),) = [put_events.read(record, "s", {})]
    assert call["eventList"][0]["sentAt"] == expected


def test_nan_is_no_time_and_a_whole_request_is_passed_on() -> None:
    events = b'[{"eventType": "a", "sentAt": NaN}, {"eventType": "b"}]'
    data = b'{"trackingId": "t", "sessionId": "s", "eventList": %b}' % events
    (call,) = put_events.read(Record(0, 1, "k", data, 5.0), "s", {})
    assert [(event["eventType"], event["sentAt"]) for event in call["eventList"]] == [("a", 5.0), ("b", 5.0)]
    again = put_events.read(Record(0, 1, "k", data, 5.0), "s", {})
    assert again == [call]  # ids included: a second sending is the same events


def test_events_of_a_user_keep_their_order(engine: Api) -> None:
    tracker, home = tracker_of(engine), engine.library.home
    stream = make(home, shards=2, consumers=(EVENTS,))
    for n in range(40):
        stream.append([new(f"k{n % 2}", click(tracker, f"u{n % 2}", f"i{n}"))], 1_700_000_000.0)
    rows = until(lambda: len(found := recorded(home)) == 40 and found)
    for user in range(2):
        assert [row.item for row in rows if row.user == f"u{user}"] == [f"i{n}" for n in range(user, 40, 2)]


def test_records_are_archived_in_a_bucket_under_the_hour_they_came_in(engine: Api) -> None:
    home = engine.library.home
    archive = {"name": "archive", "type": "archive", "bucket": "clicks", "prefix": "raw/", "bufferSeconds": 1}
    stream = make(home, consumers=(archive,))
    stream.append([new("k", b"one"), new("k", b"two\n")], 1_700_000_000.0)
    (path,) = until(lambda: list((home / "buckets" / "clicks").rglob("s-1-*")))
    assert path.relative_to(home / "buckets").parent == Path("clicks/raw/2023/11/14/22")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_function_gets_batches_as_kinesis_gives_them(engine: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    functions, home = Functions(monkeypatch), engine.library.home
    functions.by_name["consumer"] = lambda event: None
    stream = make(
        home, consumers=({"name": "f", "type": "function", "function": "consumer", "batchSize": 2},)
    )
    stream.append([new("userId", b'{"n": %d}' % n) for n in range(3)], 1_698_711_110.123)
    until(lambda: sum(len(event["Records"]) for event in functions.events) == 3)
    assert [len(event["Records"]) for event in functions.events] == [2, 1]
    record = functions.events[0]["Records"][0]
    assert (record["eventSource"], record["eventName"]) == ("aws:kinesis", "aws:kinesis:record")
    assert record["eventSourceARN"] == stream.arn
    assert base64.b64decode(record["kinesis"]["data"]) == b'{"n": 0}'
    assert record["kinesis"]["approximateArrivalTimestamp"] == 1698711110.123
    assert record["eventID"] == f"shardId-000000000000:{record['kinesis']['sequenceNumber']}"
    assert letters(stream) == []


def test_a_batch_that_fails_is_halved_until_the_bad_record_is_alone(
    engine: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions, home = Functions(monkeypatch), engine.library.home
    taken: list[bytes] = []

    def consumer(event: Any) -> None:
        data = [base64.b64decode(record["kinesis"]["data"]) for record in event["Records"]]
        if b"bad" in data:
            raise ValueError("this one cannot be")
        taken.extend(data)

    functions.by_name["consumer"] = consumer
    stream = make(home, consumers=({"name": "f", "type": "function", "function": "consumer", "attempts": 1},))
    stream.append([new("k", data) for data in (b"1", b"2", b"bad", b"3", b"4")], 1.0)
    until(lambda: len(taken) == 4)
    (letter,) = until(lambda: letters(stream))
    assert base64.b64decode(letter["data"]) == b"bad"
    assert "this one cannot be" in letter["reason"]
    assert taken == [b"1", b"2", b"3", b"4"]


def test_a_consumer_waits_for_a_function_that_is_not_there_yet(
    engine: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions, home = Functions(monkeypatch), engine.library.home
    stream = make(home, consumers=({"name": "f", "type": "function", "function": "later"},))
    stream.append([new("k", b"1")], 1.0)
    time.sleep(0.5)
    functions.by_name["later"] = lambda event: None
    until(lambda: functions.events)
    assert letters(stream) == []


def test_a_consumer_that_is_added_later_begins_with_the_oldest_record(engine: Api) -> None:
    tracker, home = tracker_of(engine), engine.library.home
    stream = make(home)
    stream.append([new("k", click(tracker, "u", "i1"))], time.time())
    time.sleep(0.4)
    assert recorded(home) == []
    stream.reconfigure(consumers=(EVENTS,))
    until(lambda: [row.item for row in recorded(home)] == ["i1"])


def test_nothing_that_was_acknowledged_is_lost_by_kills(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", workers=1).start()
    try:
        tracker = tracker_of(server)
        make(server.home, consumers=(EVENTS,))
        put = 0
        for kill in ("services", "everything", "services"):
            kinesis = server.client("kinesis")
            for _ in range(15):
                kinesis.put_record(StreamName="s", Data=click(tracker, "u", f"i{put}"), PartitionKey="k")
                put += 1
            if kill == "services":
                for pid in children_of(server.pid):
                    if "nextpick.automation" in command_of(pid):
                        os.kill(pid, 9)
            else:
                server.kill()
                server.start()
        until(lambda: len({row.item for row in recorded(server.home)}) == put, 60)
        rows = recorded(server.home)
        first = list(dict.fromkeys(row.item for row in rows))
        assert sorted(first, key=lambda item: int(item[1:])) == [f"i{n}" for n in range(put)]
        assert len({row.event_id for row in rows}) == put  # what was sent twice is told by its id
    finally:
        server.stop()

"""What a health report finds is what was put there."""

from typing import Any

import numpy as np

from nextpick.data import health
from nextpick.data.dataset import Data
from nextpick.testing.worlds import interactions_of, made_data

DAY, NOW = 86_400, 1_700_000_000.0


def sound(seed: int = 0, users: int = 300, items: int = 40) -> Data:
    """Return data that nothing is wrong with: users who come over half a year, and take anything."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 25, users)
    time = np.concatenate([np.sort(rng.choice(180 * DAY, n, replace=False)) for n in lengths])
    item = rng.integers(0, items, len(time)).astype(np.int32)
    return of(lengths, item, time + int(NOW) - 200 * DAY, items)


def of(lengths: Any, item: np.ndarray, time: np.ndarray, items: int = 40) -> Data:
    data = made_data(users=len(lengths), items=items, metadata=False)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    created = np.full(items, int(time.min()), np.int64)
    return data._replace(
        interactions=interactions_of(offsets, item, time.astype(np.int64)),
        items=data.items._replace(created=created),
        latest=int(time.max()),
    )


def with_user(data: Data, item: np.ndarray, time: np.ndarray) -> Data:
    """Return data in which the first user has these interactions."""
    old = data.interactions
    first = int(old.offsets[1])
    lengths = np.diff(old.offsets)
    lengths[0] = len(item)
    items = np.concatenate((item, old.item[first:])).astype(np.int32)
    return of(lengths, items, np.concatenate((time, old.time[first:])))


def found(data: Data, name: str, duplicates: int = 0) -> dict[str, Any]:
    report = health.of_interactions(data, duplicates, NOW)
    return next(f for f in report["findings"] if f["name"] == name)


def test_sound_data_is_found_sound() -> None:
    report = health.of_interactions(sound(), 0, NOW)
    assert [f for f in report["findings"] if f["level"] != "OK"] == []
    assert sum(report["timeline"]["counts"]) == report["rows"]
    assert sum(row["users"] for row in report["history_lengths"]) == report["users"]
    assert report["popularity"][-1]["interactions"] > 0.5


def test_no_interactions_are_told() -> None:
    nothing = of(np.zeros(3, int), np.zeros(0, np.int32), np.zeros(1, np.int64))
    nothing = nothing._replace(interactions=interactions_of(np.zeros(4, np.int64), np.zeros(0, np.int32)))
    assert health.of_interactions(nothing, 0, NOW)["rows"] == 0


def test_ties_are_counted_with_both_their_sides() -> None:
    data = of([3, 3], np.arange(6, dtype=np.int32), np.array([1, 1, 5, 1, 2, 3]))
    assert found(data, "timestamp ties")["share"] == round(2 / 6, 6)
    assert found(data, "timestamp ties")["level"] == "NOTICE"


def test_a_clock_that_is_none_is_a_warning() -> None:
    data = of([3] * 12, np.tile(np.arange(3, dtype=np.int32), 12), np.tile(np.array([0, 60, 120]), 12))
    assert found(data, "clock")["level"] == "WARNING"


def test_duplicates_are_a_share_of_all_rows() -> None:
    data = sound()
    n = len(data.interactions.item)
    assert found(data, "duplicates", n)["share"] == 0.5
    assert found(data, "duplicates", n)["level"] == "WARNING"


def test_a_user_with_more_events_than_people_make_is_named() -> None:
    times = np.linspace(0, DAY // 2, 1200).astype(np.int64) + int(NOW) - 100 * DAY
    data = with_user(sound(), np.arange(1200) % 40, times)
    assert found(data, "many events")["examples"] == [data.users.ids.id(0)]
    assert found(data, "many events")["level"] == "WARNING"
    assert found(data, "fast events")["examples"] == []


def test_a_user_who_never_stops_for_minutes_is_named_but_a_batch_at_one_second_is_not() -> None:
    start = int(NOW) - 100 * DAY
    fast = with_user(sound(), np.arange(150) % 40, start + np.arange(150))
    assert found(fast, "fast events")["examples"] == [fast.users.ids.id(0)]
    batch = with_user(sound(), np.arange(150) % 40, np.full(150, start))
    assert found(batch, "fast events")["examples"] == []


def test_other_items_in_the_newer_half_are_drift_and_chance_is_not() -> None:
    data = sound()
    time = data.interactions.time
    moved = np.where(time > np.median(time), data.interactions.item % 20 + 20, data.interactions.item % 20)
    drifted = data._replace(interactions=data.interactions._replace(item=moved.astype(np.int32)))
    assert found(drifted, "drift")["level"] == "WARNING"
    assert found(drifted, "drift")["share"] > 0.7
    assert found(data, "drift")["share"] < 0.1


def test_events_of_the_future_are_a_leak() -> None:
    data = sound()
    late = data.interactions.time.copy()
    late[-30:] = int(NOW) + 3 * DAY
    told = found(data._replace(interactions=data.interactions._replace(time=late)), "events in the future")
    assert told["level"] == "WARNING"
    assert told["text"].startswith("30 interactions")


def test_items_that_are_created_after_they_are_taken_are_counted() -> None:
    data = sound()
    created = np.asarray(data.items.created).copy()
    created[5] = int(NOW)
    told = found(data._replace(items=data.items._replace(created=created)), "interactions before creation")
    taken = (data.interactions.item == 5).mean()
    assert told["share"] == round(float(taken), 6)
    assert told["text"].startswith("1 items")


def test_users_with_one_history_are_found_and_others_are_not() -> None:
    data = sound()
    first = data.interactions.item[:10], data.interactions.time[:10]
    twice = of([10, 10, 10], np.concatenate([first[0]] * 2 + [first[0][::-1]]), np.tile(first[1], 3))
    told = found(twice, "equal histories")
    assert told["text"].startswith("2 users")
    assert told["level"] == "WARNING"


def test_what_has_no_interactions_is_cold() -> None:
    data = sound(items=40)
    few = data._replace(interactions=data.interactions._replace(item=data.interactions.item % 10))
    assert found(few, "cold share")["share"] == 0.75


def test_users_that_are_deleted_leave_the_report() -> None:
    report = {"findings": [{"name": "many events", "examples": ["u1", "u2"]}, {"name": "clock"}]}
    assert health.without_users(report, {"u1"})["findings"][0]["examples"] == ["u2"]
    assert health.without_users({}, {"u1"}) == {"findings": []}

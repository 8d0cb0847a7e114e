"""The global time split: what is before a moment, and who did something after it."""

import numpy as np
import pytest

from nextpick.data.dataset import Data
from nextpick.data.timesplit import NoClock, time_split
from nextpick.testing.worlds import interactions_of, made_data


def world(times: list[list[int]]) -> Data:
    """Return users whose interactions have these times, with items 0, 1, 2, … in their order."""
    lengths = [len(row) for row in times]
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    item = np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)
    time = np.array([t for row in times for t in row], np.int64)
    data = made_data(users=len(times), items=30)
    return data._replace(interactions=interactions_of(offsets, item, time), latest=int(time.max(initial=0)))


def test_nothing_from_the_moment_on_is_learnt_from() -> None:
    data = made_data(seed=3, users=200)
    split = time_split(data)
    assert split.train.interactions.time.max() < split.at
    assert split.train.latest == split.train.interactions.time.max()
    assert split.train.items.created.max() <= split.train.latest
    later = (data.interactions.time >= split.at).sum()
    assert len(split.train.interactions.item) + later == len(data.interactions.item)
    assert 0.05 < later / len(data.interactions.item) < 0.15


def test_it_divides_as_a_look_at_every_row_does() -> None:
    data = made_data(seed=4, users=120)
    split = time_split(data)
    found = list(zip(split.users.tolist(), split.starts.tolist(), split.histories.tolist(), strict=True))
    expected = []
    offsets, time = data.interactions.offsets, data.interactions.time
    for user in range(len(offsets) - 1):
        rows = range(offsets[user], offsets[user + 1])
        after = [row for row in rows if time[row] >= split.at]
        if after:
            expected.append((user, after[0], len(rows) - len(after)))
    assert found == expected


def test_events_at_the_moment_itself_are_after_it() -> None:
    split = time_split(world([[1, 5, 9], [2, 9, 9], [3, 4, 9], [1, 2, 3]]))
    assert split.at == 9
    assert split.histories.tolist() == [2, 1, 2]


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ([[], []], "There are no interactions"),
        ([[7, 7], [7]], "All 3 interactions have the same timestamp"),
        ([[100, 160, 220]] * 12, "12 of 12 users begin at the same second"),
        ([[1, 2], [3, 4], [9]], "No user has interactions both before and after 1970-01-01 00:00:09 UTC"),
    ],
    ids=["nothing", "one moment", "positions", "nobody on both sides"],
)
def test_what_is_no_clock_is_told_as_such(times: list[list[int]], reason: str) -> None:
    with pytest.raises(NoClock, match=reason):
        time_split(world(times))

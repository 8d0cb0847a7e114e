"""What was shown and not taken is tried out less: explicit lists, answers remembered, lists a training has counted."""

import numpy as np
import pytest
from serving_world import GROUP, FakeReader

from nextpick.data.dataset import Impressions
from nextpick.data.vocabulary import Vocabulary
from nextpick.serving.impressions import PATIENCE, Answers, Chances, Lists, Shown
from nextpick.serving.live import Tails

IDS = Vocabulary.build(["a", "b", "c"])
SHOWN_OFTEN = int(PATIENCE)


@pytest.fixture
def lists() -> Lists:
    return Lists()


def chances(
    lists: Lists, positions: dict[str, int] | None = None, trained: Impressions | None = None
) -> list:
    found = Chances(IDS, trained).of(lists, positions or {})
    return [1.0, 1.0, 1.0] if found is None else found.tolist()


def test_without_lists_nothing_is_held_back(lists: Lists) -> None:
    assert Chances(IDS, None).of(None, {}) is None
    assert Chances(IDS, None).of(lists, {}) is None


def test_what_is_shown_in_vain_is_tried_out_half_as_often_and_what_is_taken_is_not(lists: Lists) -> None:
    for seq in range(SHOWN_OFTEN):
        lists.add(Shown("x", seq + 1, ("a", "b", "unknown"), "a" if seq < 2 else "c"))
    assert chances(lists) == [1.0, 0.5, 1.0]


def test_counting_goes_on_where_it_was(lists: Lists) -> None:
    at_once, in_steps = Chances(IDS, None), Chances(IDS, None)
    for seq in range(30):
        lists.add(Shown("x", seq + 1, ("a", "bc"[seq % 2]), None))
        step = in_steps.of(lists, {})
    whole = at_once.of(lists, {})
    assert step is not None
    assert whole is not None
    assert np.array_equal(step, whole)
    assert whole[0] < whole[1] < 1


def test_what_the_training_has_counted_is_not_counted_again(lists: Lists) -> None:
    trained = Impressions(np.array([10, 0, 0], np.float32), np.zeros(3, np.float32))
    lists.add(Shown("x", 1, ("a",) * 10, None))
    assert chances(lists, {"x": 1}, trained) == [0.5, 1.0, 1.0]
    assert chances(lists, {}, trained)[0] == pytest.approx(1 / 3)


def test_the_newest_lists_are_kept(lists: Lists) -> None:
    for seq in range(5000):
        lists.add(Shown("x", seq + 1, ("a",), None))
    kept = lists.since(0)
    assert kept[-1].seq == 5000
    assert len(kept) < 5000
    assert [shown.seq for shown in lists.since(4998)] == [4999, 5000]


def test_the_newest_answers_are_remembered() -> None:
    answers = Answers(most=2)
    for name in ("r1", "r2", "r3"):
        answers.put(name, ["a", name])
    assert answers.get("r1") == ()
    assert answers.get("r3") == ("a", "r3")


def test_an_events_own_list_beats_the_answer_it_names() -> None:
    answers, reader = Answers(), FakeReader()
    answers.put("r", ["a", "b"])
    tails = Tails(reader, answers)
    tails.hold("all", {})
    reader.write("x", "u", "a", recommendation_id="r")
    reader.write("x", "u", "a", recommendation_id="r", impression=("c",))
    reader.write("x", "u", "a", recommendation_id="forgotten")
    reader.write("x", "u", "a")
    tails.of(GROUP, "u", {})
    found = tails.lists(GROUP)
    assert found is not None
    assert [shown.items for shown in found.since(0)] == [("a", "b"), ("c",)]

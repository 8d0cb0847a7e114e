"""Attributes: what they are of, how common, who takes more than others what holds them."""

import numpy as np
import pytest

from nextpick.data.dataset import Column, Entities
from nextpick.data.vocabulary import Vocabulary
from nextpick.models import attributes
from nextpick.testing.worlds import interactions_of

HELD = attributes.Attributes(np.array([0, 1, 2, 3, 3], np.int64), np.array([0, 0, 1], np.int32), 2)


def test_attributes_are_values_and_eighths() -> None:
    numbers = np.array([*range(16), np.nan], np.float32)
    genre = Column(
        "GENRE", np.array([0, 2] + [2] * 15 + [3], np.int64), np.array([1, 0, 1], np.int32), ("a", "b"), None
    )
    held = attributes.attributes(
        Entities(
            Vocabulary.build([str(i) for i in range(17)]),
            (genre, Column("YEAR", None, None, (), numbers)),
            np.zeros(17, np.int64),
        )
    )
    rows = [held.codes[a:b].tolist() for a, b in zip(held.offsets, held.offsets[1:], strict=False)]
    assert held.n == 2 + 8
    assert rows[0] == [0, 1, 2]
    assert rows[16] == [1]
    assert [row[-1] for row in rows[:16]] == sorted(row[-1] for row in rows[:16])
    assert {row[-1] for row in rows[:16]} == set(range(2, 10))


def test_an_attributes_share_is_of_interactions_with_its_holders() -> None:
    assert attributes.shares(HELD, np.array([3.0, 1.0, 4.0, 2.0])).tolist() == pytest.approx([5 / 11, 5 / 11])


def test_rare_items_are_listed_by_attribute_the_newest_first() -> None:
    offsets, items = attributes.rare(HELD, np.array([1.0, 1.0, 9.0, 1.0]), 3, 5)
    assert offsets.tolist() == [0, 2, 2]
    assert items.tolist() == [1, 0]
    assert attributes.rare(HELD, np.array([1.0, 1.0, 9.0, 1.0]), 3, 1)[1].tolist() == [1]


def test_a_lift_is_how_much_more_holders_take_an_item_than_others() -> None:
    held = attributes.Attributes(np.array([0, 1, 2, 2], np.int64), np.array([0, 1], np.int32), 2)
    offsets, item = np.array([0, 3, 4, 6], np.int64), np.array([2, 2, 0, 1, 1, 1], np.int32)
    lists = attributes.lifts(held, interactions_of(offsets, item), np.array([1, 3, 2]) / 6, 5)
    assert lists.offsets.tolist() == [0, 2, 3]
    assert lists.items.tolist() == [2, 0, 1]  # most beyond what is expected first
    expected = [np.log(7 / 6), np.log(6 / 5.5), np.log(6 / 5.5)]
    assert lists.weights.tolist() == pytest.approx(expected)

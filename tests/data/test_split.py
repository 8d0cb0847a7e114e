"""The hold-out is of whole users, and tells the training nothing of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.data.split import holdout
from nextpick.testing.worlds import made_data


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(2, 80), st.integers(2, 25), st.integers(1, 50))
def test_a_tenth_of_the_users_is_held_out_whole(seed: int, users: int, longest: int, most: int) -> None:
    data = made_data(seed=seed, users=users, longest=longest)
    offsets, item = data.interactions.offsets, data.interactions.item
    lengths = np.diff(offsets)
    able = np.flatnonzero(lengths >= 2)
    held = holdout(data, np.random.default_rng(seed), most)
    assert len(held.users) == min(max(len(able) // 10, 1), most, len(able))
    assert set(held.users.tolist()) <= set(able.tolist())
    train = held.train.interactions
    for user in range(users):
        own = slice(train.offsets[user], train.offsets[user + 1])
        expected = slice(0, 0) if user in held.users else slice(offsets[user], offsets[user + 1])
        for name in ("item", "time", "event_type", "event_value"):
            kept = getattr(train, name)[own]
            assert np.array_equal(
                kept, getattr(data.interactions, name)[expected], equal_nan=name == "event_value"
            )
    for user, cut in zip(held.users, held.cuts, strict=True):
        assert 1 <= cut < lengths[user]
        assert cut == pytest.approx(0.9 * lengths[user], abs=1)
    assert len(train.item) == len(item) - int(lengths[held.users].sum())


def test_the_same_seed_holds_out_the_same_users() -> None:
    data = made_data(users=200)
    first, again, other = (
        holdout(data, np.random.default_rng(seed), 99).users.tolist() for seed in (1, 1, 2)
    )
    assert first == again != other

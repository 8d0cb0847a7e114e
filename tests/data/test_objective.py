"""Weights of events and the tilt towards reward, as a training sees them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.data.objective import EventRule, event_rules, tilt, weighed
from nextpick.testing.worlds import made_data


def test_weights_are_relative_to_their_mean() -> None:
    data = made_data(users=2, longest=3)
    n = len(data.interactions.item)
    types = np.arange(n, dtype=np.int16) % 3 - 1
    data = data._replace(
        interactions=data.interactions._replace(event_type=types, event_types=("Buy", "click"))
    )
    weight = weighed(data, (EventRule("buy", None, 0.3), EventRule("CLICK", None, 0.1))).interactions.weight
    assert weight is not None
    assert weight.tolist() == pytest.approx([{0: 1.5, 1: 0.5, -1: 1.0}[int(t)] for t in types])
    alike = weighed(data, (EventRule("buy"), EventRule("click"))).interactions.weight
    assert alike is not None
    assert alike.tolist() == [1.0] * n


def test_a_solution_says_its_rules_in_one_of_two_ways() -> None:
    assert event_rules({}, None) == ()
    assert event_rules({"eventValueThreshold": "2.5"}, None) == (EventRule(None, 2.5),)
    assert event_rules({}, "watch") == (EventRule("watch"),)
    listed = [{"eventType": "a", "weight": 0.2}, {"eventType": "b", "eventValueThreshold": 3.0}]
    config = {"eventsConfig": {"eventParametersList": listed}}
    assert event_rules(config, None) == (EventRule("a", None, 0.2), EventRule("b", 3.0, 1.0))


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=20), st.sampled_from([1.0, 4.0]))
def test_more_reward_is_more_tilt_and_equals_are_equal(reward: list[float], strength: float) -> None:
    found = tilt(np.array(reward, np.float32), strength)
    for a, at in zip(reward, found, strict=True):
        for b, bt in zip(reward, found, strict=True):
            assert (a < b) == (at < bt)
    assert 1 <= found.min() <= found.max() <= np.exp(strength) * (1 + 1e-6)

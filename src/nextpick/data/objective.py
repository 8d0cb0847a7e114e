"""What a solution asks of its training beside the next item: which events count and how much, and what items are worth.

Sources: developer guide, "Optimizing a solution with events configuration", "Optimizing a solution for an additional
objective".
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nextpick.data.cells import CREATED
from nextpick.data.dataset import Data
from nextpick.data.failure import DataFailure

_STRENGTHS = {"OFF": 0.0, "LOW": 1.0, "MEDIUM": 2.0, "HIGH": 4.0}


class EventRule(NamedTuple):
    """Events that are trained on. ``type`` in any letter case, None for all; ``threshold``: the least value, None for
    any and for none; ``weight``: how much one counts beside those of other rules."""

    type: str | None
    threshold: float | None = None
    weight: float = 1.0


def event_rules(config: dict[str, Any], event_type: str | None) -> tuple[EventRule, ...]:
    """Return the rules of a solutionConfig and the solution's eventType; none: every event, alike."""
    listed = config.get("eventsConfig", {}).get("eventParametersList", [])
    if listed:
        return tuple(
            EventRule(given["eventType"], given.get("eventValueThreshold"), given.get("weight", 1.0))
            for given in listed
        )
    threshold = config.get("eventValueThreshold")
    if event_type is None and not threshold:
        return ()
    return (EventRule(event_type, float(threshold) if threshold else None),)


def weighed(data: Data, rules: Sequence[EventRule]) -> Data:
    """Return the data with the weights of an eventsConfig's rules: 1 is the mean of their weights."""
    mean = float(np.mean([rule.weight for rule in rules]))
    by_name = {(rule.type or "").casefold(): rule.weight / mean for rule in rules}
    by_code = [by_name.get(name.casefold(), 1.0) for name in data.interactions.event_types]
    weight = np.array([*by_code, 1.0], np.float32)[data.interactions.event_type]
    return data._replace(interactions=data.interactions._replace(weight=weight))


def with_objective(data: Data, objective: dict[str, str] | None) -> Data:
    """Return the data with what an optimizationObjective says items are worth.

    Raises DataFailure when there is no such column of numbers.
    """
    if objective is None:
        return data
    name = objective["itemAttribute"]
    found = next((c.numbers for c in data.items.columns if c.name == name), None)
    reward = data.items.created if name == CREATED else found
    if reward is None:
        raise DataFailure(f"Items has no column of numbers {name}, which optimizationObjective names.")
    strength = _STRENGTHS[objective.get("objectiveSensitivity", "OFF")]
    return data._replace(reward=np.nan_to_num(np.asarray(reward, np.float32)), strength=strength)


def tilt(reward: np.ndarray, strength: float) -> np.ndarray:
    """Return what probabilities are multiplied by for more reward, float32 [n]: e ^ (strength * place).

    ``place`` is an item's place among all by its reward, from 0 to 1, the mean of the places of equals. A distribution
    p times this, normalised, has the most of it that one can have at its distance (KL divergence) from p.
    """
    _, at, counts = np.unique(reward, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    place = (ends - (counts + 1) / 2)[at] / max(len(reward) - 1, 1)
    return np.exp(strength * place).astype(np.float32)

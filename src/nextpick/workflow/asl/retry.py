"""Retry and Catch: what is done about a failure.

Source: Amazon States Language, "Errors".
"""

import random
from collections import Counter
from typing import Any

from nextpick.workflow.asl.failure import StateFailed


def delay_s(state: dict[str, Any], failure: StateFailed, counts: Counter[int], seed: str) -> float | None:
    """Return how long to wait before a state is tried again, None when it is not; ``counts``: retries by retrier."""
    for number, retrier in enumerate(state.get("Retry", [])):
        if failure.is_any_of(retrier["ErrorEquals"]):
            if counts[number] >= retrier.get("MaxAttempts", 3):
                return None
            delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts[number]
            delay = min(delay, retrier.get("MaxDelaySeconds", delay))
            counts[number] += 1
            if retrier.get("JitterStrategy") == "FULL":
                delay = random.Random(f"{seed}:{number}:{counts[number]}").uniform(0, delay)
            return delay
    return None


def catcher_of(state: dict[str, Any], failure: StateFailed) -> dict[str, Any] | None:
    """Return the Catch that is about a failure, or None."""
    catchers = (c for c in state.get("Catch", []) if failure.is_any_of(c["ErrorEquals"]))
    return next(catchers, None)

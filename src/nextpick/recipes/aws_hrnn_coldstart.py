"""aws-hrnn-coldstart (legacy): the items a user is likely to take next, cold ones tried out.

The engine of aws-user-personalization under the name that older programs ask for. What is tried out is not what is
young, but what is cold: items with few interactions, the first of them of late.
Source: developer guide, "HRNN-Coldstart recipe".
"""

from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.failure import DataFailure
from nextpick.data.featurize import cold_items
from nextpick.data.run import Run
from nextpick.recipes import aws_user_personalization as engine
from nextpick.recipes.interface import State, feature, tunable

NAME = "aws-hrnn-coldstart"
score, reasons = engine.score, engine.reasons
_LEAST_COLD, _MOST_COLD = 100, 80_000


@dataclass(frozen=True, slots=True)
class Params:
    hidden_dimension: int = tunable(149, 32, 256, "accepted; this engine has no hidden layer", hpo=True)
    bptt: int = tunable(32, 2, 32, "how many of a user's last items count", hpo=True, prefix="training.")
    recency_mask: bool = tunable(
        True, help="whether newer items count more than older ones", hpo=True, prefix="data."
    )
    cold_start_max_interactions: int = feature(15, 1, 1_000_000, "how many interactions a cold item may have")
    cold_start_max_duration: float = feature(
        5.0, 0.001, 36500.0, "how many days ago the first of them may have been"
    )
    cold_start_relative_from: str = feature(
        "latestItem", choices=("latestItem", "currentTime"), help="from the newest interaction, or from now"
    )


def check(data: Data, params: Params) -> None:
    """Raise DataFailure when there are too few cold items, or too many."""
    found = len(_cold(data, params))
    if not _LEAST_COLD <= found <= _MOST_COLD:
        raise DataFailure(
            f"Dataset has {found} cold items; {NAME} needs {_LEAST_COLD} to {_MOST_COLD}, as many as "
            "cold_start_max_interactions and cold_start_max_duration let through."
        )


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the engine's state, and ``cold_start``: the items to try out, int32."""
    state = engine.fit(data, engine.Params(bptt=params.bptt, recency_mask=params.recency_mask), run)
    return {**state, "cold_start": _cold(data, params)}


def update(state: State, data: Data, params: Params, run: Run) -> State:
    """Return the state on newer data."""
    held = engine.Params(bptt=params.bptt, recency_mask=params.recency_mask)
    return {**engine.update(state, data, held, run), "cold_start": _cold(data, params)}


def _cold(data: Data, params: Params) -> np.ndarray:
    start = data.latest if params.cold_start_relative_from == "latestItem" else data.now
    return cold_items(data, params.cold_start_max_interactions, params.cold_start_max_duration, start)

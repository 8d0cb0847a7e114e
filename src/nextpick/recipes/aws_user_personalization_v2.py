"""aws-user-personalization-v2: the items a user is likely to take next, with exploration that sets itself.

The engine of aws-user-personalization; see there for how it works.
Source: developer guide, "User-Personalization-v2 recipe".
"""

from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.recipes import aws_user_personalization as engine
from nextpick.recipes.interface import Query, State, tunable

NAME = "aws-user-personalization-v2"
score = engine.score


def reached(state: State, query: Query) -> np.ndarray | None:
    """Return the items that the user's history or attributes speak for, int32, or None: all, for what a request tells
    of its circumstances concerns each."""
    return None if max(query.context, default=-1) >= 0 else engine.reached(state, query)


@dataclass(frozen=True, slots=True)
class Params:
    apply_recency_bias: bool = tunable(True, help="whether newer items count more than older ones")


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the engine's state."""
    return engine.fit(data, engine.Params(recency_mask=params.apply_recency_bias), run)

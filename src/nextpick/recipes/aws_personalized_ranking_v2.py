"""aws-personalized-ranking-v2: a list of items in the order that suits a user.

The engine of aws-user-personalization, without exploration; serving normalises over the list.
Answers: GetPersonalizedRanking(userId, inputList). Source: developer guide, "Personalized-Ranking-v2 recipe".
"""

from dataclasses import dataclass

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.recipes import aws_user_personalization as engine
from nextpick.recipes.interface import State, tunable

NAME = "aws-personalized-ranking-v2"
score = engine.score


@dataclass(frozen=True, slots=True)
class Params:
    apply_recency_bias: bool = tunable(True, help="whether newer items count more than older ones")


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the engine's state."""
    return engine.fit(data, engine.Params(recency_mask=params.apply_recency_bias), run)

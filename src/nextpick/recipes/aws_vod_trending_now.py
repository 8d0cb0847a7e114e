"""aws-vod-trending-now: the videos whose popularity grows fastest.

The engine of aws-trending-now, comparing windows of two hours.

Needs:    INTERACTIONS of any type.
Answers:  GetRecommendations(recommenderArn); without scores.
Source:   developer guide, "Trending now use case".
"""

from dataclasses import dataclass

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.recipes import aws_trending_now as engine
from nextpick.recipes.interface import State

NAME = "aws-vod-trending-now"
score = engine.score


@dataclass(frozen=True, slots=True)
class Params:
    """No hyperparameters."""


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the engine's state."""
    return engine.fit(data, engine.Params(), run)

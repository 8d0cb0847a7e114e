"""aws-hrnn-metadata (legacy): the items a user is likely to take next, from metadata too.

The engine of aws-user-personalization under the name that older programs ask for.
"""

from dataclasses import dataclass

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.recipes import aws_user_personalization as engine
from nextpick.recipes.interface import State, tunable

NAME = "aws-hrnn-metadata"
score, reasons = engine.score, engine.reasons


@dataclass(frozen=True, slots=True)
class Params:
    hidden_dimension: int = tunable(43, 32, 256, "accepted; this engine has no hidden layer", hpo=True)
    bptt: int = tunable(32, 2, 32, "how many of a user's last items count", hpo=True, prefix="training.")
    recency_mask: bool = tunable(
        True, help="whether newer items count more than older ones", hpo=True, prefix="data."
    )


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the engine's state."""
    return engine.fit(data, engine.Params(bptt=params.bptt, recency_mask=params.recency_mask), run)

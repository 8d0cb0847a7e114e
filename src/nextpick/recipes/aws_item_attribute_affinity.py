"""aws-item-attribute-affinity: the users most drawn to items that have some attributes.

The engine of aws-item-affinity, asked about all items that have them.

Needs:    INTERACTIONS, and ITEMS with a column of metadata beside texts.
Answers:  batch segment jobs, ``itemAttributes``.
Source:   developer guide, "Item-Attribute-Affinity recipe".
"""

from collections.abc import Sequence

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.failure import DataFailure
from nextpick.data.run import Run
from nextpick.recipes import aws_item_affinity as engine
from nextpick.recipes import segments
from nextpick.recipes.interface import State

NAME = "aws-item-attribute-affinity"
Params, rank_users, forget = engine.Params, engine.rank_users, engine.forget
_MOST_VALUES = 50  # of a column, when the recipe is measured


def fit(data: Data, params: engine.Params, run: Run) -> State:
    """Return the engine's state. Raises DataFailure when items have no metadata to ask about."""
    if not data.items.columns:
        raise DataFailure(
            f"{NAME} needs an Items dataset with a column of metadata that is neither free text nor reserved."
        )
    return engine.fit_for(targets, data, run)


def targets(data: Data) -> Sequence[np.ndarray]:
    """Return what is asked about when the recipe is measured: the items of each frequent value of a column."""
    return segments.items_of_values(data, _MOST_VALUES)

"""What a recommender has to beat: the popularity of the last seven days, and decayed item-to-item transitions.

Under a global time split recent popularity beats many published sequence models (Ji et al., "A Re-visit of the
Popularity Baseline in Recommender Systems", 2020).
"""

import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models import transitions
from nextpick.models.rows import Rows, read_only

WINDOW_S = 7 * 86_400
_WINDOW, _STEP_DECAY, _SHRINKAGE, _ROW_LIMIT = 10, 0.85, 20.0, 500
_HISTORY_DECAY, _HISTORY = 0.7, 30
_BACKGROUND = 1e-6  # decides among items that no transition leads to


def recent_popularity(interactions: Interactions, n_items: int, latest: int) -> np.ndarray:
    """Return a score that orders items by their interactions of the seven days up to ``latest``, then by all of
    theirs, then by row: float32 [n_items], from 0 to 1."""
    item = interactions.item
    recent = np.bincount(item[np.asarray(interactions.time) > latest - WINDOW_S], minlength=n_items)
    every = np.bincount(item, minlength=n_items)
    scores = np.empty(n_items, np.float32)
    scores[np.lexsort((np.arange(n_items), -every, -recent))] = np.linspace(1, 0, n_items)
    return read_only(scores)


class Transitions:
    """What follows the newest items of a history, the newer the heavier; beyond that, recent popularity."""

    def __init__(self, interactions: Interactions, n_items: int, latest: int) -> None:
        self._rows: Rows = transitions.count(
            interactions,
            n_items,
            window=_WINDOW,
            decay=_STEP_DECAY,
            shrinkage=_SHRINKAGE,
            row_limit=_ROW_LIMIT,
        )
        self._background = _BACKGROUND * recent_popularity(interactions, n_items, latest)

    def score(self, history: np.ndarray) -> np.ndarray:
        """Return float32 [n_items] for a history of rows, oldest first."""
        scores = self._background.copy()
        offsets, items, weights = self._rows
        for age, row in enumerate(history[::-1][:_HISTORY].tolist()):
            held = slice(offsets[row], offsets[row + 1])
            scores[items[held]] += np.float32(_HISTORY_DECAY**age) * weights[held]  # no item twice in a row
        return read_only(scores)

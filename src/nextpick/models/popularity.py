"""How often items are taken: by everyone, by distinct users, and lately."""

import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models.rows import weights_of

_DAY_S = 86400.0
_HALF_LIFE_S = 30 * _DAY_S
_LEAST_RECENT_SHARE = 0.1


def counts(item: np.ndarray, n_items: int) -> np.ndarray:
    """Return the interactions of each item, int64 [n_items]; ``item`` [n] int32."""
    return np.bincount(item, minlength=n_items).astype(np.int64)


def distinct_users(offsets: np.ndarray, item: np.ndarray, n_items: int) -> np.ndarray:
    """Return the distinct users of each item, int64 [n_items]; ``offsets`` [n_users+1], ``item`` [n] by user."""
    user = np.repeat(np.arange(len(offsets) - 1, dtype=np.int64), np.diff(offsets))
    pairs = np.unique(user * n_items + item)
    return np.bincount(pairs % n_items, minlength=n_items).astype(np.int64)


def recent(interactions: Interactions, n_items: int, latest: int) -> np.ndarray:
    """Return a distribution over items, float32 [n_items]: weights that halve every 30 days, plus one.

    Where the last 30 days hold less than a tenth of the data, the half-life is the
    age within which a tenth lies, so that a quiet month does not make a distribution of a few events.
    """
    if len(interactions.item) == 0:
        return np.full(n_items, 1.0 / max(n_items, 1), np.float32)
    age = np.maximum(latest - np.asarray(interactions.time), 0).astype(np.float64)
    half_life = max(_HALF_LIFE_S, float(np.quantile(age, _LEAST_RECENT_SHARE)))
    lasting = 0.5 ** (age / half_life) * weights_of(interactions)
    weights = np.bincount(interactions.item, weights=lasting, minlength=n_items) + 1.0
    return (weights / weights.sum()).astype(np.float32)

"""What featureTransformationParameters leave out of a training: unusual users and items; which items are cold.

Source: developer guide, "User-Personalization recipe", "SIMS recipe" and "HRNN-Coldstart recipe", featurization
hyperparameters: the smallest and the largest percentile of history lengths, and of interactions per item, that are
included. Their defaults are the guide's, but for the items of SIMS, none of which are left out.
"""

from collections.abc import Mapping

import numpy as np

from nextpick.data.dataset import Data
from nextpick.errors import InvalidInput

_USERS: tuple[str, str] = ("min_user_history_length_percentile", "max_user_history_length_percentile")
_ITEMS: tuple[str, str] = ("min_item_interaction_count_percentile", "max_item_interaction_count_percentile")
OF_HISTORIES: dict[str, float] = dict(zip(_USERS, (0.0, 0.99), strict=True))
OF_PAIRS: dict[str, float] = dict(zip((*_USERS, *_ITEMS), (0.005, 0.995, 0.0, 1.0), strict=True))
_DAY_S = 86_400.0


def parse(
    given: Mapping[str, str], known: Mapping[str, float], recipe: str, others: tuple[str, ...] = ()
) -> dict[str, float]:
    """Return the percentiles a recipe is trained with, from 0 to 1. Raises InvalidInput naming the parameter that is
    wrong.

    known: the percentiles the recipe takes, with their defaults;  others: its parameters that are no percentiles.
    """
    values = dict(known)
    for name, text in given.items():
        if name in others:
            continue
        if name not in known:
            has = ", ".join((*known, *others)) or "none"
            raise InvalidInput(f"{recipe} has no featureTransformationParameter {name}; it has {has}.")
        try:
            values[name] = float(text)
        except ValueError:
            raise InvalidInput(f"{name} is {text!r}; it must be a number.") from None
        if not 0 <= values[name] <= 1:
            raise InvalidInput(f"{name} is {text}; it must be from 0.0 to 1.0.")
    for low, high in (_USERS, _ITEMS):
        if values.get(low, 0.0) >= values.get(high, 1.0):
            raise InvalidInput(f"{low} must be less than {high}.")
    return values


def without_outliers(data: Data, percentiles: Mapping[str, float]) -> Data:
    """Return the data without the interactions of users and items outside the percentiles asked for.

    Users and items keep their rows: those left out are there, without interactions.
    """
    if not percentiles:
        return data
    old = data.interactions
    lengths = np.diff(old.offsets)
    users = _inside(lengths, percentiles, _USERS)
    counts = np.bincount(old.item, minlength=len(data.items.ids))
    items = _inside(counts, percentiles, _ITEMS)
    if users.all() and items.all():
        return data
    kept = np.repeat(users, lengths)
    kept &= items[old.item]
    return data._replace(interactions=old.only(kept))


def cold_items(data: Data, most: int, days: float, start: int) -> np.ndarray:
    """Return the items with 1 to ``most`` interactions, the first at most ``days`` before ``start`` (seconds since
    1970), int32, the youngest first."""
    item, n = data.interactions.item, len(data.items.ids)
    counts = np.bincount(item, minlength=n)
    first = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first, item, data.interactions.time)
    cold = np.flatnonzero((counts > 0) & (counts <= most) & (first >= start - days * _DAY_S))
    return cold[np.argsort(-first[cold], kind="stable")].astype(np.int32)


def _inside(counts: np.ndarray, percentiles: Mapping[str, float], names: tuple[str, str]) -> np.ndarray:
    """Return [n] bool: which counts are within the percentiles of those that are not zero, and zero. What a percentile
    falls on is within it: of 100 users the longest history is not the top percent."""
    seen = counts[counts > 0]
    if not len(seen):
        return np.ones(len(counts), dtype=bool)
    low = np.quantile(seen, percentiles.get(names[0], 0.0), method="lower")
    high = np.quantile(seen, percentiles.get(names[1], 1.0), method="higher")
    return (counts == 0) | (counts >= low) & (counts <= high)

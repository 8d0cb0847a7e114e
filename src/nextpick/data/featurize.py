"""What featureTransformationParameters leave out of a training: unusual users and items.

Source: developer guide, "User-Personalization recipe" and "SIMS recipe", featurization hyperparameters: the smallest
and the largest percentile of history lengths, and of interactions per item, that are included.
"""

from collections.abc import Mapping

import numpy as np

from nextpick.data.dataset import Data
from nextpick.errors import InvalidInput

USERS = ("min_user_history_length_percentile", "max_user_history_length_percentile")
ITEMS = ("min_item_interaction_count_percentile", "max_item_interaction_count_percentile")


def parse(
    given: Mapping[str, str], known: tuple[str, ...], recipe: str, others: tuple[str, ...] = ()
) -> dict[str, float]:
    """Return the percentiles asked for, from 0 to 1. Raises InvalidInput naming the parameter that is wrong.

    known: the percentiles the recipe takes;  others: parameters of the recipe that are no percentiles.
    """
    values = {}
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
    for low, high in (USERS, ITEMS):
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
    kept = np.repeat(_inside(lengths, percentiles, USERS), lengths)
    counts = np.bincount(old.item, minlength=len(data.items.ids))
    kept &= _inside(counts, percentiles, ITEMS)[old.item]
    return data._replace(interactions=old.only(kept))


def _inside(counts: np.ndarray, percentiles: Mapping[str, float], names: tuple[str, str]) -> np.ndarray:
    """Return [n] bool: which counts are within the percentiles of those that are not zero."""
    seen = counts[counts > 0]
    if not len(seen):
        return np.ones(len(counts), dtype=bool)
    low, high = (
        np.quantile(seen, percentiles.get(name, default))
        for name, default in zip(names, (0.0, 1.0), strict=True)
    )
    return (counts >= low) & (counts <= high)

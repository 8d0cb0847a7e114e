"""Confidence intervals by resampling users (Efron & Tibshirani 1993): percentiles, 95 %."""

from typing import Any

import numpy as np

RESAMPLES, LEAST = 1000, 10
_LOW, _HIGH = 2.5, 97.5


def resamples(n: int, rng: np.random.Generator, count: int = RESAMPLES) -> np.ndarray:
    """Return how often each of ``n`` users is in each resample, float32 [count, n]."""
    drawn = np.empty((count, n), np.float32)
    for row in drawn:
        row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
    return drawn


def interval(values: np.ndarray, drawn: np.ndarray, sizes: np.ndarray | None = None) -> dict[str, Any]:
    """Return {value, low, high} of a mean over users: ``values`` [n], ``drawn`` [count, n].

    With ``sizes`` [n] it is sum(values) / sum(sizes). Resamples in which there is nothing to divide by are left out;
    all three are None where there is nothing at all, low and high where fewer than LEAST users count.
    """
    sizes = np.ones(len(values)) if sizes is None else sizes
    whole = float(sizes.sum())
    if whole == 0:
        return {"value": None, "low": None, "high": None}
    value = round(float(values.sum() / whole), 6)
    if np.count_nonzero(sizes) < LEAST:
        return {"value": value, "low": None, "high": None}
    below = drawn @ sizes
    means = (drawn @ values)[below > 0] / below[below > 0]
    low, high = np.percentile(means, (_LOW, _HIGH))
    return {"value": value, "low": round(float(low), 6), "high": round(float(high), 6)}

"""What is on the rise: items taken more often in the newest window of time than in the one before it."""

import numpy as np

_LEAST_IN_WINDOW = 100


def rise(item: np.ndarray, time: np.ndarray, n_items: int, latest: int, window_s: float) -> np.ndarray:
    """Return how much more often than before each item is taken, float32 [n_items], in standard deviations.

    item [n] int32, time [n] int64 seconds; ``latest``: where the newest window ends. Counts of both windows are
    taken for Poisson's, so the difference has the variance of their sum; one is added, so that a single event is
    no trend. Too small a window is doubled (``window``): a trend of five events is noise. Items in neither window
    are ordered by all their counts, below the falling ones.
    """
    counts = np.bincount(item, minlength=n_items).astype(np.float64)
    age = latest - np.asarray(time)
    window_s = window(time, latest, window_s)
    new = np.bincount(item[age < window_s], minlength=n_items)
    old = np.bincount(item[(age >= window_s) & (age < 2 * window_s)], minlength=n_items)
    risen = (new - old) / np.sqrt(new + old + 1.0)
    tie = counts / (counts.max(initial=0.0) + 1.0)
    bottom = risen.min(initial=0.0) - 1.0
    return np.where(new + old > 0, risen + tie * 1e-3, bottom + tie).astype(np.float32)


def window(time: np.ndarray, latest: int, window_s: float) -> float:
    """Return the window doubled until the newest one holds 100 events, or a tenth of all where there are fewer."""
    age = latest - np.asarray(time)
    least, span = min(_LEAST_IN_WINDOW, len(age) / 10), float(age.max(initial=0)) + 1.0
    while np.count_nonzero(age < window_s) < least and window_s < span:
        window_s *= 2
    return window_s

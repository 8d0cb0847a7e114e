"""What is on the rise: items taken more often of late than in the long run.

    rise = 0.4 r(1) + 0.3 r(4) + 0.3 r(16) - r(60)
    r(h) = sum over an item's events of ln 2 / h * 0.5^(age / h), ages in windows of time

r(h) is the events a window that a mean with a half-life of h windows sees. Of late is the newest window most, and
longer ones too, as one window alone is mostly chance. Against the window before the newest, what is at its height would
be taken for a trend, and fall next (regression to the mean).
"""

import numpy as np

_LATE, _SLOW = {1.0: 0.4, 4.0: 0.3, 16.0: 0.3}, 60.0  # half-lives in windows, how much they count
_LEAST_IN_WINDOW = 100


def rise(item: np.ndarray, time: np.ndarray, n_items: int, latest: int, window_s: float) -> np.ndarray:
    """Return by how many events a window each item is taken more often than in the long run, float32 [n_items].

    item [n] int32, time [n] int64 seconds; ``latest``: where the newest window ends. Too small a window is doubled
    (``window``): a trend of five events is noise.
    """
    window_s = window(time, latest, window_s)
    found = -rate(item, time, n_items, latest, window_s, _SLOW)
    for half_life, share in _LATE.items():
        found += share * rate(item, time, n_items, latest, window_s, half_life)
    return found.astype(np.float32)


def long_run(item: np.ndarray, time: np.ndarray, n_items: int, latest: int, window_s: float) -> np.ndarray:
    """Return the events a window of each item in the long run, float64 [n_items]."""
    return rate(item, time, n_items, latest, window_s, _SLOW)


def rate(
    item: np.ndarray, time: np.ndarray, n_items: int, latest: int, window_s: float, half_life: float
) -> np.ndarray:
    """Return r(half_life) at ``latest``, float64 [n_items], as if the time before the data were like the rest."""
    age = (latest - np.asarray(time)) / window_s
    told = 1.0 - 0.5 ** (float(age.max(initial=0.0)) / half_life)
    return np.bincount(item, 0.5 ** (age / half_life), n_items) * np.log(2) / half_life / max(told, 1e-9)


def window(time: np.ndarray, latest: int, window_s: float) -> float:
    """Return the window doubled until the newest one holds 100 events, or a tenth of all where there are fewer."""
    age = latest - np.asarray(time)
    least, span = min(_LEAST_IN_WINDOW, len(age) / 10), float(age.max(initial=0)) + 1.0
    while np.count_nonzero(age < window_s) < least and window_s < span:
        window_s *= 2
    return window_s

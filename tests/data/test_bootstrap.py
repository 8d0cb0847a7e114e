"""Intervals by resampling users."""

import numpy as np

from nextpick.data.bootstrap import interval, resamples


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    drawn = resamples(80, rng, 400)
    held = 0
    for _ in range(300):
        told = interval(rng.beta(0.5, 1.5, 80), drawn)  # whose mean is a quarter
        held += told["low"] <= 0.25 <= told["high"]
    assert 0.90 < held / 300 < 0.99


def test_a_share_is_resampled_with_what_it_is_a_share_of() -> None:
    rng = np.random.default_rng(1)
    drawn = resamples(200, rng, 400)
    sizes = rng.integers(0, 5, 200).astype(float)
    values = rng.binomial(sizes.astype(int), 0.3).astype(float)
    slow = [
        (row @ values) / (row @ sizes)
        for row in (np.bincount(rng.integers(0, 200, 200), minlength=200) for _ in range(2000))
    ]
    told = interval(values, drawn, sizes)
    assert told["value"] == round(values.sum() / sizes.sum(), 6)
    assert np.allclose((told["low"], told["high"]), np.percentile(slow, (2.5, 97.5)), atol=0.015)


def test_every_resample_has_as_many_users_as_there_are() -> None:
    assert (resamples(17, np.random.default_rng(0), 50).sum(axis=1) == 17).all()


def test_a_handful_of_users_has_no_interval_and_nobody_has_nothing() -> None:
    drawn = resamples(20, np.random.default_rng(0), 50)
    few = np.arange(20) < 9
    assert interval(few * 0.5, drawn, few.astype(float)) == {"value": 0.5, "low": None, "high": None}
    nobody = np.zeros(20)
    assert interval(nobody, drawn, nobody) == {"value": None, "low": None, "high": None}

"""Exploration tries out young items at drawn places, and leaves all else as it is."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.models.rows import read_only
from nextpick.models.topk import top_k
from nextpick.serving import explore
from nextpick.testing.worlds import made_data

N_ITEMS = 300


def explored(
    seed: int,
    k: int = 25,
    weight: float = 0.5,
    young: np.ndarray | None = None,
    chance: np.ndarray = explore.ALWAYS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and flags for scores that fall by the row."""
    scores = (1.0 / (1 + np.arange(N_ITEMS))).astype(np.float32)
    scores /= scores.sum()
    young = np.arange(100, 200, dtype=np.int32) if young is None else young
    return explore.explore(top_k(scores, k), young, scores[young], chance, weight, np.uint64(seed))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**63), st.integers(1, N_ITEMS), st.floats(0, 1))
def test_no_item_comes_twice_and_the_rest_keeps_its_order(seed: int, k: int, weight: float) -> None:
    rows, flags = explored(seed, k, weight)
    assert len(rows) == k == len(set(rows.tolist()))
    rest = rows[~flags].tolist()
    assert rest == sorted(rest)
    assert set(rows[flags].tolist()) <= set(range(100, 200))
    assert not flags[0]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**63), st.integers(1, 100), st.integers(0, 100))
def test_fewer_results_are_a_prefix_of_more(seed: int, k: int, more: int) -> None:
    assert explored(seed, k)[0].tolist() == explored(seed, k + more)[0][:k].tolist()


def test_a_weight_of_nothing_explores_nothing() -> None:
    rows, flags = explored(1, weight=0.0)
    assert rows.tolist() == list(range(25))
    assert not flags.any()


def test_a_place_is_explored_with_half_the_weight_and_the_first_never() -> None:
    flags = np.array([explored(seed, weight=0.4)[1] for seed in range(2000)])
    assert flags[:, 0].sum() == 0
    assert flags[:, 1:].mean() == pytest.approx(0.2, abs=0.01)


def test_an_item_is_entered_with_its_chance_and_the_list_goes_on_otherwise() -> None:
    young = np.array([100, 200], np.int32)
    chance = read_only(np.array([1.0, 0.25], np.float32))
    often, seldom = Counter(), Counter()
    for seed in range(4000):
        for counted, chances in ((often, explore.ALWAYS), (seldom, chance)):
            rows, flags = explored(seed, k=2, young=young, chance=chances)
            assert len(set(rows.tolist())) == 2
            counted.update(rows[flags].tolist())
    assert seldom[100] == often[100]
    assert seldom[200] == pytest.approx(often[200] / 4, rel=0.2)


def test_young_items_are_drawn_in_proportion_to_their_scores() -> None:
    young = np.array([100, 200], np.int32)
    first = Counter()
    for seed in range(6000):
        rows, flags = explored(seed, young=young)
        if flags.any():
            first[int(rows[flags][0])] += 1
    odds = (1 / 101) / (1 / 201)
    assert first[100] / first[200] == pytest.approx(odds, rel=0.1)


def test_the_draw_is_repeated_within_the_hour_and_differs_by_user_hour_and_version() -> None:
    seeds = {explore.seed(*asked) for asked in (("v", "u", 7200.0), ("v", "u", 10799.0))}
    assert len(seeds) == 1
    others = (("v", "u", 10800.0), ("v", "w", 7200.0), ("x", "u", 7200.0))
    assert len(seeds | {explore.seed(*asked) for asked in others}) == 4


def test_young_items_are_new_within_the_cut_off_and_rarely_taken() -> None:
    data, day = made_data(), 86_400
    created = np.full(len(data.items.ids), data.latest - 100 * day)
    created[[3, 4, 5]] = data.latest - np.array([10, 2, 40]) * day
    data = data._replace(items=data.items._replace(created=created))
    count = np.full(len(created), 5)
    count[[3, 4, 5]] = 1
    young = explore.Young(data, count)
    assert young.rows(30.0).tolist() == [4, 3]
    assert young.rows(50.0).tolist() == [4, 3, 5]
    count[4] = 100
    assert explore.Young(data, count).rows(30.0).tolist() == [3]

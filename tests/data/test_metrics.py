"""The metrics are those that Amazon Personalize documents, by its own worked examples and by a slow version.

Source: developer guide, "Evaluating a solution version with metrics".
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.data.metrics import (
    average_rewards,
    hit_matrix,
    mrr,
    ndcg,
    personalize_metrics,
    precision,
    weighted_ndcg,
)


def hits_at(*positions: int, k: int = 25) -> list[bool]:
    """Return one request's row with hits at positions from 1."""
    return [position in positions for position in range(1, k + 1)]


def test_the_guides_example_of_the_reciprocal_rank() -> None:
    rows = np.array([hits_at(4, 10), hits_at(2, 4, 12), hits_at(6)])
    assert mrr(rows, 25) == pytest.approx((1 / 4 + 1 / 2 + 1 / 6) / 3)


def test_the_guides_example_of_the_discounted_gain() -> None:
    assert ndcg(np.array([hits_at(2, 5, k=5)]), np.array([2]), 5) == pytest.approx(0.6241, abs=1e-4)


def test_precision_divides_by_k_also_where_fewer_are_relevant() -> None:
    assert precision(np.array([hits_at(2, 5, k=5)]), 5) == 0.4
    assert precision(np.array([hits_at(1)]), 10) == 0.1


def test_coverage_is_the_share_of_the_catalogue_that_was_recommended() -> None:
    ranked = np.array([[0, 1, 2], [2, 1, 3]])
    assert personalize_metrics(ranked, [{0}, {9}], 8)["coverage"] == 0.5


def test_no_request_has_no_merit() -> None:
    metrics = personalize_metrics(np.zeros((0, 25), np.int32), [], 10)
    assert len(metrics) == 8
    assert set(metrics.values()) == {0.0}


def test_all_eight_of_two_requests_by_hand() -> None:
    # the first asks for 3 items, of which 10 comes first and 12 third; the second for one that comes seventh
    ranked = np.array([[10, 11, 12, 13, 14, 15, 16, 17], [20, 21, 22, 23, 24, 25, 10, 26]])
    metrics = personalize_metrics(ranked, [{10, 12, 99}, {10}], 30)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    first = (1 + 1 / math.log2(4)) / ideal
    assert metrics == {
        "coverage": 0.5,  # 15 of 30
        "mean_reciprocal_rank_at_25": round((1 + 1 / 7) / 2, 4),
        "normalized_discounted_cumulative_gain_at_5": round(first / 2, 4),
        "normalized_discounted_cumulative_gain_at_10": round((first + 1 / math.log2(8)) / 2, 4),
        "normalized_discounted_cumulative_gain_at_25": round((first + 1 / 3) / 2, 4),
        "precision_at_5": 0.2,  # 2 of 5, and 0 of 5
        "precision_at_10": 0.15,
        "precision_at_25": 0.06,
    }


def test_the_best_order_has_a_gain_of_one_also_of_more_relevant_items_than_are_asked_for() -> None:
    metrics = personalize_metrics(np.arange(25)[None], [set(range(40))], 50)
    for k in (5, 10, 25):
        assert metrics[f"normalized_discounted_cumulative_gain_at_{k}"] == 1
        assert metrics[f"precision_at_{k}"] == 1


def test_a_request_without_a_relevant_item_counts_as_a_miss() -> None:
    metrics = personalize_metrics(np.array([[1, 2], [3, 4]]), [set(), {3}], 4)
    assert metrics["normalized_discounted_cumulative_gain_at_5"] == 0.5
    assert metrics["mean_reciprocal_rank_at_25"] == 0.5
    assert metrics["precision_at_5"] == 0.1


CATALOGUE = 30


@given(
    st.integers(1, CATALOGUE),  # a small catalogue has fewer than 25 items to rank
    st.lists(
        st.tuples(
            st.permutations(range(CATALOGUE)), st.sets(st.integers(0, CATALOGUE - 1), max_size=CATALOGUE)
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_they_equal_a_slow_version(longest: int, requests: list[tuple[list[int], set[int]]]) -> None:
    rows = [order[: min(longest, 25)] for order, _ in requests]
    truths = [truth for _, truth in requests]
    slow: dict[str, list[float]] = {}
    for row, truth in zip(rows, truths, strict=True):
        first = next((1 / place for place, item in enumerate(row, 1) if item in truth), 0.0)
        slow.setdefault("mean_reciprocal_rank_at_25", []).append(first)
        for k in (5, 10, 25):
            gain = sum(1 / math.log2(1 + place) for place, item in enumerate(row[:k], 1) if item in truth)
            ideal = sum(1 / math.log2(1 + place) for place in range(1, min(k, len(truth)) + 1))
            slow.setdefault(f"normalized_discounted_cumulative_gain_at_{k}", []).append(
                gain / ideal if truth else 0
            )
            slow.setdefault(f"precision_at_{k}", []).append(sum(item in truth for item in row[:k]) / k)
    found = personalize_metrics(np.array(rows), truths, CATALOGUE)
    assert list(found) == sorted(found)
    assert found.pop("coverage") == round(len({item for row in rows for item in row}) / CATALOGUE, 4)
    assert found == {name: pytest.approx(sum(v) / len(v), abs=1e-4) for name, v in slow.items()}
    hits = [[item in truth for item in row] for row, truth in zip(rows, truths, strict=True)]
    assert hit_matrix(np.array(rows), truths).tolist() == hits


def test_a_hit_gains_the_weight_of_its_event() -> None:
    """Weights 0.3 and 0.1 count as 1.5 and 0.5: the guide's example."""
    ranked = np.array([[4, 7, 9]])
    best_last = weighted_ndcg(ranked, [{7: 0.5, 9: 1.5}], 3)
    wanted = (0.5 / math.log2(3) + 1.5 / math.log2(4)) / (1.5 + 0.5 / math.log2(3))
    assert best_last == pytest.approx(wanted)
    assert weighted_ndcg(ranked, [{4: 1.5, 7: 0.5}], 3) == pytest.approx(1)
    assert weighted_ndcg(ranked, [{1: 1.5}], 3) == 0


def test_rewards_are_those_of_the_items_taken_over_what_all_of_them_are_worth() -> None:
    reward = np.array([1.0, 2.0, 5.0, 0.0])
    ranked = np.array([[0, 1], [2, 3], [0, 1]])
    found = average_rewards(ranked, [{0, 2}, {2}, {3}], reward, 2)
    assert found == pytest.approx((1 / 6 + 1) / 2)  # the third user's item is worth nothing

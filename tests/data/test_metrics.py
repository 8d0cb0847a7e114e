"""The metrics are those that Amazon Personalize documents, by its own worked examples and by a slow version.

Source: developer guide, "Evaluating a solution version with metrics".
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.data.metrics import hit_matrix, mrr, ndcg, personalize_metrics, precision


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
    assert personalize_metrics(np.zeros((0, 25), np.int32), [], 10)["precision_at_5"] == 0


@given(
    st.lists(
        st.tuples(st.permutations(range(30)), st.sets(st.integers(0, 29), min_size=1, max_size=30)),
        min_size=1,
        max_size=5,
    )
)
def test_they_equal_a_slow_version(requests: list[tuple[list[int], set[int]]]) -> None:
    ranked = np.array([order[:25] for order, _ in requests])
    truths = [truth for _, truth in requests]
    slow: dict[str, list[float]] = {}
    for (order, truth), row in zip(requests, ranked.tolist(), strict=True):
        first = next((1 / place for place, item in enumerate(row, 1) if item in truth), 0.0)
        slow.setdefault("mean_reciprocal_rank_at_25", []).append(first)
        for k in (5, 10, 25):
            gain = sum(1 / math.log2(1 + place) for place, item in enumerate(row[:k], 1) if item in truth)
            ideal = sum(1 / math.log2(1 + place) for place in range(1, min(k, len(truth)) + 1))
            slow.setdefault(f"normalized_discounted_cumulative_gain_at_{k}", []).append(gain / ideal)
            slow.setdefault(f"precision_at_{k}", []).append(sum(i in truth for i in row[:k]) / k)
        assert order[:25] == row
    found = personalize_metrics(ranked, truths, 30)
    assert list(found) == sorted(found)
    assert found.pop("coverage") == round(len(set(ranked.ravel().tolist())) / 30, 4)
    assert found == {name: pytest.approx(sum(v) / len(v), abs=1e-4) for name, v in slow.items()}
    assert hit_matrix(ranked, truths).sum() == sum(
        i in truth for row, truth in zip(ranked.tolist(), truths, strict=True) for i in row
    )

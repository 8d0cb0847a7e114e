"""The k best equal a stable sort, whatever the scores, the ties and the sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.models.topk import rounded, top_k


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 3000),
    st.integers(0, 600),
    st.sampled_from([1, 2, 7, 1000]),
)
def test_the_best_rows_equal_those_of_a_stable_sort(seed: int, n: int, k: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, distinct, n) / 7).astype(np.float32)
    scores[rng.random(n) < 0.1] = -np.inf
    assert top_k(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3000), st.integers(0, 600), st.floats(0, 1))
def test_among_some_rows_they_equal_those_of_a_stable_sort_of_these(
    seed: int, n: int, k: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    scores, allowed = rng.integers(0, 50, n).astype(np.float32), rng.random(n) < share
    ranked = [row for row in np.argsort(-scores, kind="stable").tolist() if allowed[row]]
    assert top_k(scores, k, allowed).tolist() == ranked[:k]


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 64])
def test_no_more_rows_than_there_are(n: int) -> None:
    scores = np.arange(n, dtype=np.float32)
    assert top_k(scores, 500).tolist() == list(range(n))[::-1]


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40), st.integers(0, 9))
def test_scores_are_rounded_as_numpy_rounds_them(values: list[float], decimals: int) -> None:
    scores = np.array([*values, -np.inf], np.float32)
    rows = np.arange(len(scores), dtype=np.int32)[::-1].copy()
    wanted = scores.astype(np.float64).round(decimals)[::-1]
    assert rounded(scores, rows, decimals).tolist() == wanted.tolist()

"""Points of latent semantic analysis against the exact decomposition."""

import numpy as np

from nextpick.data.dataset import Terms
from nextpick.models import lsa


def topics(n_items: int, n_topics: int, words: int, seed: int = 0) -> tuple[Terms, np.ndarray]:
    """Return items of topics, each with some of its topic's words, and the topics."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, n_topics, n_items)
    held = [np.sort(rng.choice(words, words // 2, replace=False)) + t * words for t in topic]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in held]))).astype(np.int64)
    codes = np.concatenate(held).astype(np.int32)
    return Terms(offsets, codes, rng.integers(1, 4, len(codes)).astype(np.float32), n_topics * words), topic


def dense(terms: Terms) -> np.ndarray:
    """Return tf-idf with rows of length 1, spelt out."""
    n = len(terms.offsets) - 1
    counts = np.zeros((n, terms.n_terms))
    for i in range(n):
        own = slice(terms.offsets[i], terms.offsets[i + 1])
        counts[i, terms.codes[own]] = terms.counts[own]
    tf = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0)
    idf = np.log((n + 1) / ((counts > 0).sum(axis=0) + 1)) + 1
    found = tf * idf
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def cosines(points: np.ndarray) -> np.ndarray:
    found = np.empty((len(points), len(points)), np.float32)
    for item in range(len(points)):
        lsa.cosines(points, item, found[item])
    return found


def test_cosines_are_those_of_the_exact_decomposition() -> None:
    terms, _ = topics(120, 10, 8)
    u, s, _ = np.linalg.svd(dense(terms), full_matrices=False)
    exact = (u * s)[:, : lsa.DIMENSIONS]
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    found = cosines(lsa.points(terms, np.random.default_rng(0)))
    assert np.abs(found - exact @ exact.T).max() < 0.05


def test_items_of_a_topic_are_nearer_than_others() -> None:
    terms, topic = topics(300, 12, 10)
    near = cosines(lsa.points(terms, np.random.default_rng(0)))
    np.fill_diagonal(near, -1)
    share = [(topic[np.argsort(-row)[:10]] == topic[item]).mean() for item, row in enumerate(near)]
    assert np.mean(share) > 0.99


def test_an_item_without_terms_is_near_nothing() -> None:
    terms, _ = topics(20, 2, 6)
    offsets = np.append(terms.offsets, terms.offsets[-1])
    points = lsa.points(terms._replace(offsets=offsets), np.random.default_rng(0))
    assert not points[-1].any()
    assert not cosines(points)[-1].any()


def test_no_terms_at_all_are_no_error() -> None:
    nothing = Terms(np.zeros(4, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), 0)
    assert lsa.points(nothing, np.random.default_rng(0)).shape == (3, 1)

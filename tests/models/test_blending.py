"""A log-linear blend of two models: it finds what made the data, and keeps a useless model out."""

import numpy as np

from nextpick.data.dataset import Interactions
from nextpick.models import blending
from nextpick.testing.worlds import interactions_of

N_ITEMS, QUERIES = 60, 1500


def cases(rng: np.random.Generator, a: float, b: float, lengths: np.ndarray) -> list[blending.Case]:
    """Return queries whose targets are drawn from the blend of a random model with another one's logits."""
    made = []
    for length in lengths.tolist():
        p = rng.dirichlet(np.full(N_ITEMS, 0.5)).astype(np.float32)
        z = rng.standard_normal(N_ITEMS).astype(np.float32)
        mixed = p.copy()
        blending.blend(mixed, z, np.array([a, b]))
        target = int(rng.choice(N_ITEMS, p=mixed / mixed.sum(dtype=np.float64)))
        case = blending.case(p, z, target, length, np.zeros(0, np.int32))
        assert case is not None
        made.append(case)
    return made


def test_the_weights_that_made_the_data_are_found() -> None:
    rng = np.random.default_rng(0)
    lengths = np.resize([1, 5, 12, 40], QUERIES)
    chosen = blending.choose(cases(rng, 0.6, 1.2, lengths))
    assert np.abs(chosen.weights - [0.6, 1.2]).max() < 0.15
    assert chosen.blended > chosen.alone


def test_a_model_that_knows_nothing_gets_nothing() -> None:
    rng = np.random.default_rng(1)
    chosen = blending.choose(cases(rng, 1.0, 0.0, np.full(QUERIES, 7)))
    assert np.array_equal(chosen.weights, np.tile([1, 0], (blending.N_BUCKETS, 1)))


def test_few_queries_choose_nothing() -> None:
    chosen = blending.choose(cases(np.random.default_rng(2), 0.1, 3.0, np.full(40, 7)))
    assert (chosen.weights[:, 1] == 0).all()


def test_the_first_model_alone_is_what_it_was() -> None:
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(N_ITEMS)).astype(np.float32)
    same = p.copy()
    blending.blend(same, rng.standard_normal(N_ITEMS).astype(np.float32), np.array([1.0, 0.0], np.float32))
    assert np.allclose(same, p, rtol=1e-5)


def test_a_case_holds_the_best_of_both_the_target_first_and_nothing_left_out() -> None:
    p = np.linspace(0, 1, 1000, dtype=np.float32)
    z = -p
    case = blending.case(p, z, 5, 3, np.array([999, 5, 0], np.int32))
    assert case is not None
    assert np.array_equal(case.x[0], [np.log(p[5]), z[5]])
    assert len(case.x) == 2 * 200
    assert np.exp(case.x[1:, 0]).max() < p[999]
    assert blending.case(p, z, 500, 3, np.zeros(0, np.int32)) is None  # neither has it among its best


def test_the_newest_events_of_some_users_are_held_out() -> None:
    rng = np.random.default_rng(4)
    lengths = rng.integers(0, 20, 300)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    data: Interactions = interactions_of(offsets, np.arange(offsets[-1], dtype=np.int32))
    held = blending.hold_out(data, rng)
    assert len(held.users) == int(offsets[-1] * 0.05)
    assert np.array_equal(held.at, offsets[held.users + 1] - 1)
    assert lengths[held.users].min() >= 3
    assert not held.repeats
    rest = held.rest(data)
    assert np.array_equal(rest.item, np.delete(data.item, held.at))
    assert np.diff(rest.offsets)[held.users].tolist() == (lengths[held.users] - 1).tolist()

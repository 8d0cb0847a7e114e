"""Users are ranked by how much of their taste an item is, and how much they take."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import affinity
from nextpick.models.rows import Rows
from nextpick.recipes import aws_item_affinity as recipe
from nextpick.recipes import segments
from nextpick.recipes.aws_item_affinity import ACTIVITY, DEFAULT, LAST, Choice, best, held_out
from nextpick.testing.worlds import interactions_of, made_data

RUN = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
WHOLE = Choice(LAST, 1.0, 1.0, 1.0)


def of(histories: list[list[int]], items: int) -> Data:
    """Return data with these histories, oldest first."""
    data = made_data(users=len(histories), items=items, metadata=False)
    offsets = np.concatenate(([0], np.cumsum([len(h) for h in histories]))).astype(np.int64)
    return data._replace(interactions=interactions_of(offsets, np.concatenate(histories).astype(np.int32)))


def state_of(data: Data, choice: Choice = WHOLE) -> recipe.State:
    """Return a state whose choice is told, not learnt."""
    tables = recipe._tables(data)
    reach = recipe._reach(tables, choice.decay)
    return {**tables, "choice": np.array(choice, np.float64), "reach": reach}


def ranked(state: recipe.State, item: int) -> np.ndarray:
    return recipe.rank_users(state, np.array([item], np.int32))


def test_who_takes_rare_things_comes_first_for_a_rare_one() -> None:
    popular, rare = list(range(12)), list(range(12, 18))
    crowd = [popular[i % 4 : i % 4 + 8] for i in range(30)]
    few = [[*rare, *popular[:3]], [*rare[1:], *popular[3:6]]]
    asked = [[*rare[1:4], *popular[:3]], [rare[1], *popular[:5]]]  # as many; the first takes what few do
    state = state_of(of([*asked, *few, *crowd], 18))
    score = ranked(state, rare[0])
    assert score[0] > score[1] > score[4:].max()
    assert score[4:].min() < score[2] < score[4:].max(), (
        "had it: after whom it draws, before whom nothing does"
    )
    assert ranked(state, popular[6])[1] > ranked(state, popular[6])[0]


def test_who_takes_as_much_of_a_thing_and_more_in_all_is_likelier_to_take_it_again() -> None:
    score = ranked(state_of(of([[0, 1] * 10, [0, 1] * 2, [2, 3] * 10], 4), Choice(0.5, 1.0, 1.0, 1.0)), 0)
    assert score[0] > score[1] > score[2]


def test_trust_of_nothing_is_activity_and_so_is_an_item_nobody_took() -> None:
    data = of([[0, 1], [0, 1, 2, 3], [2], [3, 1, 0]], 6)
    assert ranked(state_of(data, ACTIVITY), 2).tolist() == [2, 4, 1, 3]
    assert np.argsort(-ranked(state_of(data), 5)).tolist() == [1, 3, 0, 2]


def test_what_is_chosen_finds_no_less_than_activity() -> None:
    for seed in range(5):
        data = made_data(seed, users=200, longest=30)
        train, test = segments.split(data)
        queries = segments.some(recipe.targets(data), test, 100, RUN.rng)
        found = held_out(recipe._tables(train), queries, segments.takers(test, queries), RUN)
        assert (found[best(found)] >= found[ACTIVITY]).all()


def test_what_gains_on_one_measure_and_loses_on_the_other_is_not_chosen() -> None:
    other = WHOLE._replace(power=0.5)
    found = {ACTIVITY: np.array([10.0, 1.0]), WHOLE: np.array([40.0, 0.9]), other: np.array([11.0, 1.1])}
    assert best(found) == other
    assert best({ACTIVITY: np.ones(2), WHOLE: np.zeros(2)}) == ACTIVITY


def test_where_nothing_can_be_held_out_the_item_still_decides() -> None:
    kinds = [[0, 1, 2, 3], [10, 11, 12]]  # of four events all are learnt from
    rng = np.random.default_rng(0)
    data = of([rng.permutation(kinds[user % 2])[:3].tolist() for user in range(60)], 20)
    state = recipe.fit(data, recipe.Params(), RUN)
    assert Choice(*state["choice"].tolist()) == DEFAULT
    assert set(np.argsort(-ranked(state, 1))[:30] % 2) == {0}
    assert set(np.argsort(-ranked(state, 11))[:30] % 2) == {1}


def test_of_many_interactions_the_choice_is_made_on_users_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_data(users=300, longest=30)
    monkeypatch.setattr(recipe, "_MOST_TRIED_ON", 1000)
    some = recipe._some_users(data, np.random.default_rng(0)).interactions
    lengths = np.diff(some.offsets)
    assert 600 < len(some.item) < 1400
    assert ((lengths == 0) | (lengths == np.diff(data.interactions.offsets))).all()
    state = recipe.fit(data, recipe.Params(), RUN)
    assert state["length"].sum() == len(data.interactions.item)


def test_those_whom_nothing_draws_to_an_item_are_in_order_of_activity() -> None:
    crowd = [list(range(10, 11 + user % 50)) for user in range(400)]
    state = state_of(of([[0, 1], [0, 1, 2], [1, 2], *crowd], 70))
    score = ranked(state, 0)
    assert score[2] > score[:2].max() > score[3:].max()
    assert len(np.unique(score[3:])) == 50
    assert (np.argsort(score[3:], kind="stable") == np.argsort([len(h) for h in crowd], kind="stable")).all()


def test_who_took_an_item_long_ago_has_taken_it() -> None:
    state = state_of(of([[0, *[1] * 900], [2, *[1] * 900], [0, 1]], 3), WHOLE._replace(decay=0.8))
    score = ranked(state, 0)
    assert score[1] > score[0]


def test_nothing_is_left_of_a_user_who_is_forgotten() -> None:
    data = made_data(users=60)
    state = recipe.fit(data, recipe.Params(), RUN)
    gone = np.array([3, 17])
    left = recipe.forget(state, gone)
    assert (state["length"][gone] > 0).all()
    assert set(left) == set(state)
    assert not left["length"][gone].any()
    assert not left["reach"][gone].any()
    assert (np.diff(left["history_offsets"])[gone] == 0).all()
    assert len(left["history_item"]) == len(state["history_item"]) - state["length"][gone].sum()
    kept = np.setdiff1d(np.arange(60), gone)
    for item in range(30):
        assert np.array_equal(ranked(left, item)[kept], ranked(state, item)[kept])


class Slow(NamedTuple):
    history: list[int]
    decay: float

    def total(self, weight: np.ndarray) -> float:
        return sum(float(weight[item]) * self.decay**step for step, item in enumerate(self.history[::-1]))


@pytest.mark.parametrize("decay", [1.0, 0.9])
def test_sums_are_those_of_a_slow_count(decay: float) -> None:
    data = made_data()
    offsets, item = data.interactions.offsets, data.interactions.item
    histories = affinity.newest(offsets, item, 5)
    weight = np.random.default_rng(0).random(30).astype(np.float32)
    slow = [Slow(item[a:b].tolist()[-5:], decay) for a, b in pairwise(offsets)]
    assert np.allclose(affinity.total(weight, histories, decay), [user.total(weight) for user in slow])
    assert np.allclose(affinity.evidence(histories, decay), [user.total(np.ones(30)) for user in slow])


def test_shares_of_all_items_sum_to_one() -> None:
    data = made_data()
    tables = recipe._tables(data)
    n = len(data.items.ids)
    rows = Rows(tables["row_offsets"], tables["row_items"], tables["row_weights"])
    histories = affinity.newest(data.interactions.offsets, data.interactions.item, 100)
    like = [affinity.total(affinity.likeness(rows, np.array([i]), n), histories, 0.9) for i in range(n)]
    assert np.allclose(np.sum(like, axis=0), affinity.total(affinity.reach(rows, n), histories, 0.9))
    every = affinity.likeness(rows, np.arange(n), n)
    assert np.allclose(every, affinity.reach(rows, n))


def test_metrics_are_the_means_of_what_is_measured_query_by_query() -> None:
    data = made_data(users=300)
    run = RUN._replace(rng=np.random.default_rng(1))
    measured = segments.measure(recipe, recipe.Params(), data, run)
    metrics = segments.evaluate(recipe, recipe.Params(), data, run._replace(rng=np.random.default_rng(1)))
    assert metrics["hits_at_1_percent"] == pytest.approx(measured.hits.mean(), abs=1e-4)
    assert metrics["recall_at_1_percent"] == pytest.approx(measured.recall.mean(), abs=1e-4)
    assert (measured.recall <= 1).all()
    assert (measured.hits <= 3).all()

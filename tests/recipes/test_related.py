"""aws-similar-items and aws-sims: what a new item is related to, and where it stands beside known ones."""

from types import ModuleType

import numpy as np
import pytest

from nextpick.data.dataset import Column, Data
from nextpick.data.run import Run
from nextpick.recipes import aws_similar_items, aws_sims
from nextpick.recipes.interface import Query, State
from nextpick.testing.worlds import interactions_of, made_data

KINDS, EACH, USERS, LENGTH = 6, 10, 400, 12
N_ITEMS = KINDS * EACH
KIND = np.repeat(np.arange(KINDS), EACH)
NEW = np.arange(KINDS) * EACH + EACH - 1  # the last of each kind, which nobody has taken
KNOWN = np.setdiff1d(np.arange(N_ITEMS), NEW)
OTHER = N_ITEMS - EACH
NOBODY = np.zeros(0, np.int32)
RECIPES = (aws_similar_items, aws_sims)


def world(pairs: int = 0) -> Data:
    """Return users who take, of one kind, the first items more than the later ones, and now and then anything; and
    ``pairs`` users of the new item of the first kind and the first of the last."""
    rng = np.random.default_rng(0)
    within = (rng.random((USERS, LENGTH)) ** 2 * (EACH - 1)).astype(int)
    item = rng.integers(0, KINDS, (USERS, 1)) * EACH + within
    item = np.where(rng.random((USERS, LENGTH)) < 0.3, rng.choice(KNOWN, (USERS, LENGTH)), item)
    data = made_data(users=USERS, items=N_ITEMS, metadata=False)
    names = tuple(f"kind{k}" for k in range(KINDS))
    kind = Column("KIND", np.arange(N_ITEMS + 1), KIND.astype(np.int32), names, None)
    lengths = np.repeat((LENGTH, 2), (USERS, pairs))
    item = np.concatenate((item.ravel(), np.tile((NEW[0], OTHER), pairs))).astype(np.int32)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    made = interactions_of(offsets, item, np.arange(item.size) + 1_600_000_000)
    return data._replace(interactions=made, items=data.items._replace(columns=(kind,)))


def fitted(recipe: ModuleType, data: Data, **params: int) -> State:
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    return recipe.fit(data, recipe.Params(**params), run)


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.NAME)
def state(request: pytest.FixtureRequest) -> State:
    return fitted(request.param, world())


def scores(state: State, item: int) -> np.ndarray:
    """Return the likeness of all items to one, which is the same function in both recipes."""
    return aws_sims.score(state, [Query(-1, NOBODY, item)])[0]


def related(state: State, item: int) -> np.ndarray:
    """Return all items but ``item``, the most alike first."""
    return np.argsort(-scores(state, item), kind="stable")[:-1]


def test_a_new_item_is_related_to_its_kind_and_the_popular_ones_of_it_first(state: State) -> None:
    for new in NEW.tolist():
        first = related(state, new)[: EACH - 1]
        assert set(KIND[first]) == {KIND[new]}
        assert state["users"][first].tolist() == sorted(state["users"][first].tolist(), reverse=True)


def test_beside_a_known_item_a_new_one_of_its_kind_comes_before_other_kinds(state: State) -> None:
    places = []
    for known in KNOWN.tolist():
        order = related(state, known)
        places.append(order.tolist().index(int(NEW[KIND[known]])))
    assert np.median(places) <= EACH
    assert max(places) < N_ITEMS / 2


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.NAME)
def test_without_metadata_nothing_is_made_of_it(recipe: ModuleType) -> None:
    data = world()
    state = fitted(recipe, data._replace(items=data.items._replace(columns=())))
    assert state["worth"].tolist() == [0.0]
    assert (scores(state, 0)[NEW] < 0).all()
    own = slice(*state["row_offsets"][:2].tolist())
    assert scores(state, 0)[state["row_items"][own]].tolist() == state["row_weights"][own].tolist()


def test_pairs_that_too_few_users_make_count_for_nothing_in_sims() -> None:
    new, data = int(NEW[0]), world(pairs=2)
    few, enough = (fitted(aws_sims, data, min_cointeraction_count=least) for least in (3, 2))
    assert scores(few, new)[OTHER] < 0 < scores(enough, new)[OTHER]
    assert set(KIND[related(few, new)[: EACH - 1]]) == {0}


def test_behind_what_few_users_took_with_an_item_sims_fills_up_by_metadata() -> None:
    order = related(fitted(aws_sims, world(pairs=3)), int(NEW[0]))
    assert order[0] == OTHER
    assert set(KIND[order[1:EACH]]) == {0}

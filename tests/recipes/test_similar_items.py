"""aws-similar-items: what a new item is related to, and where it stands beside known ones."""

import numpy as np
import pytest

from nextpick.data.dataset import Column, Data
from nextpick.data.run import Run
from nextpick.recipes import aws_similar_items as recipe
from nextpick.recipes.interface import Query, State
from nextpick.testing.worlds import interactions_of, made_data

KINDS, EACH, USERS, LENGTH = 6, 10, 400, 12
N_ITEMS = KINDS * EACH
KIND = np.repeat(np.arange(KINDS), EACH)
NEW = np.arange(KINDS) * EACH + EACH - 1  # the last of each kind, which nobody has taken
KNOWN = np.setdiff1d(np.arange(N_ITEMS), NEW)
NOBODY = np.zeros(0, np.int32)


def world() -> Data:
    """Return users who take, of one kind, the first items more than the later ones, and now and then anything."""
    rng = np.random.default_rng(0)
    within = (rng.random((USERS, LENGTH)) ** 2 * (EACH - 1)).astype(int)
    item = rng.integers(0, KINDS, (USERS, 1)) * EACH + within
    item = np.where(rng.random((USERS, LENGTH)) < 0.3, rng.choice(KNOWN, (USERS, LENGTH)), item)
    data = made_data(users=USERS, items=N_ITEMS, metadata=False)
    names = tuple(f"kind{k}" for k in range(KINDS))
    kind = Column("KIND", np.arange(N_ITEMS + 1), KIND.astype(np.int32), names, None)
    offsets = np.arange(USERS + 1) * LENGTH
    made = interactions_of(offsets, item.ravel().astype(np.int32), np.arange(item.size) + 1_600_000_000)
    return data._replace(interactions=made, items=data.items._replace(columns=(kind,)))


@pytest.fixture(scope="module")
def state() -> State:
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    return recipe.fit(world(), recipe.Params(), run)


def related(state: State, item: int) -> np.ndarray:
    """Return all items but ``item``, the most alike first."""
    scores = recipe.score(state, [Query(-1, NOBODY, item)])[0]
    return np.argsort(-scores, kind="stable")[:-1]


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


def test_without_metadata_nothing_is_made_of_it() -> None:
    data = world()
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    state = recipe.fit(data._replace(items=data.items._replace(columns=())), recipe.Params(), run)
    assert state["worth"].tolist() == [0.0]
    scores = recipe.score(state, [Query(-1, NOBODY, 0)])[0]
    assert (scores[NEW] < 0).all()

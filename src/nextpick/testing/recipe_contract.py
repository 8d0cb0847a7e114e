"""What every recipe must keep, as checks that raise AssertionError: run them over a recipe of your own.

for check in recipe_contract.CHECKS:  # SEGMENT_CHECKS, where it segments users
    check(catalogue.find("my-recipe"))
"""

import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run, Stopped
from nextpick.errors import InvalidInput
from nextpick.models import artifact
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.recipes.interface import Query, State
from nextpick.testing.worlds import made_data

_NOBODY = np.zeros(0, np.int32)


def fitted(info: RecipeInfo, data: Data, seed: int = 0) -> State:
    """Return a recipe's state on data, with its default hyperparameters."""
    module = catalogue.load(info)
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(seed))
    return module.fit(data, catalogue.parse_params(module, {}), run)


def queries(data: Data) -> list[Query]:
    """Return a query of every user, of an unknown one with and without history, and of items."""
    offsets, item = data.interactions.offsets, data.interactions.item
    known = [
        Query(user, item[offsets[user] : offsets[user + 1]], user % len(data.items.ids))
        for user in range(len(data.users.ids))
    ]
    return [*known, Query(-1, _NOBODY), Query(-1, item[:3]), Query(0, _NOBODY, 0)]


def scores_every_item_of_the_catalogue(info: RecipeInfo) -> None:
    """Scores are float32, a row for each query, a number for each item; only the item asked about may be -inf."""
    for data in (made_data(), made_data(metadata=False)):
        asked = queries(data)
        scores = catalogue.load(info).score(fitted(info, data), asked)
        assert scores.dtype == np.float32
        assert scores.shape == (len(asked), len(data.items.ids))
        for row, query in zip(scores, asked, strict=True):
            unwanted = np.flatnonzero(~np.isfinite(row)).tolist()
            assert unwanted in ([], [query.item]), (unwanted, query)
            assert not np.isnan(row).any()
            assert not np.isposinf(row).any()


def scores_that_are_told_are_probabilities(info: RecipeInfo) -> None:
    """Where answers carry scores, a full row is a distribution; of actions each score is a probability by itself."""
    if not info.is_scored:
        return
    data = made_data()
    scores = catalogue.load(info).score(fitted(info, data), queries(data))
    assert (scores >= 0).all()
    if info.type == "PERSONALIZED_ACTIONS":
        assert (scores <= 1).all()
        return
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-4)


def scores_some_items_as_it_scores_all(info: RecipeInfo) -> None:
    """``items`` picks columns of the full answer."""
    data, module = made_data(), catalogue.load(info)
    state, some = fitted(info, data), np.array([7, 0, 29, 7], np.int32)
    full = module.score(state, queries(data))
    assert np.array_equal(module.score(state, queries(data), some), full[:, some])


def scores_many_queries_as_one_by_one(info: RecipeInfo) -> None:
    """A query's row does not depend on its neighbours."""
    data, module = made_data(), catalogue.load(info)
    state = fitted(info, data)
    together = module.score(state, queries(data))
    alone = np.concatenate([module.score(state, [query]) for query in queries(data)])
    assert np.array_equal(together, alone)


def is_the_same_byte_for_byte(info: RecipeInfo) -> None:
    """The same data and seed give the same arrays."""
    first, second = fitted(info, made_data()), fitted(info, made_data())
    assert list(first) == list(second)
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert first[name].tobytes() == second[name].tobytes(), name


def survives_the_disk(info: RecipeInfo) -> None:
    """A saved state answers the same; a damaged one is refused by the name of its file."""
    data, module = made_data(), catalogue.load(info)
    state = fitted(info, data)
    with tempfile.TemporaryDirectory() as scratch:
        artifact.save(Path(scratch) / "model", state, {"recipe": info.name})
        loaded, manifest = artifact.load(Path(scratch) / "model")
        assert manifest["recipe"] == info.name
        assert np.array_equal(module.score(loaded, queries(data)), module.score(state, queries(data)))
        del loaded
        for path in sorted((Path(scratch) / "model").glob("*.npy")):
            whole = path.read_bytes()
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            damage = _raised(artifact.Damaged, lambda: artifact.load(Path(scratch) / "model"))
            assert path.name in str(damage)
            path.write_bytes(whole)


def fits_what_is_hardly_there(info: RecipeInfo) -> None:
    """One item, one user, or two users with one interaction each are enough to fit and to answer."""
    for users, items, longest in ((1, 1, 1), (2, 1, 5), (2, 2, 1), (30, 3, 2)):
        data = made_data(users=users, items=items, longest=longest)
        scores = catalogue.load(info).score(fitted(info, data), queries(data))
        assert scores.shape == (len(queries(data)), items)


def counts_the_interactions_of_each_item(info: RecipeInfo) -> None:
    """``item_count`` is in the state, for exploration."""
    data = made_data()
    counted = np.bincount(data.interactions.item, minlength=len(data.items.ids))
    assert fitted(info, data)["item_count"].tolist() == counted.tolist()


def reports_progress_and_stops(info: RecipeInfo) -> None:
    """Progress rises within 0 and 1; a fit that is no longer wanted raises Stopped."""
    module, told = catalogue.load(info), []
    run = Run(lambda done, stage: told.append((done, stage)), lambda: False, np.random.default_rng(0))
    module.fit(made_data(), module.Params(), run)
    done = [fraction for fraction, _ in told]
    assert done == sorted(done)
    assert 0 <= done[0] <= done[-1] <= 1
    assert all(stage for _, stage in told)
    unwanted = run._replace(should_stop=lambda: True)
    _raised(Stopped, lambda: module.fit(made_data(), module.Params(), unwanted))


def refuses_hyperparameters_by_name(info: RecipeInfo) -> None:
    """An unknown hyperparameter, and one out of its range, is InvalidInput that names it."""
    module = catalogue.load(info)
    wrong = {"no_such_thing": "1"}
    for field in fields(module.Params):
        if field.metadata["high"] is not None:
            wrong[field.name] = str(field.metadata["high"] * 2 + 1)
    for name, value in wrong.items():
        given = {name: value}
        error = _raised(InvalidInput, lambda given=given: catalogue.parse_params(module, given))
        assert name in str(error)


def _raised(kind: type[Exception], function: Callable[[], object]) -> Exception:
    """Return the error that a function raises; AssertionError when it raises none of that kind."""
    try:
        function()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def ranks_users_by_items(info: RecipeInfo) -> None:
    """A recipe for segments gives every user a finite affinity to any items."""
    data = made_data()
    module, state = catalogue.load(info), fitted(info, data)
    for items in module.targets(data):
        affinity = module.rank_users(state, items)
        assert affinity.dtype == np.float32
        assert affinity.shape == (len(data.users.ids),)
        assert np.isfinite(affinity).all()


SEGMENT_CHECKS: tuple[Callable[[RecipeInfo], None], ...] = (
    ranks_users_by_items,
    counts_the_interactions_of_each_item,
    reports_progress_and_stops,
    refuses_hyperparameters_by_name,
)

CHECKS: tuple[Callable[[RecipeInfo], None], ...] = (
    scores_every_item_of_the_catalogue,
    scores_that_are_told_are_probabilities,
    scores_some_items_as_it_scores_all,
    scores_many_queries_as_one_by_one,
    is_the_same_byte_for_byte,
    survives_the_disk,
    fits_what_is_hardly_there,
    counts_the_interactions_of_each_item,
    reports_progress_and_stops,
    refuses_hyperparameters_by_name,
)

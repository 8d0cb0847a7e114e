"""aws-next-best-action: the actions a user is likeliest to take, with the probability of each.

The data's items are the actions, its interactions those with actions. An action that was not taken and refused or
viewed often enough of late has the score 0 and is tried out instead.

Needs:    ACTIONS; ACTION_INTERACTIONS and USERS where there are any.
Answers:  GetActionRecommendations(userId).
Sources:  models/propensity.py; developer guide, "Next-Best-Action recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.metrics import hit_matrix, ndcg
from nextpick.data.run import Run
from nextpick.data.split import holdout
from nextpick.models import popularity, propensity
from nextpick.models.propensity import NOT_TAKEN, TAKEN, VIEWED, Examples, Propensity
from nextpick.recipes.interface import Query, State, feature

NAME = "aws-next-best-action"
_DAY_S = 86_400.0
_RECENT_S, _ENOUGH = 42 * _DAY_S, 50
_HALF_LIFE_PERIODS = 3.0
_CUTOFFS = (5, 10, 25)
_PERIODS = tuple(str(days) for days in range(7, 29))
_MOST_TESTED = 10_000


@dataclass(frozen=True, slots=True)
class Params:
    action_optimization_period: str = feature(
        "14",
        choices=_PERIODS,
        help="days in which an action is to be taken; what is three periods old counts half",
    )


def fit(data: Data, params: Params, run: Run) -> State:
    """Return the weights of ``propensity``, ``cats`` of the users, and of each action ``is_known`` and ``value``."""
    run.checkpoint(0.0, "learning what is taken")
    interactions, n = data.interactions, len(data.items.ids)
    half_life = _HALF_LIFE_PERIODS * float(params.action_optimization_period) * _DAY_S
    age = data.latest - np.asarray(interactions.time)
    outcome = outcomes(data)
    cat_offsets, cats, n_cats = _categories(data)
    weights = propensity.fit(
        Examples(np.asarray(interactions.offsets), np.asarray(interactions.item), outcome, 0.5 ** (age / half_life)),
        n, cat_offsets, cats, n_cats,
    )  # fmt: skip
    recent = age <= _RECENT_S
    taken = np.bincount(interactions.item[recent & (outcome == TAKEN)], minlength=n)
    refused = np.bincount(interactions.item[recent & (outcome != TAKEN)], minlength=n)
    run.checkpoint(1.0, "trained")
    return {
        **{f"w_{name}": array for name, array in weights._asdict().items()},
        "cat_offsets": cat_offsets,
        "cats": cats,
        "is_known": (taken >= _ENOUGH) & (refused >= _ENOUGH),
        "value": np.nan_to_num(_numbers(data, "VALUE")),
        "item_count": popularity.counts(interactions.item, n),
    }  # fmt: skip


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return the probability that each query's user takes each action, float32; 0 for those not yet known."""
    model = Propensity(*(state[f"w_{name}"] for name in Propensity._fields))
    found = np.empty((len(queries), len(model.action)), np.float32)
    for row, query in enumerate(queries):
        done = query.outcomes if query.outcomes is not None else np.full(len(query.items), TAKEN, np.int8)
        cats = state["cats"][:0]
        if query.user >= 0:
            cats = state["cats"][state["cat_offsets"][query.user] : state["cat_offsets"][query.user + 1]]
        found[row] = propensity.propensities(model, query.user, cats, np.asarray(query.items), done)
    found[:, ~state["is_known"]] = 0.0
    return found if items is None else found[:, items]


def forget(state: State, users: np.ndarray) -> State:
    """Return the state with nothing of some users (rows)."""
    weights = state["w_user"].copy()
    weights[users] = 0.0
    lengths = np.diff(state["cat_offsets"])
    is_gone = np.zeros(len(lengths), bool)
    is_gone[users] = True
    offsets = np.concatenate(([0], np.cumsum(np.where(is_gone, 0, lengths)))).astype(np.int64)
    return {
        **state,
        "w_user": weights,
        "cat_offsets": offsets,
        "cats": state["cats"][~np.repeat(is_gone, lengths)],
    }


def evaluate(params: Params, data: Data, run: Run) -> dict[str, float]:
    """Return auc, coverage, ndcg, and precision and recall averaged over the actions, of the newest tenth of the
    interactions of held-out users: an action counts as predicted from a probability of one half on."""
    held = holdout(data, run.rng, _MOST_TESTED)
    state = fit(held.train, params, run.share(0.0, 0.7))
    n = len(data.items.ids)
    outcome, item, offsets = outcomes(data), np.asarray(data.interactions.item), data.interactions.offsets
    predicted, truths, actions, ranked, liked = [], [], [], [], []
    state = {**state, "is_known": np.ones(n, bool)}
    for user, cut in zip(held.users.tolist(), held.cuts.tolist(), strict=True):
        start, middle, end = offsets[user], offsets[user] + cut, offsets[user + 1]
        scores = score(state, [Query(user, item[start:middle], outcomes=outcome[start:middle])])[0]
        predicted += scores[item[middle:end]].tolist()
        truths += (outcome[middle:end] == TAKEN).tolist()
        actions += item[middle:end].tolist()
        ranked.append(np.argsort(-scores, kind="stable")[: max(_CUTOFFS)])
        liked.append(set(item[middle:end][outcome[middle:end] == TAKEN].tolist()))
        run.check()
    return _metrics(
        np.array(predicted), np.array(truths, bool), np.array(actions, np.int64), ranked, liked, n
    )


def outcomes(data: Data) -> np.ndarray:
    """Return what each interaction was, int8: TAKEN, NOT_TAKEN or VIEWED."""
    codes = np.array([outcome_of(name) for name in data.interactions.event_types] + [VIEWED], np.int8)
    return codes[np.asarray(data.interactions.event_type)]


def outcome_of(event_type: str) -> int:
    """Return the outcome that an event type names, in any case and with a blank or an underscore."""
    name = event_type.upper().replace(" ", "_")
    return {"TAKEN": TAKEN, "NOT_TAKEN": NOT_TAKEN}.get(name, VIEWED)


def _metrics(
    predicted: np.ndarray, truths: np.ndarray, actions: np.ndarray, ranked: list[np.ndarray],
    liked: list[set[int]], n: int,
) -> dict[str, float]:  # fmt: skip
    positive = predicted >= 0.5
    precisions, recalls = [], []
    for action in np.unique(actions).tolist():
        of = actions == action
        hits = int((positive & truths & of).sum())
        if (positive & of).any():
            precisions.append(hits / int((positive & of).sum()))
        if (truths & of).any():
            recalls.append(hits / int((truths & of).sum()))
    result: dict[str, Any] = {
        "auc": _auc(predicted, truths),
        "coverage": len(np.unique(np.concatenate(ranked))) / n if ranked else 0.0,
        "precision": np.mean(precisions) if precisions else 0.0,
        "recall": np.mean(recalls) if recalls else 0.0,
    }
    asked = [i for i, wanted in enumerate(liked) if wanted]
    hits = hit_matrix(np.array([ranked[i] for i in asked]).reshape(len(asked), -1), [liked[i] for i in asked])
    sizes = np.array([len(liked[i]) for i in asked], np.int64)
    for k in _CUTOFFS:
        result[f"normalized_discounted_cumulative_gain_at_{k}"] = ndcg(hits, sizes, k)
    return {name: round(float(result[name]), 4) for name in sorted(result)}


def _auc(predicted: np.ndarray, truths: np.ndarray) -> float:
    """Return the share of (taken, not taken) pairs that are in the right order, ties half."""
    if truths.all() or not truths.any():
        return 0.5
    values, place = np.unique(predicted, return_inverse=True)
    good, bad = (np.bincount(place[of], minlength=len(values)) for of in (truths, ~truths))
    below = np.cumsum(bad) - bad
    return float((good * (below + bad / 2)).sum() / (good.sum() * bad.sum()))


def _numbers(data: Data, name: str) -> np.ndarray:
    for column in data.items.columns:
        if column.name == name and column.numbers is not None:
            return np.asarray(column.numbers, np.float64)
    return np.full(len(data.items.ids), np.nan)


def _categories(data: Data) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the users' categories over all columns, numbered through: offsets, codes, how many there are."""
    n_users = len(data.users.ids)
    rows, codes, count = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for column in data.users.columns:
        if column.codes is not None and column.offsets is not None:
            rows.append(np.repeat(np.arange(n_users), np.diff(column.offsets)))
            codes.append(np.asarray(column.codes, np.int64) + count)
            count += len(column.values)
    row, code = np.concatenate(rows), np.concatenate(codes)
    order = np.argsort(row, kind="stable")
    offsets = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n_users)))).astype(np.int64)
    return offsets, code[order].astype(np.int32), count

"""How good a recipe would have been: fitted on all that was known before a moment, asked what each user did next.

A global time split (``data/timesplit.py``), the full catalogue ranked, equal scores by row, beside two baselines that
were fitted on the same data; every figure with a 95 % interval from resampling users. Ranked is as answers are: items
a user has seen are not left out, but what a use case drops.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from nextpick.clock import utc
from nextpick.data import bootstrap, metrics
from nextpick.data.dataset import Data
from nextpick.data.filters.terms import event_name
from nextpick.data.run import Run
from nextpick.data.timesplit import NoClock, TimeSplit, time_split
from nextpick.models.baselines import Transitions, recent_popularity
from nextpick.models.rows import read_only
from nextpick.models.topk import top_k
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.recipes.interface import Query

FORMAT = 1
NEXT, K, DEPTH = (
    10,
    10,
    25,
)  # interactions that are to be found; places they count in; places of the reciprocal rank
HEADLINE = f"normalized_discounted_cumulative_gain_at_{K}"
POPULAR, TRANSITIONS = "popularity of the last 7 days", "decayed transitions"
LIGHT = 10  # a user with fewer interactions before the moment is a light one
HEAD_SHARE = 0.8  # the most popular items that took this share of the interactions are the head
_MOST_USERS, _FEW_USERS = 5000, 100

Score = Callable[[Query], np.ndarray]


class _Asked(NamedTuple):
    """The test: ``queries`` of the users, ``truths`` what each took next (distinct rows), ``dropped`` rows that are
    left out of each one's answer."""

    split: TimeSplit
    queries: list[Query]
    truths: list[np.ndarray]
    dropped: list[np.ndarray]


class _Result(NamedTuple):
    """One contender: ``ranked`` int32 [m, DEPTH], ``hits`` bool [m, DEPTH], ``values`` float64 [m] by metric."""

    name: str
    ranked: np.ndarray
    hits: np.ndarray
    values: dict[str, np.ndarray]


def backtest(
    module: ModuleType,
    params: Any,
    info: RecipeInfo,
    data: Data,
    run: Run,
    featurized: Callable[[Data], Data] = lambda known: known,
) -> dict[str, Any]:
    """Return the evaluation of a recipe under ``params``, as JSON takes it.

    ``featurized``: what the recipe is fitted on, of what was known; it says nothing of who is asked about, nor of the
    baselines, so that these are the same for every recipe.

    ``status`` is MEASURED, or NOT_MEASURABLE with a ``reason`` and no figures: where the recipe does not rank items
    for users, or the timestamps are no clock.
    """
    report: dict[str, Any] = {"format": FORMAT, "kind": "evaluation", "recipe": info.name}
    if info.type in ("USER_SEGMENTATION", "PERSONALIZED_ACTIONS"):
        told = "segments of users" if info.type == "USER_SEGMENTATION" else "actions"
        return _not_measurable(report, f"{info.name} is about {told}; GetSolutionMetrics measures it.")
    try:
        split = time_split(data)
    except NoClock as problem:
        return _not_measurable(report, str(problem))
    asked = _ask(split, info, data, run.rng)
    n_items = len(data.items.ids)
    run.checkpoint(0.0, "fitting on what was known before")
    fitted = module.fit(featurized(split.train), params, run.share(0.0, 0.6))
    state = {name: read_only(array) for name, array in fitted.items()}
    known = split.train.interactions
    popular = recent_popularity(known, n_items, split.train.latest)
    followed = Transitions(known, n_items, split.train.latest)
    contenders: dict[str, Score] = {
        info.name: lambda query: module.score(state, [query])[0],
        POPULAR: lambda query: popular,
        TRANSITIONS: lambda query: followed.score(query.items),
    }
    results = [
        _rank(name, score, asked, n_items, run.share(0.6 + 0.12 * i, 0.72 + 0.12 * i))
        for i, (name, score) in enumerate(contenders.items())
    ]
    run.checkpoint(0.97, "resampling")
    return _report(report, asked, results, n_items, run.rng)


def _not_measurable(report: dict[str, Any], reason: str) -> dict[str, Any]:
    return {**report, "status": "NOT_MEASURABLE", "reason": reason, "warnings": [reason]}


def _ask(split: TimeSplit, info: RecipeInfo, data: Data, rng: np.random.Generator) -> _Asked:
    """Draw the users that are asked about, and what they did next."""
    chosen = np.arange(len(split.users))
    if len(chosen) > _MOST_USERS:
        chosen = np.sort(rng.choice(chosen, _MOST_USERS, replace=False))
    split = split._replace(
        users=split.users[chosen], starts=split.starts[chosen], histories=split.histories[chosen]
    )
    interactions = data.interactions
    item, offsets = read_only(interactions.item), interactions.offsets
    drops = np.zeros(0, np.int64)
    if info.drops is not None:
        wanted = event_name(info.drops)
        drops = np.flatnonzero([event_name(name) == wanted for name in interactions.event_types])
    queries, truths, dropped = [], [], []
    for user, start, length in zip(split.users, split.starts, split.histories, strict=True):
        own = slice(start - length, start)
        history, types = item[own], interactions.event_type[own]
        told = [int(column.codes[start]) for column in interactions.contexts]
        last = int(history[-1]) if length else -1
        query = Query(int(user), history, last, context=told, times=interactions.time[own], types=types)
        queries.append(query)
        truths.append(np.unique(item[start : min(start + NEXT, offsets[user + 1])]))
        dropped.append(np.unique(history[np.isin(types, drops)]) if len(drops) else history[:0])
    return _Asked(split, queries, truths, dropped)


def _rank(name: str, score: Score, asked: _Asked, n_items: int, run: Run) -> _Result:
    depth = min(DEPTH, n_items)
    ranked = np.full((len(asked.queries), DEPTH), -1, np.int32)
    for i, (query, dropped) in enumerate(zip(asked.queries, asked.dropped, strict=True)):
        if len(dropped):
            allowed = np.ones(n_items, bool)
            allowed[dropped] = False
            found = top_k(score(query), depth, allowed)
        else:
            found = top_k(score(query), depth)
        ranked[i, : len(found)] = found
        if i % 256 == 0:
            run.checkpoint(i / len(asked.queries), f"ranking: {name}")
    hits = metrics.hit_matrix(ranked, [set(truth.tolist()) for truth in asked.truths])
    sizes = np.array([len(truth) for truth in asked.truths])
    found_at_k = hits[:, :K].sum(axis=1)
    values = {
        HEADLINE: metrics.gains(hits, sizes, K),
        f"hit_rate_at_{K}": (found_at_k > 0).astype(np.float64),
        f"recall_at_{K}": found_at_k / sizes,
        f"precision_at_{K}": found_at_k / K,
        f"mean_reciprocal_rank_at_{DEPTH}": metrics.reciprocal_ranks(hits, DEPTH),
    }
    return _Result(name, ranked, hits, values)


def _report(
    report: dict[str, Any], asked: _Asked, results: list[_Result], n_items: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the report of what was measured."""
    drawn = bootstrap.resamples(len(asked.queries), rng)
    counts = np.bincount(asked.split.train.interactions.item, minlength=n_items)
    head = _head(counts)
    own, popular = results[0], results[1]
    differences = {
        other.name: bootstrap.interval(own.values[HEADLINE] - other.values[HEADLINE], drawn)
        for other in results[1:]
    }
    against = differences[popular.name]
    beats = against["low"] is not None and against["low"] > 0
    warnings = [] if beats else [_warning(report["recipe"], against)]
    if len(asked.queries) < _FEW_USERS:
        warnings.append(f"Only {len(asked.queries)} users could be tested: the intervals are wide.")
    return {
        **report,
        "status": "MEASURED",
        "beats_recent_popularity": bool(beats),
        "warnings": warnings,
        "split": _told_of(asked.split, n_items),
        "protocol": {"next": NEXT, "k": K, "resamples": bootstrap.RESAMPLES, "confidence": 0.95},
        "headline": HEADLINE,
        "contenders": [
            {
                "name": result.name,
                "role": "version" if result is own else "baseline",
                "metrics": {n: bootstrap.interval(v, drawn) for n, v in result.values.items()},
                **_beyond_accuracy(result, asked, counts, head),
            }
            for result in results
        ],
        "differences": differences,
        "slices": {
            "users": _user_slices(asked, results, drawn),
            "items": _item_slices(asked, results, drawn, head),
        },
    }


def _warning(recipe: str, difference: dict[str, Any]) -> str:
    if difference["low"] is None:
        return f"Whether {recipe} beats the {POPULAR} cannot be told: too few users did anything afterwards."
    if difference["high"] < 0:
        return f"{recipe} is worse than the {POPULAR}: recommending what is popular now would serve better."
    return f"{recipe} does not beat the {POPULAR}: the difference is within what chance explains."


def _told_of(split: TimeSplit, n_items: int) -> dict[str, Any]:
    known = split.train.interactions
    return {
        "at": split.at,
        "at_utc": utc(split.at),
        "first_utc": utc(int(known.time.min())),
        "interactions_before": len(known.item),
        "users_before": int(np.count_nonzero(np.diff(known.offsets))),
        "items": n_items,
        "items_before": len(np.unique(known.item)),
        "users_tested": len(split.users),
    }


def _head(counts: np.ndarray) -> np.ndarray:
    """Return which items are the head, bool [n_items]: the most popular that hold HEAD_SHARE of the interactions."""
    order = np.argsort(-counts, kind="stable")
    held = np.cumsum(counts[order])
    n = int(np.searchsorted(held, HEAD_SHARE * held[-1])) + 1
    head = np.zeros(len(counts), bool)
    head[order[:n]] = True
    return head & (counts > 0)


def _beyond_accuracy(
    result: _Result, asked: _Asked, counts: np.ndarray, head: np.ndarray
) -> dict[str, float]:
    """Return what accuracy does not say of an answer's first K places.

    coverage: share of the catalogue in anyone's;  novelty: mean bits of surprise, -log2 of an item's share of the
    interactions before (Castells et al. 2015);  popularity_bias: mean interactions of an item that is recommended over
    that of one that is taken, 1 is no bias;  head_share: places given to head items.
    """
    shown = result.ranked[:, :K]
    shown = shown[shown >= 0]
    taken = np.concatenate(asked.truths)
    share = (counts + 1) / (counts.sum() + len(counts))
    return {
        "coverage": round(len(np.unique(shown)) / len(counts), 6),
        "novelty": round(float(-np.log2(share[shown]).mean()), 4),
        "popularity_bias": round(float(counts[shown].mean() / max(counts[taken].mean(), 1e-9)), 4),
        "head_share": round(float(head[shown].mean()), 6),
    }


def _user_slices(asked: _Asked, results: list[_Result], drawn: np.ndarray) -> list[dict[str, Any]]:
    """Return the figures of users by how much was known of them; every user is in one slice."""
    lengths = asked.split.histories
    slices = (
        ("new", "no interaction before", lengths == 0),
        ("light", f"1 to {LIGHT - 1} interactions before", (lengths > 0) & (lengths < LIGHT)),
        ("heavy", f"{LIGHT} interactions or more before", lengths >= LIGHT),
    )
    return [
        {
            "name": name,
            "meaning": meaning,
            "users": int(inside.sum()),
            "contenders": {
                result.name: {
                    metric: bootstrap.interval(values * inside, drawn, inside.astype(np.float64))
                    for metric, values in result.values.items()
                }
                for result in results
            },
        }
        for name, meaning, inside in slices
    ]


def _item_slices(
    asked: _Asked, results: list[_Result], drawn: np.ndarray, head: np.ndarray
) -> list[dict[str, Any]]:
    """Return the recall of head and tail items: of those that users took, the share found within K."""
    slices = (
        ("head", f"the most popular items, which took {HEAD_SHARE:.0%} of the interactions before", head),
        ("tail", "all other items, those not met before included", ~head),
    )
    told = []
    for name, meaning, inside in slices:
        sizes = np.array([np.count_nonzero(inside[truth]) for truth in asked.truths], np.float64)
        contenders = {}
        for result in results:
            found = (result.hits[:, :K] & inside[result.ranked[:, :K]]).sum(axis=1).astype(np.float64)
            contenders[result.name] = {
                "found": int(found.sum()),
                f"recall_at_{K}": bootstrap.interval(found, drawn, sizes),
            }
        told.append(
            {
                "name": name,
                "meaning": meaning,
                "items": int(inside.sum()),
                "taken": int(sizes.sum()),
                "contenders": contenders,
            }
        )
    return told

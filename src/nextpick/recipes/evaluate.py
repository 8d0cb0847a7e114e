"""How good a recipe is on data it was not fitted on: the metrics of GetSolutionMetrics.

The whole catalogue is ranked for each held-out user, ties by row; items the user has seen are not left out, as
the answers of a campaign do not leave them out either. Contextual columns are told as they were at the first event of
the truth.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.metrics import (
    CUTOFFS,
    average_rewards,
    personalize_metrics,
    values_by_query,
    weighted_ndcg,
)
from nextpick.data.run import Run
from nextpick.data.split import holdout
from nextpick.models.rows import read_only
from nextpick.models.topk import top_k
from nextpick.recipes.interface import Query, State

# Named with a literal k, as Personalize names them.
WEIGHTED_NDCG = "normalized_discounted_cumulative_gain_with_event_weights_at_k"
AVERAGE_REWARDS = "average_rewards_at_k"
_MOST_USERS = 5000
_LONGEST = max(CUTOFFS)


class Measured(NamedTuple):
    """Metrics, the state they are of where it is one of ``fit``, and by metric what it is a mean of, float64
    [n_users], where that is known."""

    metrics: dict[str, float]
    state: State | None = None
    by_user: dict[str, np.ndarray] = {}  # noqa: RUF012


def evaluate(
    module: ModuleType,
    params: Any,
    data: Data,
    run: Run,
    featurized: Callable[[Data], Data] = lambda known: known,
) -> Measured:
    """Fit on the training users, rank for the test users, and return the eight metrics.

    Where events have weights, or items a reward, there is a metric of that too. ``featurized``: what the recipe is
    fitted on, of the training users; it says nothing of who is asked about, so that these are the same for every
    recipe.
    """
    held = holdout(data, run.rng, _MOST_USERS)
    held = held._replace(train=featurized(held.train))
    fitted = module.fit(held.train, params, run.share(0.0, 0.6))
    state = {name: read_only(array) for name, array in fitted.items()}
    n_items = len(data.items.ids)
    ranked = np.empty((len(held.users), min(_LONGEST, n_items)), np.int32)
    truths: list[dict[int, float]] = []
    weight = data.interactions.weight
    offsets, item = data.interactions.offsets, read_only(data.interactions.item)
    time, kind = data.interactions.time, data.interactions.event_type
    for i, (user, cut) in enumerate(zip(held.users, held.cuts, strict=True)):
        start, end = offsets[user], offsets[user + 1]
        history = item[start : start + cut]
        told = [int(column.codes[start + cut]) for column in data.interactions.contexts]
        own = slice(start, start + cut)
        query = Query(int(user), history, int(history[-1]), context=told, times=time[own], types=kind[own])
        scores = module.score(state, [query])[0]
        ranked[i] = top_k(scores, ranked.shape[1])
        worth = [1.0] * (end - start - cut) if weight is None else weight[start + cut : end].tolist()
        truths.append({})
        for at, value in zip(item[start + cut : end].tolist(), worth, strict=True):
            truths[-1][at] = max(value, truths[-1].get(at, 0.0))
        if i % 256 == 0:
            run.checkpoint(0.6 + 0.4 * i / len(held.users), "measuring on held-out users")
    taken = [truth.keys() for truth in truths]
    found = personalize_metrics(ranked, taken, n_items)
    if weight is not None:
        found[WEIGHTED_NDCG] = round(weighted_ndcg(ranked, truths, _LONGEST), 4)
    if data.reward is not None:
        least = min(float(data.reward.min()), 0.0)
        rewards = average_rewards(ranked, taken, data.reward - least, _LONGEST)
        found[AVERAGE_REWARDS] = round(rewards, 4)
    return Measured({name: found[name] for name in sorted(found)}, state, values_by_query(ranked, taken))

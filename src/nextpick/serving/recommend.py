"""A request from its beginning to its end: history → scores → exploration → the best → the answer's items.

The API's handlers and, later, batch jobs call the same functions. Source of the rules: developer guide,
"Getting recommendations", "Getting a personalized ranking", and the recipe pages.
"""

from math import inf
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from nextpick.errors import InvalidInput
from nextpick.models.rows import read_only
from nextpick.models.topk import rounded, top_k
from nextpick.recipes.interface import Query
from nextpick.serving import explore
from nextpick.serving.live import Tails
from nextpick.serving.versions import CampaignView, Version

DEFAULT_RESULTS, MOST_RESULTS = 25, 500
_DECIMALS = 7


class PredictedItem(Struct, omit_defaults=True, gc=False):
    """One item of an answer, named as the API names it."""

    itemId: str  # noqa: N815
    score: float | None = None
    reason: list[str] | None = None


class Asker(NamedTuple):
    """Where a request's live part comes from: the tails of events, and the time in epoch seconds."""

    tails: Tails
    now: float


def recommend(
    asker: Asker, campaign: CampaignView, version: Version, user: str | None, item: str | None, k: int
) -> list[PredictedItem]:
    """Return the ``k`` best items, best first; raises InvalidInput for what the recipe needs."""
    info = version.info
    if info.type == "PERSONALIZED_RANKING":
        raise InvalidInput(
            f"{campaign.arn} serves {info.name}, which ranks a list; call GetPersonalizedRanking."
        )
    if info.type == "RELATED_ITEMS":
        if item is None:
            raise InvalidInput(f"itemId is required: {campaign.arn} serves {info.name}.")
        query = Query(-1, _NO_HISTORY, version.data.items.ids.row(item))
    else:
        if user is None and info.is_live:
            raise InvalidInput(f"userId is required: {campaign.arn} serves {info.name}.")
        query = ask(asker, campaign, version, user or "")
    scores = version.module.score(version.state, [query])[0]
    if info.explores:
        return _explored(asker, campaign, version, scores, user or "", k)
    ranked = top_k(scores, k)
    return _items(version, ranked, scores, ranked)


def rank(
    asker: Asker, campaign: CampaignView, version: Version, user: str, items: list[str]
) -> list[PredictedItem]:
    """Return the items in the order that suits the user, with probabilities over those the version knows.

    Items it does not know come last, in the order given and without a score; an item given twice counts once.
    """
    if version.info.type != "PERSONALIZED_RANKING":
        raise InvalidInput(f"{campaign.arn} serves {version.info.name}, which cannot rank a list.")
    given = list(dict.fromkeys(items))
    rows = version.data.items.ids.rows(given)
    known = np.flatnonzero(rows >= 0)
    strangers = [PredictedItem(given[i]) for i in np.flatnonzero(rows < 0)]
    if len(known) == 0:
        return strangers
    query = ask(asker, campaign, version, user)
    scores = version.module.score(version.state, [query], rows[known])[0].astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    values = np.round(scores[order] / scores.sum(), _DECIMALS).tolist()
    return [*map(PredictedItem, (given[i] for i in known[order]), values), *strangers]


def ask(asker: Asker, campaign: CampaignView, version: Version, user: str) -> Query:
    """Return what the recipe is asked: the user's row and history, live events of known items included."""
    data = version.data
    row = data.users.ids.row(user)
    trained = slice(0, 0)
    if row >= 0:
        offsets = data.interactions.offsets.data
        trained = slice(offsets[row], offsets[row + 1])
    history = data.interactions.item[trained]
    if not version.info.is_live:
        return Query(row, history)
    tail = asker.tails.of(campaign.group, user, version.positions)
    live = [(event.time, at) for event in tail if (at := data.items.ids.row(event.item)) >= 0]
    if live:
        times = data.interactions.time[trained]
        late_times, late_items = np.array(live, np.int64).T
        is_late = len(times) == 0 or late_times[0] >= times[-1]
        history = np.concatenate((history, late_items.astype(np.int32)))
        if not is_late:  # an event that was sent late goes where a training would put it
            history = history[np.argsort(np.concatenate((times, late_times)), kind="stable")]
        history = read_only(history)
    return Query(row, history)


def _items(version: Version, rows: np.ndarray, scores: np.ndarray, places: np.ndarray) -> list[PredictedItem]:
    """Return the items of rows, with the scores of the rows in ``places`` where the recipe tells scores."""
    ids = version.data.items.ids.ids(rows)
    values = rounded(scores, places, _DECIMALS).tolist()
    if version.info.is_scored:
        return list(map(PredictedItem, ids, values))
    return [PredictedItem(id) for id, value in zip(ids, values, strict=True) if value > -inf]


def _explored(
    asker: Asker, campaign: CampaignView, version: Version, scores: np.ndarray, user: str, k: int
) -> list[PredictedItem]:
    ranked = top_k(scores, k)
    config = campaign.config.get("itemExplorationConfig", {})
    weight = float(config.get("explorationWeight", explore.DEFAULT_WEIGHT))
    if version.info.explores_by_itself:
        weight, config = explore.DEFAULT_WEIGHT, {}
    young = version.young.rows(float(config.get("explorationItemAgeCutOff", explore.DEFAULT_CUT_OFF_DAYS)))
    if weight == 0.0 or len(young) == 0:
        return _items(version, ranked, scores, ranked)
    seed = explore.seed(version.name, user, asker.now)
    rows, explored = explore.explore(scores, ranked, young, weight, seed)
    items = _items(version, rows, scores, ranked)
    if version.info.explores_by_itself:
        for at in np.flatnonzero(explored).tolist():
            items[at].reason = ["Exploration"]
    return items


_NO_HISTORY = read_only(np.zeros(0, np.int32))

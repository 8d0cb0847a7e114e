"""A request from its beginning to its end: history → scores → exploration → the best → the answer's items.

The API's handlers and, later, batch jobs call the same functions. Source of the rules: developer guide,
"Getting recommendations", "Getting a personalized ranking", and the recipe pages.
"""

from collections.abc import Mapping
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
    promotionName: str | None = None  # noqa: N815
    metadata: dict[str, str] | None = None
    reason: list[str] | None = None


class Asker(NamedTuple):
    """Where a request's live part comes from: the tails of events, and the time in epoch seconds."""

    tails: Tails
    now: float


class Promotion(NamedTuple):
    """A rule that places items of its own: percent of the answer, of what is ``allowed`` (bool [n_items])."""

    name: str | None
    percent: int
    allowed: np.ndarray | None


class New(NamedTuple):
    """Items that came after the training: a version of them alone, and which are ``allowed`` (bool [m]), None all."""

    version: Version
    allowed: np.ndarray | None


class Wish(NamedTuple):
    """What is asked for: ``k`` items for a user, or like an item; ``allowed`` bool [n_items], None all; ``new`` items
    that may be tried out too; ``context``: the circumstances the request tells, by column."""

    user: str | None
    item: str | None
    k: int
    allowed: np.ndarray | None = None
    promotion: Promotion | None = None
    new: New | None = None
    context: Mapping[str, str] | None = None


def recommend(asker: Asker, campaign: CampaignView, version: Version, wish: Wish) -> list[PredictedItem]:
    """Return the best items, best first, promoted ones at places of their own; raises InvalidInput for what
    the recipe needs."""
    query = query_of(asker, campaign, version, wish)
    items = answer(asker, campaign, version, scores_of(campaign, version, query), wish)
    if wish.allowed is not None and version.info.explores_by_itself:
        _name_popular(version, query, items)
    return items


def query_of(asker: Asker, campaign: CampaignView, version: Version, wish: Wish) -> Query:
    """Return what the recipe is asked to recommend by; raises as ``recommend``."""
    info = version.info
    if info.type == "PERSONALIZED_RANKING":
        raise InvalidInput(
            f"{campaign.arn} serves {info.name}, which ranks a list; call GetPersonalizedRanking."
        )
    if info.type == "PERSONALIZED_ACTIONS":
        raise InvalidInput(
            f"{campaign.arn} serves {info.name}, which recommends actions; call GetActionRecommendations."
        )
    for member, given in (("userId", wish.user), ("itemId", wish.item)):
        if given is None and member in info.needs:
            raise InvalidInput(f"{member} is required: {campaign.arn} serves {info.name}.")
    if info.type == "RELATED_ITEMS":
        return Query(-1, _NO_HISTORY, version.data.items.ids.row(wish.item or ""))
    return ask(asker, campaign, version, wish.user or "", wish.context)


def scores_of(campaign: CampaignView, version: Version, query: Query) -> np.ndarray:
    """Return what the campaign gives each item for a query, float32 [n_items]."""
    scores = version.module.score(version.state, [query])[0]
    if influence := campaign.config.get("rankingInfluence"):
        return version.module.influenced(version.state, scores, influence)
    return scores


def answer(
    asker: Asker, campaign: CampaignView, version: Version, scores: np.ndarray, wish: Wish
) -> list[PredictedItem]:
    """Return the items of an answer by the scores of all items."""
    if wish.promotion is not None:
        return _promoted(asker, campaign, version, scores, wish, wish.promotion)
    return _best(asker, campaign, version, scores, wish)


def rank(
    asker: Asker,
    campaign: CampaignView,
    version: Version,
    user: str,
    items: list[str],
    allowed: np.ndarray | None = None,
    context: Mapping[str, str] | None = None,
) -> list[PredictedItem]:
    """Return the items in the order that suits the user, with probabilities over those the version knows.

    Items it does not know come last, in the order given and without a score; an item given twice counts once;
    one that is not ``allowed`` (bool [n_items]) is left out, as is an unknown one when there is a filter.
    """
    if version.info.type != "PERSONALIZED_RANKING":
        raise InvalidInput(f"{campaign.arn} serves {version.info.name}, which cannot rank a list.")
    given = list(dict.fromkeys(items))
    rows = version.data.items.ids.rows(given)
    strangers = [PredictedItem(given[i]) for i in np.flatnonzero(rows < 0)] if allowed is None else []
    known = np.flatnonzero(rows >= 0)
    if allowed is not None:
        known = known[allowed[rows[known]]]
    if len(known) == 0:
        return strangers
    query = ask(asker, campaign, version, user, context)
    scores = version.module.score(version.state, [query], rows[known])[0].astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    values = np.round(scores[order] / scores.sum(), _DECIMALS).tolist()
    return [*map(PredictedItem, (given[i] for i in known[order]), values), *strangers]


def ask(
    asker: Asker,
    campaign: CampaignView,
    version: Version,
    user: str,
    context: Mapping[str, str] | None = None,
) -> Query:
    """Return what the recipe is asked: the user's row and history, live events of known items included, and the
    contextual columns that the request tells."""
    told = _told(version, context) if context else ()
    data = version.data
    row = data.users.ids.row(user)
    trained = slice(0, 0)
    if row >= 0:
        offsets = data.interactions.offsets.data
        trained = slice(offsets[row], offsets[row + 1])
    history = data.interactions.item[trained]
    if not version.info.is_live:
        return Query(row, history, context=told)
    times = data.interactions.time[trained]
    types = data.interactions.event_type[trained] if version.info.reads_times else None
    tail = asker.tails.of(campaign.group, user, version.positions)
    live = [(event.time, at, event.type) for event in tail if (at := data.items.ids.row(event.item)) >= 0]
    if live:
        late_times, late_items = np.array([event[:2] for event in live], np.int64).T
        # an event that was sent late goes where a training would put it
        is_late = len(times) and late_times[0] < times[-1]
        order = np.argsort(np.concatenate((times, late_times)), kind="stable") if is_late else None
        history = _joined(history, late_items, order)
        if types is not None:
            names = data.interactions.event_types
            late_types = np.array([names.index(name) if name in names else -1 for *_, name in live])
            times, types = _joined(times, late_times, order), _joined(types, late_types, order)
    if types is None:
        return Query(row, history, context=told)
    return Query(row, history, context=told, times=times, types=types, now=int(asker.now))


def _joined(trained: np.ndarray, late: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Return a column of a history with that of its late events, in ``order``, None as they are."""
    whole = np.concatenate((trained, late.astype(trained.dtype)))
    return read_only(whole if order is None else whole[order])


def _told(version: Version, context: Mapping[str, str]) -> list[int]:
    """Return the codes of a request's context, whose names are the columns' in any letter case; others are ignored."""
    named = {name.upper(): value for name, value in context.items()}
    columns = version.data.interactions.contexts
    return [
        column.code(named[column.name.upper()]) if column.name.upper() in named else -1 for column in columns
    ]


def _items(
    version: Version, rows: np.ndarray, scores: np.ndarray, places: np.ndarray, new: New | None = None
) -> list[PredictedItem]:
    """Return the items of rows, with the scores of the rows in ``places`` where the recipe tells scores; rows beyond
    the version's are of ``new`` items."""
    if new is None:
        ids = version.data.items.ids.ids(rows)
    else:
        n, known, later = len(scores), version.data.items.ids, new.version.data.items.ids
        ids = [known.id(row) if row < n else later.id(row - n) for row in rows.tolist()]
    values = rounded(scores, places, _DECIMALS).tolist()
    if version.info.is_scored:
        return list(map(PredictedItem, ids, values))
    return [PredictedItem(id) for id, value in zip(ids, values, strict=True) if value > -inf]


def _best(
    asker: Asker,
    campaign: CampaignView,
    version: Version,
    scores: np.ndarray,
    wish: Wish,
) -> list[PredictedItem]:
    """Return the ``k`` best of the items that are ``allowed``, young and new ones tried out among them."""
    allowed = wish.allowed
    ranked = top_k(scores, wish.k) if allowed is None else top_k(scores, wish.k, allowed)
    if not version.info.explores:
        return _items(version, ranked, scores, ranked)
    config = campaign.config.get("itemExplorationConfig", {})
    weight = float(config.get("explorationWeight", explore.DEFAULT_WEIGHT))
    if version.info.explores_by_itself:
        weight, config = explore.DEFAULT_WEIGHT, {}
    cut_off = float(config.get("explorationItemAgeCutOff", explore.DEFAULT_CUT_OFF_DAYS))
    if weight == 0.0 or (wish.new is None and not len(version.young.rows(cut_off))):
        return _items(version, ranked, scores, ranked)
    young, worth, chance = _candidates(asker, campaign, version, scores, wish, cut_off)
    if len(young) == 0:
        return _items(version, ranked, scores, ranked)
    seed = explore.seed(version.name, wish.user or "", asker.now)
    rows, explored = explore.explore(ranked, young, worth, chance, weight, seed)
    items = _items(version, rows, scores, ranked, wish.new)
    if version.info.explores_by_itself:
        for at in np.flatnonzero(explored).tolist():
            items[at].reason = ["Exploration"]
    return items


def _name_popular(version: Version, query: Query, items: list[PredictedItem]) -> None:
    """Say of the items that fill an answer which a filter has thinned that they are merely popular.

    Source: developer guide, "Recommendation reasons (User-Personalization-v2)".
    """
    reached = version.module.reached(version.state, query)
    if reached is None:
        return
    chosen = np.isin(version.data.items.ids.rows([item.itemId for item in items]), reached)
    for item, is_chosen in zip(items, chosen.tolist(), strict=True):
        if not is_chosen and item.reason is None:
            item.reason = ["Popular item"]


def _candidates(
    asker: Asker, campaign: CampaignView, version: Version, scores: np.ndarray, wish: Wish, cut_off: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what may be tried out, int32 [m], its scores, and its chances (see ``explore``): young items, then new
    ones as rows beyond the version's, each of which is worth as much as the mean young item."""
    lists = asker.tails.lists(campaign.group)
    young = version.young.rows(cut_off)
    if wish.allowed is not None:
        young = young[wish.allowed[young]]
    worth = scores[young]
    chances = version.young.chances.of(lists, version.positions)
    chance = explore.ALWAYS if chances is None else chances[young]
    if wish.new is not None:
        new = wish.new.version.young.rows(cut_off)
        if wish.new.allowed is not None:
            new = new[wish.new.allowed[new]]
        mean = worth.mean() if len(worth) else scores.mean()
        young = np.concatenate((young, new + np.int32(len(scores))))
        worth = np.concatenate((worth, np.full(len(new), mean, np.float32)))
        of_new = wish.new.version.young.chances.of(lists, version.positions)
        if chances is not None or of_new is not None:
            first = np.ones(len(young) - len(new), np.float32) if chances is None else chance
            then = np.ones(len(new), np.float32) if of_new is None else of_new[new]
            chance = np.concatenate((first, then))
    return read_only(young), read_only(worth), read_only(chance)


def _promoted(
    asker: Asker,
    campaign: CampaignView,
    version: Version,
    scores: np.ndarray,
    wish: Wish,
    promotion: Promotion,
) -> list[PredictedItem]:
    """Return an answer of which a share is promoted: at drawn places, in the order of their scores.

    Source: developer guide, "Promoting items in recommendations".
    """
    everything = np.ones(len(scores), bool)
    eligible = promotion.allowed if promotion.allowed is not None else everything
    chosen = top_k(scores, int(wish.k * promotion.percent / 100 + 0.5), eligible)
    others = (everything if wish.allowed is None else wish.allowed).copy()
    others[chosen] = False
    rest = wish._replace(k=wish.k - len(chosen), allowed=others)
    regular = _best(asker, campaign, version, scores, rest)
    promoted = _items(version, chosen, scores, chosen)
    for item in promoted:
        item.promotionName = promotion.name
        if version.info.explores_by_itself:
            item.reason = ["Promoted item"]
    rng = np.random.default_rng(
        int(explore.seed(version.name, (wish.user or "") + (wish.item or ""), asker.now))
    )
    places = set(rng.choice(len(promoted) + len(regular), len(promoted), replace=False).tolist())
    first, second = iter(promoted), iter(regular)
    return [next(first if place in places else second) for place in range(len(promoted) + len(regular))]


_NO_HISTORY = read_only(np.zeros(0, np.int32))

"""Why this, and why not that: an answer with the reasons of each item, and what became of an item that is asked about.

It asks what the answer itself asks: the same query, scores, filters and exploration. Nothing here is guessed: a change
that would bring an item in was tried, by answering as if it had happened.
"""

from typing import Any, NamedTuple

import numpy as np

from nextpick.data.filters.resolve import EVENTS
from nextpick.data.filters.terms import Filter
from nextpick.data.filters.text import text_of
from nextpick.models.rows import read_only
from nextpick.models.topk import top_k
from nextpick.recipes.interface import Query, Reasons
from nextpick.serving import recommend
from nextpick.serving.filtering import Asked, Filtering
from nextpick.serving.reasons import NORMALISATION, explain
from nextpick.serving.recommend import MOST_RESULTS, Asker, PredictedItem, Wish
from nextpick.serving.versions import CampaignView, Version
from nextpick.serving.views import Group

_TOLD_EVENTS, _TOLD_CHANGES = 5, 3
_ALL_TRIED, _NEAR, _BEFORE, _POPULAR, _OWN = 1000, 200, 200, 100, 50


class Removed(NamedTuple):
    """What keeps an item out before anything is ranked: clauses of the filter, or the use case."""

    clauses: list[str]
    by_use_case: bool


class Case(NamedTuple):
    """A request to explain, with everything that must be read where requests are served; ``explained`` itself may run
    in any thread.

    ``ranked``: the answer where a list is ranked, None where the catalogue is; ``about``: the item that is asked about,
    ``removed``: what keeps it out; ``tries``: whether a further event of the user may change the answer, and whether
    one on that item may.
    """

    asker: Asker
    campaign: CampaignView
    version: Version
    wish: Wish
    query: Query
    ranked: list[PredictedItem] | None
    about: str | None
    removed: Removed
    tries: tuple[bool, bool]


def removed_by(
    filtering: Filtering,
    version: Version,
    group: Group,
    asked: Asked | None,
    use_case: Asked | None,
    item: str,
) -> Removed:
    """Return what keeps an item out. The views that the filters need must be mapped."""
    row = version.data.items.ids.row(item)
    if row < 0:
        return Removed([], False)
    clauses, includes = [], []
    for expression in asked.filter.filter.expressions if asked else ():
        assert asked is not None
        alone = asked._replace(filter=asked.filter._replace(filter=Filter((expression,))))
        mask = filtering.allowed(version, group, alone)
        text = text_of(expression, asked.values)
        if expression.includes and mask is not None:
            includes.append((text, bool(mask[row])))
        elif mask is not None and not mask[row]:
            clauses.append(text)
    if includes and not any(lets for _, lets in includes):
        clauses += [text for text, _ in includes]
    mask = filtering.allowed(version, group, use_case) if use_case else None
    return Removed(clauses, mask is not None and not mask[row])


def tries_of(version: Version, *filters: Filter | None) -> tuple[bool, bool]:
    """Return whether to try events, and events on the item itself: not where a filter would then let others in, and not
    where one removes what the user has events with."""
    if not version.info.is_live or version.info.type == "RELATED_ITEMS":
        return False, False
    about_events = [e for f in filters if f is not None for e in f.expressions if e.dataset in EVENTS]
    return not any(e.includes for e in about_events), not about_events


def explained(case: Case) -> dict[str, Any]:
    """Return the answer with its reasons, as ExplainRecommendations tells it."""
    version, query = case.version, case.query
    scores = recommend.scores_of(case.campaign, version, query)
    allowed, items = case.wish.allowed, case.ranked
    if items is None:
        items = recommend.answer(case.asker, case.campaign, version, scores, case.wish)
    else:
        rows = version.data.items.ids.rows([item.itemId for item in items])
        allowed = np.zeros(len(scores), bool)
        allowed[rows[rows >= 0]] = True
    ids = [item.itemId for item in items]
    rows = version.data.items.ids.rows(ids).tolist()
    best = set(top_k(scores, len(ids), *(() if allowed is None else (allowed,))).tolist())
    about = version.data.items.ids.row(case.about) if case.about is not None else -1
    wanted = [row for row in dict.fromkeys([*rows, about]) if row >= 0]
    found = explain(case.campaign, version, query, wanted)
    told = []
    for place, (id, row) in enumerate(zip(ids, rows, strict=True), 1):
        one: dict[str, Any] = {"itemId": id, "place": place}
        if row < 0:
            one["source"] = "NOT_KNOWN" if case.ranked is not None else "EXPLORATION"
        else:
            reasons = found.by_row[row]
            one |= {"rank": _rank(scores, row, allowed), "score": float(scores[row])}
            said = {name: part for name, part in reasons.sources.items() if name != NORMALISATION}
            one["source"] = max(said, key=said.__getitem__)
            if row not in best:
                one["source"] = "EXPLORATION"
            one["reasons"] = _reasons(version, query, reasons)
        told.append(one)
    answer = {
        "recipe": version.info.name,
        "method": found.method,
        "unit": "LOG_SCORE" if version.info.is_scored else "SCORE",
        "historyLength": len(query.items),
        "items": told,
    }
    if case.about is not None:
        asked = _asked(case, scores, allowed, ids)
        if about >= 0:
            asked["reasons"] = _reasons(version, query, found.by_row[about])
        answer["asked"] = {"itemId": case.about, **asked}
    return answer


def _reasons(version: Version, query: Query, reasons: Reasons) -> dict[str, Any]:
    """Return reasons as they are told: the largest contributions, and the sum of the others."""
    events = reasons.events
    largest = np.argsort(-np.abs(events), kind="stable")[:_TOLD_EVENTS]
    largest = largest[events[largest] != 0]
    ids = version.data.items.ids.ids(query.items[largest])
    return {
        "logit": reasons.logit,
        "rest": float(reasons.rest),
        "events": [
            {"itemId": id, "age": len(events) - place, "contribution": float(events[place])}
            for id, place in zip(ids, largest.tolist(), strict=True)
        ],
        "otherEvents": float(events.sum() - events[largest].sum()),
        "sources": [
            {"name": name, "contribution": float(part)}
            for name, part in sorted(reasons.sources.items(), key=lambda source: -source[1])
        ],
    }


def _rank(scores: np.ndarray, row: int, allowed: np.ndarray | None) -> int:
    """Return the place of a row by score, equal ones by row, among those allowed and itself, from 1."""
    before = scores > scores[row]
    before[:row] |= scores[:row] == scores[row]
    if allowed is not None:
        before &= allowed
    return int(np.count_nonzero(before)) + 1


def _asked(case: Case, scores: np.ndarray, allowed: np.ndarray | None, ids: list[str]) -> dict[str, Any]:
    """Return what became of the item that is asked about."""
    version, item = case.version, case.about or ""
    row = version.data.items.ids.row(item)
    if row < 0:
        return _unknown(case, item, ids)
    k = len(ids) if case.ranked is not None else case.wish.k
    rank, score = _rank(scores, row, allowed), float(scores[row])
    told: dict[str, Any] = {"rank": rank, "score": score}
    ranked = top_k(scores, k, *(() if allowed is None else (allowed,)))
    if len(ranked):
        told["lastScore"] = float(scores[ranked[-1]])
    if item in ids:
        place = ids.index(item) + 1
        return {"outcome": "RECOMMENDED", "message": f"It is recommended, at place {place}.", **told}
    if case.removed.by_use_case:
        message = f"The use case leaves out what the user has taken; else its rank would be {rank}."
        return {"outcome": "EXCLUDED_BY_USE_CASE", "message": message, **told}
    if case.removed.clauses:
        message = f"The filter removes it: {'; '.join(case.removed.clauses)}. Else its rank would be {rank}."
        return {"outcome": "FILTERED", "message": message, "clauses": case.removed.clauses, **told}
    if case.ranked is not None:
        message = f"It is not in the list that was to be ranked; in it, its rank would be {rank}."
        return {"outcome": "NOT_IN_LIST", "message": message, **told}
    if row == case.query.item:
        return {"outcome": "OUTRANKED", "message": "It is the item that others are related to.", **told}
    told |= _changes(case, row)
    if rank <= k:
        message = f"Its rank is {rank}, but items that are tried out took places up to the {k}th."
        return {"outcome": "DISPLACED_BY_EXPLORATION", "message": message, **told}
    message = f"Its rank is {rank}; {k} are recommended."
    return {"outcome": "OUTRANKED", "message": message, **told}


def _unknown(case: Case, item: str, ids: list[str]) -> dict[str, Any]:
    new = case.wish.new
    if new is None or new.version.data.items.ids.row(item) < 0:
        message = "The version knows no such item: it had neither record nor interaction when it was trained."
        return {"outcome": "UNKNOWN_ITEM", "message": message}
    if item in ids:
        message = f"It came after the training and is tried out, at place {ids.index(item) + 1}."
        return {"outcome": "RECOMMENDED", "message": message}
    message = "It came after the training: it can be tried out, and was not drawn this hour; a training will know it."
    if new.allowed is not None and not new.allowed[new.version.data.items.ids.row(item)]:
        message = "It came after the training, and the filter does not let it be tried out."
    return {"outcome": "NEW_ITEM", "message": message}


def _changes(case: Case, row: int) -> dict[str, Any]:
    """Return what would bring an item in: more results, or one further event of the user, each tried."""
    told: dict[str, Any] = {}
    more = _answer(case, case.query, case.wish._replace(k=MOST_RESULTS))
    if case.about in more:
        told["neededResults"] = more.index(case.about) + 1
    may, may_itself = case.tries
    if not may:
        return told
    candidates = [at for at in _candidates(case, row) if may_itself or at != row]
    found: list[tuple[int, int]] = []
    for at in candidates:
        scores = recommend.scores_of(case.campaign, case.version, case.query.after(at))
        rank = _rank(scores, row, case.wish.allowed)
        if rank <= case.wish.k:
            found.append((rank, at))
    changes = []
    for rank, at in sorted(found):
        if case.about in _answer(case, case.query.after(at), case.wish):
            changes.append({"itemId": case.version.data.items.ids.id(at), "rank": rank})
        if len(changes) == _TOLD_CHANGES:
            break
    return {**told, "changes": changes, "eventsTried": len(candidates)}


def _answer(case: Case, query: Query, wish: Wish) -> list[str]:
    scores = recommend.scores_of(case.campaign, case.version, query)
    return [i.itemId for i in recommend.answer(case.asker, case.campaign, case.version, scores, wish)]


def _candidates(case: Case, row: int) -> list[int]:
    """Return the items whose events are tried: all of a small catalogue; of a large one those that came right before
    the item in others' histories, those that the model puts beside it, popular ones, and the user's own."""
    version = case.version
    data, n_items = version.data, len(version.data.items.ids)
    if n_items <= _ALL_TRIED:
        return list(range(n_items))
    item = np.asarray(data.interactions.item)
    places = np.flatnonzero(item == row)
    places = places[~np.isin(places, data.interactions.offsets)]  # the first of a user has none before
    before = np.bincount(item[places - 1], minlength=n_items).astype(np.float32)
    alone = Query(-1, read_only(np.array([row], np.int32)))
    beside = recommend.scores_of(case.campaign, version, alone)
    popular = version.state["item_count"].astype(np.float32)
    near = [top_k(read_only(s), k) for s, k in ((before, _BEFORE), (beside, _NEAR), (popular, _POPULAR))]
    own = case.query.items[::-1][:_OWN]
    return list(dict.fromkeys([row, *np.concatenate((*near, own)).tolist()]))

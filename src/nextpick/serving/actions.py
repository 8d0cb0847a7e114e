"""Actions for a user: history → probabilities → what may not be recommended now → actions tried out → the best.

Source: developer guide, "Next-Best-Action recipe", "Getting action recommendations".
"""

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from nextpick.data.view import Record
from nextpick.errors import InvalidInput
from nextpick.recipes.aws_next_best_action import outcome_of
from nextpick.recipes.interface import Query
from nextpick.serving import explore
from nextpick.serving.recommend import Asker, New
from nextpick.serving.versions import CampaignView, Version

DEFAULT_RESULTS, MOST_RESULTS = 5, 100
_DAY_S = 86_400.0
_DECIMALS = 7


class PredictedAction(Struct, gc=False):
    """One action of an answer, named as the API names it."""

    actionId: str  # noqa: N815
    score: float


def recommend_actions(
    asker: Asker,
    campaign: CampaignView,
    version: Version,
    stream: str,
    user: str,
    k: int,
    allowed: np.ndarray | None,
    new: New | None,
    record: Callable[[str], Record],
) -> list[PredictedAction]:
    """Return at most ``k`` actions, likeliest first, those of equal probability by their VALUE.

    stream: under which ARN the log has interactions with actions;  allowed: bool [n_actions], None all;  new: actions
    that may be tried out too;  record: returns what is now known of an action. Those that have expired, and those the
    user did something with within their REPEAT_FREQUENCY, are left out. Raises InvalidInput for a campaign that
    recommends no actions.
    """
    if version.info.type != "PERSONALIZED_ACTIONS":
        raise InvalidInput(f"{campaign.arn} serves {version.info.name}, which recommends no actions.")
    query, times = _ask(asker, version, stream, user)
    scores = version.module.score(version.state, [query])[0]
    may = np.ones(len(scores), bool) if allowed is None else allowed
    known, ids = version.state["is_known"], version.data.items.ids
    tried = ids.ids(np.flatnonzero(may & ~known).astype(np.int32))
    if new is not None:
        rows = np.arange(len(new.version.data.items.ids), dtype=np.int32)
        tried += new.version.data.items.ids.ids(rows if new.allowed is None else rows[new.allowed])
    order = np.lexsort((-version.state["value"], -scores))
    ranked = ids.ids(order[(may & known)[order]].astype(np.int32))
    weight = float(
        campaign.config.get("itemExplorationConfig", {}).get("explorationWeight", explore.DEFAULT_WEIGHT)
    )
    latest: dict[str, int] = {}
    for id, time in zip(ids.ids(query.items), times.tolist(), strict=True):
        latest[id] = max(time, latest.get(id, time))
    for event in asker.tails.of(stream, user, version.positions):  # with new actions too
        latest[event.item] = max(event.time, latest.get(event.item, event.time))
    found: list[PredictedAction] = []
    for id in _with_tried(ranked, tried, weight, explore.seed(version.name, user, asker.now)):
        if _is_due(record(id), latest.get(id), asker.now):
            row = ids.row(id)
            found.append(PredictedAction(id, round(float(scores[row]), _DECIMALS) if row >= 0 else 0.0))
            if len(found) == k:
                break
    return found


def _ask(asker: Asker, version: Version, stream: str, user: str) -> tuple[Query, np.ndarray]:
    """Return what the recipe is asked, and the times of the history [h]."""
    data = version.data
    row = data.users.ids.row(user)
    own = slice(0, 0) if row < 0 else slice(*data.interactions.offsets[row : row + 2].tolist())
    codes = np.array([outcome_of(name) for name in data.interactions.event_types] + [outcome_of("")], np.int8)
    tail = asker.tails.of(stream, user, version.positions)
    live = [(at, outcome_of(e.type), e.time) for e in tail if (at := data.items.ids.row(e.item)) >= 0]
    late = np.array(live, np.int64).reshape(-1, 3).T
    items = np.concatenate((data.interactions.item[own], late[0].astype(np.int32)))
    outcomes = np.concatenate((codes[data.interactions.event_type[own]], late[1].astype(np.int8)))
    return Query(row, items, outcomes=outcomes), np.concatenate((data.interactions.time[own], late[2]))


def _is_due(record: Record, latest: int | None, now: float) -> bool:
    """Tell whether an action may be recommended now; one without dates always may."""
    expires = [record.get(name) for name in ("EXPIRATION_TIMESTAMP", "ACTION_EXPIRATION_TIMESTAMP")]
    if any(isinstance(time, float) and time <= now for time in expires):
        return False
    repeat = record.get("REPEAT_FREQUENCY")
    return latest is None or not isinstance(repeat, float) or latest + repeat * _DAY_S <= now


def _with_tried(ranked: list[str], tried: list[str], weight: float, seed: np.uint64) -> Iterator[str]:
    """Yield ranked actions among which those that little is known of enter by chance, and fill what is left."""
    rng = np.random.default_rng(int(seed))
    drawn = iter([tried[at] for at in rng.permutation(len(tried)).tolist()] if weight > 0 else [])
    for place, id in enumerate(ranked):
        if place and rng.random() < weight / 2:
            yield from (extra for extra in (next(drawn, None),) if extra is not None)
        yield id
    yield from drawn

"""Actions for a user: history → probabilities → what may not be recommended now → actions tried out → the best.

Source: developer guide, "Next-Best-Action recipe", "Getting action recommendations".
"""

import numpy as np
from msgspec import Struct

from nextpick.errors import InvalidInput
from nextpick.recipes.aws_next_best_action import outcome_of
from nextpick.recipes.interface import Query
from nextpick.serving import explore
from nextpick.serving.recommend import Asker
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
) -> list[PredictedAction]:
    """Return at most ``k`` actions, likeliest first, those of equal probability by their VALUE.

    stream: under which ARN the log has interactions with actions;  allowed: bool [n_actions], None all. Actions that
    have expired, and those the user did something with within their REPEAT_FREQUENCY, are left out. Raises
    InvalidInput for a campaign that recommends no actions.
    """
    if version.info.type != "PERSONALIZED_ACTIONS":
        raise InvalidInput(f"{campaign.arn} serves {version.info.name}, which recommends no actions.")
    query, times = _ask(asker, version, stream, user)
    scores = version.module.score(version.state, [query])[0]
    may = _due(version, query, times, asker.now)
    if allowed is not None:
        may &= allowed
    known = version.state["is_known"]
    tried = np.flatnonzero(may & ~known).astype(np.int32)
    order = np.lexsort((-version.state["value"], -scores))
    ranked = order[(may & known)[order]].astype(np.int32)
    weight = float(
        campaign.config.get("itemExplorationConfig", {}).get("explorationWeight", explore.DEFAULT_WEIGHT)
    )
    rows = _with_tried(ranked, tried, k, weight, explore.seed(version.name, user, asker.now))
    ids = version.data.items.ids.ids(rows)
    values = np.round(scores[rows].astype(np.float64), _DECIMALS).tolist()
    return list(map(PredictedAction, ids, values))


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


def _due(version: Version, query: Query, times: np.ndarray, now: float) -> np.ndarray:
    """Return which actions may be recommended now, bool [n_actions]; what has no such date always may."""
    expires, repeat = version.state["expires"], version.state["repeat_days"]
    latest = np.full(len(expires), -np.inf)
    np.maximum.at(latest, query.items, times)
    return ~(expires <= now) & ~(latest + np.nan_to_num(repeat) * _DAY_S > now)


def _with_tried(ranked: np.ndarray, tried: np.ndarray, k: int, weight: float, seed: np.uint64) -> np.ndarray:
    """Return ranked actions among which those that little is known of enter by chance, and fill what is left."""
    rng = np.random.default_rng(int(seed))
    drawn = iter(rng.permutation(tried).tolist()) if weight > 0 else iter(())
    rows: list[int] = []
    for row in ranked.tolist():
        if rows and rng.random() < weight / 2:
            rows += [extra for extra in (next(drawn, None),) if extra is not None]
        rows.append(row)
    return np.array([*rows, *drawn][:k], np.int32)

"""What each event of a history adds to the scores of some items: as the recipe says it, or by scoring without it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nextpick.recipes.interface import Query, Reasons
from nextpick.serving.recommend import scores_of
from nextpick.serving.versions import CampaignView, Version

MODEL, LEAVE_ONE_OUT = "MODEL", "LEAVE_ONE_OUT"
NORMALISATION = "normalisation"  # the source of what makes logits of a model logarithms of scores
MOST_EVENTS = 100  # the newest events are left out one by one; older ones are in the rest

_TINY = float(np.finfo(np.float32).tiny)


class Explained(NamedTuple):
    """Reasons by row of item, and by which method they were found."""

    method: str
    by_row: dict[int, Reasons]


def logits(version: Version, scores: np.ndarray) -> np.ndarray:
    """Return the logarithms of scores that are probabilities, other scores as they are: float64."""
    plain = scores.astype(np.float64)
    return np.log(np.maximum(plain, _TINY)) if version.info.is_scored else plain


def explain(campaign: CampaignView, version: Version, query: Query, rows: Sequence[int]) -> Explained:
    """Return why items have their scores.

    A recipe with ``reasons`` says it exactly, up to what all items share (``NORMALISATION``). Else an event's
    contribution is the difference that it makes: the logit with it less the logit without it, by scoring again; what
    events do only together is in the rest.
    """
    found = getattr(version.module, "reasons", None)
    at = np.array(rows, np.int64)
    whole = logits(version, scores_of(campaign, version, query)[at])
    if found is not None and not campaign.config.get("rankingInfluence"):
        return Explained(
            MODEL,
            {
                row: _scaled(found(version.state, query, row), own)
                for row, own in zip(rows, whole.tolist(), strict=True)
            },
        )
    n = len(query.items)
    differences = np.zeros((n, len(at)))
    for place in range(max(0, n - MOST_EVENTS), n):
        scores = scores_of(campaign, version, query.without(place))
        differences[place] = whole - logits(version, scores[at])
    by_row = {}
    for i, row in enumerate(rows):
        events = differences[:, i]
        rest = float(whole[i] - events.sum())
        by_row[row] = Reasons(events, rest, {version.info.name: float(whole[i])})
    return Explained(LEAVE_ONE_OUT, by_row)


def _scaled(reasons: Reasons, own: float) -> Reasons:
    """Return what a model says with its sum brought to ``own``: all items have the same difference, but where context
    or an objective tilts scores."""
    difference = own - (float(reasons.events.sum()) + reasons.rest)
    return Reasons(reasons.events, reasons.rest + difference, {**reasons.sources, NORMALISATION: difference})

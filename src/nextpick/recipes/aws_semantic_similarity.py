"""aws-semantic-similarity: items whose texts speak of the same things as the given item's.

Needs:    ITEMS with a field of ``itemName`` and a ``textual`` one; INTERACTIONS only for popularity.
Answers:  GetRecommendations(itemId); without scores. An unknown item gets what is popular. A campaign's
          rankingInfluence may move popular and fresh items up.
Sources:  data/terms.py, models/lsa.py (Deerwester et al. 1990); developer guide, "Semantic-Similarity recipe".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import lsa, popularity
from nextpick.models.topk import top_k
from nextpick.recipes.interface import Query, State

NAME = "aws-semantic-similarity"
_HALF_FRESH_S = 30 * 86400.0
_MEASURED, _LONGEST = 1000, 25


@dataclass(frozen=True, slots=True)
class Params:
    """It has no hyperparameters."""


def fit(data: Data, params: Params, run: Run) -> State:
    """Return ``points`` int8 [n_items, d], and ``popularity`` and ``freshness`` float32 [n_items] from 0 to 1."""
    n_items = len(data.items.ids)
    run.checkpoint(0.0, "reading the items' texts")
    terms = data.terms
    points = np.zeros((n_items, 1), np.int8) if terms is None else lsa.points(terms, run.rng)
    run.checkpoint(0.9, "counting interactions")
    counts = popularity.counts(data.interactions.item, n_items)
    created = np.asarray(data.items.created, np.float64)
    age = np.maximum(created.max(initial=0.0) - created, 0.0)
    return {
        "points": points,
        "popularity": (np.log1p(counts) / max(np.log1p(counts.max(initial=0)), 1e-9)).astype(np.float32),
        "freshness": (0.5 ** (age / _HALF_FRESH_S)).astype(np.float32),
        "item_count": counts,
    }


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return cosines with each query's item, float32; -inf for the item itself."""
    out = np.tile(state["popularity"] - 2.0, (len(queries), 1))  # below every cosine
    for row, query in zip(out, queries, strict=True):
        if query.item >= 0:
            lsa.cosines(state["points"], query.item, row)
            row[query.item] = -np.inf
    return out if items is None else out[:, items]


def influenced(state: State, scores: np.ndarray, influence: Mapping[str, float]) -> np.ndarray:
    """Return scores [n_items] in which popularity and freshness count as much as a rankingInfluence says.

    At 0 only the text counts, at 1 a factor alone; s = (1 - p)(1 - f) text + p popularity + f freshness.
    """
    popular, fresh = (float(influence.get(name, 0.0)) for name in ("POPULARITY", "FRESHNESS"))
    mixed = (
        (1 - popular) * (1 - fresh) * scores if popular < 1 > fresh else np.where(scores > -np.inf, 0, scores)
    )
    mixed = mixed + popular * state["popularity"] + fresh * state["freshness"]
    return mixed.astype(np.float32)


def evaluate(params: Params, data: Data, run: Run) -> dict[str, float]:
    """Return what the 25 items most like each of up to 1000 are, on the mean: how near (``similarity``), popular and
    fresh, from 0 to 1; and which share of the items is in any of the lists (``coverage``)."""
    state, n_items = fit(data, params, run), len(data.items.ids)
    asked = np.flatnonzero(state["points"].any(axis=1))
    asked = asked[:: max(len(asked) // _MEASURED, 1)][:_MEASURED]
    none = np.zeros(0, np.int32)
    means, seen = [], np.zeros(n_items, bool)
    for item in asked.tolist():
        scores = score(state, [Query(-1, none, item)])[0]
        ranked = top_k(scores, min(_LONGEST, n_items))
        ranked = ranked[scores[ranked] > -np.inf]
        if len(ranked):
            near = np.clip(scores[ranked], 0, 1).mean()
            means.append((state["freshness"][ranked].mean(), state["popularity"][ranked].mean(), near))
            seen[ranked] = True
    found = np.mean(means, axis=0) if means else np.zeros(3)
    named = dict(zip(("freshness", "popularity", "similarity"), found.tolist(), strict=True))
    return {name: round(value, 4) for name, value in {"coverage": seen.mean().item(), **named}.items()}

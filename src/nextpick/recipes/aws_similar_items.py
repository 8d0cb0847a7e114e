"""aws-similar-items: items like the given one, by the users they share and the metadata they share.

Items with few interactions are likened by their metadata, those with many by their users:

    score(b | a) = t_a u(a, b) + (1 - t_a + t_a (1 - t_b) w) m(a, b)         t_i = n_i / (n_i + 5)

u by users and m by metadata, both brought to 1 at most; n: interactions. m is weighed by (users of b + mean)^((1-d)/2):
of items alike by metadata the more popular ones are also the likelier to share users; d: popularity_discount_factor.
Beside a known item a new one b is worth what items alike by metadata are worth by users, u ~ w m by least squares.

Needs:    INTERACTIONS and, for the metadata, ITEMS.
Answers:  GetRecommendations(itemId); without scores. An unknown item gets what is popular.
Sources:  models/cosine.py, models/attributes.py; developer guide, "Similar-Items recipe".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import attributes, cosine, popularity
from nextpick.recipes.interface import Query, State, tunable

NAME = "aws-similar-items"
_ROW_LIMIT, _LONGEST_HISTORY = 500, 300
_POPULAR = 0.5  # power of users; .25 to 1 are as good on items hidden for it
_KNOWN, _MOST_ASKED = 20, 300  # interactions of a known item; known items that w is learnt from
_HALF_TRUST = 5.0  # interactions of an item at which users and metadata count alike


@dataclass(frozen=True, slots=True)
class Params:
    item_id_hidden_dim: int = tunable(100, 30, 200, "accepted; this engine has no hidden layer", hpo=True)
    item_metadata_hidden_dim: int = tunable(
        100, 30, 200, "accepted; this engine has no hidden layer", hpo=True
    )
    popularity_discount_factor: float = tunable(
        0.0, 0.0, 1.0, "0 keeps popular items, 1 is full cosine", hpo=True
    )


def fit(data: Data, params: Params, run: Run) -> State:
    """Return rows of likeness by users, the items' attributes with their rarity, ``users``, how much their number
    counts (``popular`` float32 [n_items]), ``trust`` float32 [n_items], the t, and ``worth`` float32 [1], the w."""
    run.checkpoint(0.0, "counting shared users")
    interactions, n_items = data.interactions, len(data.items.ids)
    rows = cosine.likeness(
        interactions.offsets,
        interactions.item,
        n_items,
        discount=params.popularity_discount_factor,
        step_decay=cosine.STEP_DECAY,
        least_together=1,
        longest_history=_LONGEST_HISTORY,
        row_limit=_ROW_LIMIT,
    )
    run.checkpoint(0.7, "reading metadata")
    held = attributes.attributes(data.items)
    holders = np.bincount(held.codes, minlength=held.n)
    order = np.argsort(held.codes, kind="stable")
    holder_offsets = np.zeros(held.n + 1, np.int64)
    np.cumsum(holders, out=holder_offsets[1:])
    item_of = np.repeat(np.arange(n_items, dtype=np.int32), np.diff(held.offsets))
    users = popularity.distinct_users(interactions.offsets, interactions.item, n_items)
    known = (users + users.mean()) / max(users.max() + users.mean(), 1.0)
    counts = popularity.counts(interactions.item, n_items)
    state = {
        "row_offsets": rows.offsets,
        "row_items": rows.items,
        "row_weights": rows.weights,
        "held": held.offsets,
        "codes": held.codes,
        "rarity": np.log((n_items + 1) / (holders + 1)).astype(np.float32),
        "holder_offsets": holder_offsets,
        "holders": item_of[order],
        "users": users.astype(np.float32),
        "popular": (known ** (_POPULAR * (1.0 - params.popularity_discount_factor))).astype(np.float32),
        "item_count": counts,
        "trust": (counts / (counts + _HALF_TRUST)).astype(np.float32),
    }
    run.checkpoint(0.9, "weighing metadata")
    return {**state, "worth": np.array([_worth(state, run.rng)], np.float32)}


def _worth(state: State, rng: np.random.Generator) -> float:
    """Return the w of known items."""
    known = np.flatnonzero(state["item_count"] >= _KNOWN)
    both = squares = 0.0
    for a in rng.choice(known, min(len(known), _MOST_ASKED), replace=False).tolist():
        u, m = _by_users(state, a)[known], _by_metadata(state, a)[known]
        both, squares = both + float(u @ m), squares + float(m @ m)
    return both / squares if squares else 0.0


def _by_users(state: State, item: int) -> np.ndarray:
    """Return u of all items, float32 [n_items]."""
    own = slice(*state["row_offsets"][item : item + 2].tolist())
    out = np.zeros(len(state["users"]), np.float32)
    weights = state["row_weights"][own]
    out[state["row_items"][own]] = weights / (weights.max(initial=0.0) or 1.0)
    return out


def _by_metadata(state: State, item: int) -> np.ndarray:
    """Return m of all items, float32 [n_items]."""
    out = np.zeros(len(state["users"]), np.float32)
    attributes.likeness(item, state["held"], state["codes"], state["rarity"], state["holder_offsets"],
                        state["holders"], out)  # fmt: skip
    out *= state["popular"]
    return out / (out.max() or np.float32(1.0))


def score(state: State, queries: Sequence[Query], items: np.ndarray | None = None) -> np.ndarray:
    """Return likeness to each query's item, float32; -inf for the item itself."""
    users, trust = state["users"], state["trust"]
    fallback = (users / (users.max(initial=1.0) + 1.0) - 1.0).astype(np.float32)
    out = np.tile(fallback, (len(queries), 1))
    for row, query in zip(out, queries, strict=True):
        if query.item < 0:
            continue
        a = query.item
        alike = _by_metadata(state, a)
        alike *= 1.0 - trust[a] + trust[a] * (1.0 - trust) * state["worth"][0]
        alike += trust[a] * _by_users(state, a)
        np.copyto(row, alike, where=alike > 0)
        row[query.item] = -np.inf
    return out if items is None else out[:, items]

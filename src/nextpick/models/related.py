"""Related items by the users they share and the metadata they share.

Items with few interactions are likened by their metadata, those with many by their users:

    score(b | a) = u(a, b) + ((1 - t_a) / t_a + (1 - t_b) w) m(a, b)         t_i = n_i / (n_i + h)

and m(a, b) alone where a shares users with no item. u is by users, less sure where few say it; m is by metadata,
brought to the largest u of a at most. n: interactions; h: those at which users and metadata count alike. m is weighed
by (users of b + mean)^((1-d)/2): of items alike by metadata the more popular ones are also the likelier to share users;
d: the discount of u. Beside a known item a new one b is worth what items alike by metadata are worth by users, u ~ w m
by least squares. Where neither says anything, and for an unknown item, items are in order of users. Sources:
models/cosine.py, models/attributes.py.
"""

from collections.abc import Sequence

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import attributes, cosine, popularity

_ROW_LIMIT, _LONGEST_HISTORY = 500, 300
_DOUBT = 2.0  # users
_HALF_TRUST = 2.0  # the h
_POPULAR = 0.5  # power of users; .25 to 1 are as good on items hidden for it
_KNOWN, _MOST_ASKED = 20, 300  # interactions of a known item; known items that w is learnt from

State = dict[str, np.ndarray]


def fit(data: Data, run: Run, *, discount: float, least_together: int) -> State:
    """Return rows of likeness by users (``row_offsets`` int64 [n_items+1], ``row_items`` int32, ``row_weights``
    float32), the items' attributes with their rarity, ``users``, how much their number counts (``popular`` float32
    [n_items]), ``item_count``, ``trust`` float32 [n_items], the t, and ``worth`` float32 [1], the w.

    discount: 0 keeps the popular, 1 is the cosine;  least_together: pairs with fewer users in common share none.
    """
    run.checkpoint(0.0, "counting shared users")
    interactions, n_items = data.interactions, len(data.items.ids)
    rows = cosine.likeness(
        interactions.offsets,
        interactions.item,
        n_items,
        discount=discount,
        step_decay=cosine.STEP_DECAY,
        least_together=least_together,
        longest_history=_LONGEST_HISTORY,
        row_limit=_ROW_LIMIT,
        doubt=_DOUBT,
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
        "popular": (known ** (_POPULAR * (1.0 - discount))).astype(np.float32),
        "item_count": counts,
        "trust": (counts / (counts + _HALF_TRUST)).astype(np.float32),
    }
    run.checkpoint(0.9, "weighing metadata")
    return {**state, "worth": np.array([_worth(state, run.rng)], np.float32)}


def scores(state: State, asked: Sequence[int], items: np.ndarray | None = None) -> np.ndarray:
    """Return the likeness of all items, or of the rows ``items``, to each of the items ``asked`` (rows, or -1), float32
    [n_asked, n]: the likest first, then below 0 by users; -inf for the item itself."""
    users = state["users"]
    fallback = (users / (users.max(initial=1.0) + 1.0) - 1.0).astype(np.float32)
    out = np.tile(fallback, (len(asked), 1))
    for row, item in zip(out, asked, strict=True):
        if item >= 0:
            alike = _likeness(state, item)
            np.copyto(row, alike, where=alike > 0)
            row[item] = -np.inf
    return out if items is None else out[:, items]


def _likeness(state: State, item: int) -> np.ndarray:
    """Return the score of all items, float32 [n_items], 0 for those that are not alike."""
    by_users, by_metadata = _by_users(state, item), _by_metadata(state, item)
    most = by_users.max()
    if most == 0:
        return by_metadata
    trust = state["trust"]
    by_metadata *= most * ((1.0 - trust[item]) / trust[item] + (1.0 - trust) * state["worth"][0])
    return by_users + by_metadata


def _worth(state: State, rng: np.random.Generator) -> float:
    """Return the w of known items."""
    known = np.flatnonzero(state["item_count"] >= _KNOWN)
    both = squares = 0.0
    for a in rng.choice(known, min(len(known), _MOST_ASKED), replace=False).tolist():
        u, m = _by_users(state, a), _by_metadata(state, a)[known]
        u = u[known] / (u.max() or np.float32(1.0))
        both, squares = both + float(u @ m), squares + float(m @ m)
    return both / squares if squares else 0.0


def _by_users(state: State, item: int) -> np.ndarray:
    """Return u of all items, float32 [n_items]."""
    own = slice(*state["row_offsets"][item : item + 2].tolist())
    out = np.zeros(len(state["users"]), np.float32)
    out[state["row_items"][own]] = state["row_weights"][own]
    return out


def _by_metadata(state: State, item: int) -> np.ndarray:
    """Return m of all items, float32 [n_items], 1 at most."""
    out = np.zeros(len(state["users"]), np.float32)
    attributes.likeness(item, state["held"], state["codes"], state["rarity"], state["holder_offsets"],
                        state["holders"], out)  # fmt: skip
    out *= state["popular"]
    return out / (out.max() or np.float32(1.0))

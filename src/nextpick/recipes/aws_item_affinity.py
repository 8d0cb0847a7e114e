"""aws-item-affinity: the users most drawn to an item.

    affinity = length ^ power * p(item | user)
    p        = (trust * evidence * share + popularity) / (trust * evidence + 1)
    share    = (1 - own) * likeness + own * taken

Likeness is a share of a user's taste: of all items' likeness to the history how much is this item's; taken: of all
that was taken how much was this; the newest counts most. Undivided, both are large for whoever took much, and those who
take what few do are not found. Evidence: how many items the history is worth; the fewer, the more the share is that of
everyone. How fast the past fades, whether having taken the item counts for or against taking it next, trust and power
are chosen on interactions held out, by hits and recall; that activity alone ranks (trust 0) is one of the choices, and
what finds less than it is not chosen.

Needs:    INTERACTIONS (USER_ID, ITEM_ID, TIMESTAMP).
Answers:  batch segment jobs, ``itemId``.
Sources:  models/affinity.py, models/cosine.py; developer guide, "Item-Affinity recipe". The shrunken share: Zhai and
          Lafferty 2004, "A study of smoothing methods for language models", Dirichlet priors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.models import affinity, cosine, popularity
from nextpick.models.affinity import Histories
from nextpick.models.rows import Rows
from nextpick.models.topk import top_k
from nextpick.recipes import segments
from nextpick.recipes.interface import State, tunable

NAME = "aws-item-affinity"
_ROW_LIMIT = 500
_LONGEST, _REMEMBERED = 500, 2000  # of a user's newest: what likeness is counted on, what is summed
_LEAST_JUDGED = 50  # users, where a per cent of them is fewer, whose order decides: so few are coarse
_TRIED = 200  # held-out queries, at most
_MOST_TRIED_ON = 1_000_000  # interactions, of users drawn

Targets = Callable[[Data], Sequence[np.ndarray]]


class Choice(NamedTuple):
    """How affinity is made; ``own``: how much what was taken counts, ``LAST``: who took any of it comes after all
    who did not and are drawn to it, but before those in whose history nothing is like it."""

    own: float
    decay: float
    trust: float
    power: float


LAST = -1.0
ACTIVITY = Choice(0.0, 1.0, 0.0, 1.0)  # the users that take most, whatever the item
DEFAULT = Choice(0.0, 1.0, 1.0, 1.0)  # where nothing is held out to choose by
_OWN, _DECAY, _TRUST, _POWER = (
    (LAST, 0.0, 0.5),
    (1.0, 0.98, 0.95, 0.9, 0.8),
    (1.0, 0.1),
    (0.25, 0.5, 0.75, 1.0),
)


@dataclass(frozen=True, slots=True)
class Params:
    hidden_dimension: int = tunable(149, 32, 256, "accepted; this engine has no hidden layer", hpo=True)


def fit(data: Data, params: Params, run: Run) -> State:
    """Return ``row_…`` likeness of items, ``history_…``, ``length`` and ``reach`` of users, and the ``choice``."""
    return fit_for(targets, data, run)


def fit_for(targets: Targets, data: Data, run: Run) -> State:
    """Return the state, ``choice`` chosen on what ``targets`` returns: rows of items, int32, a query each."""
    train, test = segments.split(_some_users(data, run.rng))
    run.checkpoint(0.0, "counting shared users")
    queries = segments.some(targets(data), test, _TRIED, run.rng)
    tables = _tables(train)
    run.checkpoint(0.3, "choosing how the past counts")
    found = held_out(tables, queries, segments.takers(test, queries), run)
    choice = best(found)
    run.checkpoint(0.7, "counting shared users")
    tables = _tables(data)
    return {**tables, "choice": np.array(choice, np.float64), "reach": _reach(tables, choice.decay)}


def _some_users(data: Data, rng: np.random.Generator) -> Data:
    """Return the data with the interactions of users drawn, so many that there are at most ``_MOST_TRIED_ON``."""
    lengths = np.diff(data.interactions.offsets)
    share = _MOST_TRIED_ON / max(1, int(lengths.sum()))
    if share >= 1.0:
        return data
    return data._replace(
        interactions=data.interactions.only(np.repeat(rng.random(len(lengths)) < share, lengths))
    )


def rank_users(state: State, items: np.ndarray) -> np.ndarray:
    """Return each user's affinity to ``items`` (rows, int32 [m]), float32 [n_users]."""
    choice = Choice(*state["choice"].tolist())
    past = _Past(choice.decay, affinity.evidence(_histories(state), choice.decay), state["reach"])
    power = _power(state["length"], choice.power)
    return _affinity(_drawn(state, _asked(state, items), past), choice, power)


def forget(state: State, users: np.ndarray) -> State:
    """Return the state with nothing of some users (rows)."""
    kept = affinity.without(_histories(state), users)
    columns = {name: state[name].copy() for name in ("length", "reach") if name in state}
    for column in columns.values():
        column[users] = 0
    return {**state, **{f"history_{name}": array for name, array in kept._asdict().items()}, **columns}


def targets(data: Data) -> Sequence[np.ndarray]:
    """Return what is asked about when the recipe is measured: each item."""
    return list(np.arange(len(data.items.ids), dtype=np.int32)[:, None])


def held_out(
    tables: State, queries: Sequence[np.ndarray], truths: Sequence[np.ndarray], run: Run
) -> dict[Choice, np.ndarray]:
    """Return for each choice what its best users hold of the truth (rows of users, for each query), float64 [2]: hits
    and recall, summed over queries, a user less the later in the order."""
    length = tables["length"]
    n_users = int(np.count_nonzero(length))
    discount = 1.0 / np.log2(np.arange(2, max(n_users // 100, min(_LEAST_JUDGED, n_users)) + 2))
    powers = {power: _power(length, power) for power in _POWER}
    found = {
        choice: np.zeros(2)
        for choice in (ACTIVITY, *map(Choice._make, product(_OWN, _DECAY, _TRUST, _POWER)))
    }
    histories = _histories(tables)
    pasts = [_Past(decay, affinity.evidence(histories, decay), _reach(tables, decay)) for decay in _DECAY]
    is_true = np.zeros(len(length), bool)
    for items, truth in zip(queries, truths, strict=True):
        asked, most = _asked(tables, items), discount[: len(truth)].sum()
        is_true[truth] = True
        for past in pasts:
            drawn = _drawn(tables, asked, past)
            for choice, sums in found.items():
                if choice.decay == past.decay:
                    ranked = top_k(_affinity(drawn, choice, powers[choice.power]), len(discount))
                    hits = float(discount @ is_true[ranked])
                    sums += hits, hits / most
            run.check()
        is_true[truth] = False
    return found


def best(found: dict[Choice, np.ndarray]) -> Choice:
    """Return the choice with most hits and recall, in proportion to those of activity, less than which neither is."""
    if not any(sums.any() for sums in found.values()):
        return DEFAULT
    least = np.maximum(found[ACTIVITY], 1e-9)
    worth = {choice: np.prod(sums / least) for choice, sums in found.items() if (sums >= least).all()}
    return max(worth, key=lambda choice: worth[choice], default=ACTIVITY)


class _Past(NamedTuple):
    """Users' histories faded by ``decay`` a step, float32 [n_users]: how many items each is worth, and how like all
    items it is."""

    decay: float
    evidence: np.ndarray
    reach: np.ndarray


class _Asked(NamedTuple):
    """Some items: how like them every item is and which they are, float32 [n_items]; their share of all interactions;
    the place of each user among those that ``LAST`` sets apart, float32 [n_users]."""

    likeness: np.ndarray
    is_asked: np.ndarray
    popularity: float
    places: np.ndarray


class _Drawn(NamedTuple):
    """What users' histories say of some items, float32 [n_users]: how many of their items are like those, how many
    are those, how many there are, older ones less."""

    asked: _Asked
    like: np.ndarray
    taken: np.ndarray
    evidence: np.ndarray


def _asked(tables: State, items: np.ndarray) -> _Asked:
    histories, count = _histories(tables), tables["item_count"]
    is_asked = np.zeros(len(count), np.float32)
    is_asked[items] = 1.0
    likeness = affinity.likeness(_rows(tables), items, len(count))
    has_taken, is_drawn = (affinity.total(of, histories, 1.0) > 0 for of in (is_asked, likeness))
    places = np.where(has_taken, 1, np.where(is_drawn, 0, 2)).astype(np.float32)
    return _Asked(likeness, is_asked, float(count[items].sum()) / max(1, int(count.sum())), places)


def _drawn(tables: State, asked: _Asked, past: _Past) -> _Drawn:
    histories = _histories(tables)
    like = affinity.total(asked.likeness, histories, past.decay)
    shares = np.divide(like * past.evidence, past.reach, out=np.zeros_like(like), where=past.reach > 0)
    return _Drawn(asked, shares, affinity.total(asked.is_asked, histories, past.decay), past.evidence)


def _affinity(drawn: _Drawn, choice: Choice, power: np.ndarray) -> np.ndarray:
    """Return affinities float32 [n_users]; ``power``: length ^ choice.power."""
    popularity = drawn.asked.popularity
    if popularity == 0 or choice.trust == 0:  # nothing is known of the items, or nothing shall count
        return power
    own, trust = np.float32(max(choice.own, 0.0)), np.float32(choice.trust)
    share = drawn.like * (1 - own) + drawn.taken * own
    found = power * (trust * share + np.float32(popularity)) / (trust * drawn.evidence + 1)
    if choice.own != LAST:
        return found
    places = drawn.asked.places
    for place in range(3):  # each has a unit of its own, in which its order stays
        here = places == place
        found[here] /= found[here].max(initial=0.0) or np.float32(1.0)
    return found - places


def _power(length: np.ndarray, power: float) -> np.ndarray:
    return length.astype(np.float32) ** np.float32(power)


def _reach(tables: State, decay: float) -> np.ndarray:
    """Return each user's sum of likeness to all items, float32 [n_users]."""
    return affinity.total(affinity.reach(_rows(tables), len(tables["item_count"])), _histories(tables), decay)


def _rows(tables: State) -> Rows:
    return Rows(tables["row_offsets"], tables["row_items"], tables["row_weights"])


def _histories(tables: State) -> Histories:
    return Histories(tables["history_offsets"], tables["history_item"])


def _tables(data: Data) -> State:
    interactions, n_items = data.interactions, len(data.items.ids)
    rows = cosine.likeness(
        interactions.offsets,
        interactions.item,
        n_items,
        discount=1.0,
        step_decay=1.0,
        least_together=1,
        longest_history=_LONGEST,
        row_limit=_ROW_LIMIT,
    )
    histories = affinity.newest(interactions.offsets, interactions.item, _REMEMBERED)
    return {
        **{f"row_{name}": array for name, array in rows._asdict().items()},
        **{f"history_{name}": array for name, array in histories._asdict().items()},
        "item_count": popularity.counts(interactions.item, n_items),
        "length": np.diff(interactions.offsets).astype(np.int32),
    }

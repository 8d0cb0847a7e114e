"""Why an item has its logit: what each event of the history, and each member of the blend, adds to it.

A sum over events (``blend.py``) is told event by event; of the logarithm of a sum, each has the share that it has of
the sum. So all parts add up to the logit, and nothing is fitted beside the model. Popularity is told as against the
mean of all items, which changes every item's logit alike: so parts of members compare, 0 being what says nothing.
"""

import numpy as np

from nextpick.models.blend import (
    ATTRIBUTES,
    BENT,
    COLUMNS,
    FADE,
    LATELY,
    LOGS,
    PRIOR,
    SEEN,
    SEEN_DECAY,
    SHARES,
    TASTE_DECAY,
    Tables,
    add_column,
    gather,
    n_read,
)

_MEMBERS = {
    "soon": "linear", "later": "linear", "log linear": "linear", "log near": "near", "log about": "about",
    "log next": "next", "log kin": "kin", "recent popularity": "popularity", "seen lately": "seen",
}  # fmt: skip


def explain(
    history: np.ndarray, user: int, limit: int, weights: np.ndarray, item: int, tables: Tables
) -> tuple[np.ndarray, float, dict[str, float]]:
    """Return what makes an item's logit: what each event adds, float64 [h]; what no event does; all by member.

    The events [h] add up with the rest, and the members do, to the logit whose softmax the score is, less what is the
    same for all items.
    """
    touched, reached, slot, sums, own, taste = gather(
        history, user, limit, np.full(1, item, np.int32), tables
    )
    n_items, s, h = len(tables.offsets) - 1, slot[item], min(limit, len(history))
    newest = history[::-1][:h]
    of_table = _values(newest, item, tables)  # [8, h]
    of_column = np.zeros((len(COLUMNS), h))  # what events add, newest first
    total = np.zeros(len(COLUMNS))
    for d in np.flatnonzero(weights).tolist() if s < reached else range(SHARES, ATTRIBUTES):
        one = np.zeros(len(touched), np.float32)
        add_column(d, 1.0, touched, sums, own, taste, n_items, tables, one)
        mean = float(tables.log_share[d - SHARES].mean()) if SHARES <= d < ATTRIBUTES else 0.0
        total[d] = float(weights[d]) * (float(one[s]) - mean)
        of_column[d] = total[d] * _share(d, newest, item, of_table, tables)
    events = np.zeros(len(history))
    events[len(history) - h :] = of_column.sum(axis=0)[::-1]
    members: dict[str, float] = {}
    for d, name in enumerate(COLUMNS):
        member = _MEMBERS.get(name, name)
        members[member] = members.get(member, 0.0) + float(total[d])
    return events, float(total.sum() - of_column.sum()), members


def _values(newest: np.ndarray, item: int, tables: Tables) -> np.ndarray:
    """Return what each of the newest items adds to the sums of an item, float64 [8, h]."""
    found, read = np.zeros((8, len(newest))), 1.0
    for k, a in enumerate(newest.tolist()):
        start, stop = int(tables.offsets[a]), int(tables.offsets[a + 1])
        row = tables.items[start : start + n_read(stop - start, read)]
        for p in (start + np.flatnonzero(row == item)).tolist():
            code = tables.codes[p].astype(np.float64)
            found[:, k] = tables.decays.astype(np.float64) ** k * tables.scale[a] * code * np.abs(code)
        read *= FADE
    return found


def _share(d: int, newest: np.ndarray, item: int, of_table: np.ndarray, tables: Tables) -> np.ndarray:
    """Return which share of column ``d`` of an item each event makes, newest first: float64 [h]."""
    if d < LOGS:
        parts = of_table[d]
    elif d < SHARES:
        parts = of_table[BENT[d - LOGS]] if d < SHARES - 1 else of_table[5] + of_table[6]
    elif d == ATTRIBUTES:
        return _taste_share(newest, item, tables)
    elif d in (SEEN, LATELY):
        parts = (newest == item) * SEEN_DECAY ** np.arange(len(newest))
    else:
        return np.zeros(len(newest))
    total = parts.sum()
    return parts / total if total != 0.0 else np.zeros(len(newest))


def _taste_share(newest: np.ndarray, item: int, tables: Tables) -> np.ndarray:
    """Return ``_share`` of the attributes: of each one's logarithm, an event has the share that it has of the sum."""
    weight = TASTE_DECAY ** np.arange(len(newest))
    parts = np.zeros(len(newest))
    for c in tables.held_codes[tables.held[item] : tables.held[item + 1]].tolist():
        holds = np.array(
            [c in tables.held_codes[tables.held[a] : tables.held[a + 1]] for a in newest], np.float64
        )
        if (x := holds @ weight) > 0:
            parts += np.log1p(x / (PRIOR * float(tables.code_share[c]))) * holds * weight / x
    total = parts.sum()
    return parts / total if total != 0.0 else parts

"""How healthy interactions are: what of them would mislead a training or a measurement, and how much of it there is.

Each finding has a level: OK, NOTICE (good to know) or WARNING (look at this first). Limits are round numbers, named
below, not laws; the texts say what was counted.
"""

from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import numpy as np

from nextpick.clock import utc
from nextpick.data.dataset import Data
from nextpick.data.timesplit import clock_problem

FORMAT = 1
OK, NOTICE, WARNING = "OK", "NOTICE", "WARNING"
MANY, MANY_WITHIN_S = 1000, 86_400  # more events of a user in a day than people make
FAST, FAST_WITHIN_S = 120, 240  # so many different seconds: an event every other second for minutes
_TWINS_FROM = 5  # events of a history that another user may not have by chance
_FUTURE_S = 86_400
_BINS, _EXAMPLES = 48, 5


class Finding(NamedTuple):
    """One thing that was looked at. ``share``: of the interactions, items or users that ``text`` speaks of."""

    name: str
    level: str
    share: float
    text: str
    examples: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {**self._asdict(), "share": round(self.share, 6), "examples": list(self.examples)}


def level(share: float, notice: float, warning: float) -> str:
    """Return how bad a share is: a WARNING above ``warning``, a NOTICE above ``notice``."""
    return WARNING if share > warning else NOTICE if share > notice else OK


def of_interactions(data: Data, duplicates: int, now: float) -> dict[str, Any]:
    """Return the health of interactions, as JSON takes it.

    duplicates: rows that said the same as another one, and are not in ``data``;  now: seconds since 1970.
    """
    interactions = data.interactions
    n = len(interactions.item)
    if n == 0:
        nothing = Finding("clock", NOTICE, 0.0, "There are no interactions.")
        return {"format": FORMAT, "kind": "health", "rows": 0, "findings": [nothing.told()]}
    looked = [
        _clock(data),
        _ties(data),
        _duplicates(n, duplicates),
        *_bots(data),
        _drift(data),
        *_future(data, now),
        _early(data),
        _twins(data),
        _sparsity(data),
        _cold(data),
    ]
    lengths = np.diff(interactions.offsets)
    counts = np.bincount(interactions.item, minlength=len(data.items.ids))
    return {
        "format": FORMAT,
        "kind": "health",
        "rows": n,
        "users": int(np.count_nonzero(lengths)),
        "items": int(np.count_nonzero(counts)),
        "first_utc": utc(int(interactions.time.min())),
        "last_utc": utc(data.latest),
        "findings": [finding.told() for finding in looked],
        "timeline": _timeline(interactions.time),
        "history_lengths": _doubling(lengths[lengths > 0]),
        "popularity": _concentration(counts),
    }


def without_users(report: dict[str, Any], users: AbstractSet[str]) -> dict[str, Any]:
    """Return a report that names none of these users."""
    findings = [
        {**f, "examples": [e for e in f["examples"] if e not in users]} if f.get("examples") else f
        for f in report.get("findings", [])
    ]
    return {**report, "findings": findings}


def _clock(data: Data) -> Finding:
    problem = clock_problem(data.interactions)
    if problem is None:
        return Finding("clock", OK, 0.0, f"Times go from {utc(data.interactions.time.min())} on.")
    return Finding("clock", WARNING, 1.0, problem + " Nothing about time can be learnt or measured.")


def _ties(data: Data) -> Finding:
    """Events of a user at one second, whose order is that of the file."""
    time, first = data.interactions.time, _is_first(data)
    tied = np.zeros(len(time), bool)
    same = (time[1:] == time[:-1]) & ~first[1:]
    tied[1:] |= same
    tied[:-1] |= same
    share = float(tied.mean())
    text = f"{share:.1%} of the interactions share their second with another one of the user"
    after = "; their order is that of the file." if tied.any() else "."
    return Finding("timestamp ties", level(share, 0.05, 0.5), share, text + after)


def _duplicates(n: int, duplicates: int) -> Finding:
    share = duplicates / (n + duplicates)
    text = f"{duplicates:,} rows ({share:.1%}) say the same as another one and count once."
    return Finding("duplicates", level(share, 0.01, 0.2), share, text)


def _bots(data: Data) -> list[Finding]:
    """Users with more, or faster, events than people make."""
    time, offsets = np.asarray(data.interactions.time), np.asarray(data.interactions.offsets)
    lengths = np.diff(offsets)
    if time.min() == time.max():
        return []
    user = np.repeat(np.arange(len(lengths)), lengths)
    many = _crowded(user, time, MANY, MANY_WITHIN_S)
    distinct = _is_first(data)
    distinct[1:] |= time[1:] != time[:-1]
    fast = _crowded(user[distinct], time[distinct], FAST, FAST_WITHIN_S)
    told = (
        ("many events", many, f"at least {MANY:,} events within a day"),
        ("fast events", fast, f"events in {FAST} different seconds of {FAST_WITHIN_S // 60} minutes"),
    )
    found = []
    for name, users, meaning in told:
        share = float(lengths[users].sum() / len(time))
        text = f"{len(users):,} users have {meaning}: {share:.1%} of the interactions. They may be machines."
        busiest = users[np.argsort(-lengths[users], kind="stable")][:_EXAMPLES]
        if not len(users):
            text = f"No user has {meaning}."
        found.append(Finding(name, level(share, 0.0, 0.05), share, text, tuple(data.users.ids.ids(busiest))))
    return found


def _crowded(user: np.ndarray, time: np.ndarray, count: int, within: int) -> np.ndarray:
    """Return the users that have ``count`` rows within so many seconds; rows by user, then time."""
    if len(time) < count:
        return np.zeros(0, np.int64)
    is_one = user[count - 1 :] == user[: len(user) - count + 1]
    near = time[count - 1 :] - time[: len(time) - count + 1] <= within
    return np.unique(user[count - 1 :][is_one & near])


def _drift(data: Data) -> Finding:
    """How much the items of the newer half differ from those of the older, beyond what two random halves would."""
    time, item, n_items = data.interactions.time, data.interactions.item, len(data.items.ids)
    newer = time >= np.partition(time, len(time) // 2)[len(time) // 2]
    if newer.all():
        return Finding("drift", NOTICE, 0.0, "Times do not divide the data into an older and a newer part.")
    differs = _difference(item, newer, n_items)
    by_chance = _difference(item, np.random.default_rng(0).permutation(newer), n_items)
    unseen = float((np.bincount(item[~newer], minlength=n_items)[item[newer]] == 0).mean())
    text = (
        f"{differs:.0%} of the newer half is with other items than the older half's shares say "
        f"({by_chance:.0%} would be by chance); {unseen:.1%} is with items that the older half does not have."
    )
    share = max(differs - by_chance, 0.0)
    return Finding("drift", level(max(share, unseen), 0.2, 0.5), share, text)


def _difference(item: np.ndarray, newer: np.ndarray, n_items: int) -> float:
    """Return half the summed differences of the items' shares in two parts (total variation), 0 to 1."""
    old, new = (np.bincount(item[part], minlength=n_items) / part.sum() for part in (~newer, newer))
    return float(np.abs(old - new).sum() / 2)


def _future(data: Data, now: float) -> list[Finding]:
    late = data.interactions.time > now + _FUTURE_S
    share, count = float(late.mean()), int(late.sum())
    text = (
        f"{count:,} interactions are later than now ({utc(now)})." if count else "No event is of the future."
    )
    return [Finding("events in the future", level(share, 0.0, 0.001), share, text)]


def _early(data: Data) -> Finding:
    """Interactions with items that were created later: a CREATION_TIMESTAMP that means something else."""
    item, time = data.interactions.item, data.interactions.time
    early = time < data.items.created[item]
    share, items = float(early.mean()), len(np.unique(item[early]))
    text = (
        f"{items:,} items have interactions before their CREATION_TIMESTAMP: {share:.1%} of the interactions."
    )
    if not items:
        text = "No item has interactions before it was created."
    return Finding("interactions before creation", level(share, 0.0, 0.05), share, text)


def _twins(data: Data) -> Finding:
    """Users whose histories are equal: one measured, the other learnt from, would be cheating."""
    offsets, lengths = np.asarray(data.interactions.offsets), np.diff(data.interactions.offsets)
    rows = np.asarray(data.interactions.item, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    rows ^= np.asarray(data.interactions.time).astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    place = np.arange(len(rows), dtype=np.uint64) - np.repeat(offsets[:-1], lengths).astype(np.uint64)
    rows = (rows ^ (rows >> np.uint64(29))) * (place * np.uint64(2) + np.uint64(0x94D049BB133111EB))
    sums = np.concatenate(([np.uint64(0)], np.cumsum(rows, dtype=np.uint64)))
    long = np.flatnonzero(lengths >= _TWINS_FROM)
    _, inverse, counts = np.unique(
        sums[offsets[1:][long]] - sums[offsets[:-1][long]], return_inverse=True, return_counts=True
    )
    twins = long[counts[inverse] > 1]
    share = len(twins) / max(len(long), 1)
    text = f"{len(twins):,} users ({share:.1%}) have the same history as another one, to the second."
    if not len(twins):
        text = "No two users have the same history."
    return Finding("equal histories", level(share, 0.0, 0.02), share, text)


def _sparsity(data: Data) -> Finding:
    lengths = np.diff(data.interactions.offsets)
    lengths = lengths[lengths > 0]
    counts = np.bincount(data.interactions.item)
    rare = float((counts[counts > 0] < 5).mean())
    share = float((lengths < 2).mean())
    density = lengths.sum() / (len(lengths) * max(np.count_nonzero(counts), 1))
    text = (
        f"The median user has {int(np.median(lengths))} interactions, {share:.1%} have one; {rare:.1%} of the items "
        f"have fewer than 5. Of all pairs of user and item {min(density, 1):.3%} are filled."
    )
    return Finding("sparsity", level(max(share, rare - 0.3), 0.3, 0.7), share, text)


def _cold(data: Data) -> Finding:
    counts = np.bincount(data.interactions.item, minlength=len(data.items.ids))
    share = float((counts == 0).mean())
    lengths = np.diff(data.interactions.offsets)
    text = (
        f"{int((counts == 0).sum()):,} of {len(counts):,} items ({share:.1%}) and {int((lengths == 0).sum()):,} of "
        f"{len(lengths):,} users have no interactions; they are known by their records alone."
    )
    return Finding("cold share", level(share, 0.3, 0.8), share, text)


def _is_first(data: Data) -> np.ndarray:
    """Return which rows are the first of their user, bool [n]."""
    first = np.zeros(len(data.interactions.item), bool)
    offsets = np.asarray(data.interactions.offsets)
    first[offsets[:-1][np.diff(offsets) > 0]] = True
    return first


def _timeline(time: np.ndarray) -> dict[str, Any]:
    """Return the interactions in equal stretches of time."""
    first, last = int(time.min()), int(time.max())
    bins = min(_BINS, max(last - first, 1))
    counts, edges = np.histogram(time, bins, (first, last + 1))
    return {"from": first, "stretch_s": float(edges[1] - edges[0]), "counts": counts.tolist()}


def _doubling(lengths: np.ndarray) -> list[dict[str, int]]:
    """Return how many users have 1, 2 to 3, 4 to 7, … interactions."""
    power = np.log2(lengths).astype(np.int64)
    return [
        {"from": 1 << p, "to": (2 << p) - 1, "users": int(count)}
        for p, count in enumerate(np.bincount(power).tolist())
    ]


def _concentration(counts: np.ndarray) -> list[dict[str, float]]:
    """Return which share of the interactions the most popular items hold: 0.1 %, 1 %, 10 %, 50 % of them."""
    held = np.cumsum(np.sort(counts[counts > 0])[::-1])
    return [
        {"items": share, "interactions": round(float(held[max(int(len(held) * share), 1) - 1] / held[-1]), 4)}
        for share in (0.001, 0.01, 0.1, 0.5)
    ]

"""What a bill is made of: training hours, bytes imported, requests and the capacity held for them.

Documents beside the records, written in the transaction that ends the work they measure, so each counts once, and
they stay when the resource is deleted: collection ``usage`` (``ACCOUNT REGION TIME ARN``: what was used) and
``capacity`` (``ARN TIME``: the least transactions per second from then on).
Source: Amazon Personalize pricing: hours of training, gigabytes imported, and in each 5 minutes the larger of the
average and the provisioned transactions per second.
"""

from collections.abc import Mapping
from typing import NamedTuple

from nextpick.store import documents
from nextpick.store.records import Resource, Transaction
from nextpick.store.usage import WINDOW_S

TRAINING_HOURS, IMPORTED_BYTES = "TRAINING_HOURS", "IMPORTED_BYTES"

_USED, _CAPACITY = "usage", "capacity"


class Used(NamedTuple):
    """Something that was used: ``kind`` of it, how much, when it ended (seconds since 1970)."""

    kind: str
    arn: str
    quantity: float
    at: float


class Load(NamedTuple):
    """The requests to a campaign or recommender in a period.

    average: requests a second;  minimum: the most that was provisioned at any time of it;  tps_hours: the sum over
    its windows of 5 minutes of the larger of the two.
    """

    arn: str
    start: int
    requests: int
    average: float
    minimum: int
    tps_hours: float


def use(tx: Transaction, resource: Resource, kind: str, quantity: float, now: float) -> None:
    """Write down what a resource's work has used."""
    key = f"{resource.account} {resource.region} {now:017.3f} {resource.arn}"
    documents.put(tx, _USED, key, {"kind": kind, "arn": resource.arn, "quantity": quantity, "at": now})


def used(tx: Transaction, account: str, region: str, start: float, end: float) -> list[Used]:
    """Return what was used from ``start`` to before ``end``, oldest first."""
    owner = f"{account} {region} "
    found = documents.between(tx, _USED, f"{owner}{start:017.3f}", f"{owner}{end:017.3f}")
    return [Used(**body) for _, body in found]


def provision(tx: Transaction, resource: Resource, minimum: int, now: float) -> None:
    """Write down the transactions per second that a campaign or recommender holds from now on; 0 when it ends."""
    if _held(tx, resource.arn) != minimum:
        documents.put(tx, _CAPACITY, f"{resource.arn} {now:017.3f}", {"at": now, "minimum": minimum})


def _held(tx: Transaction, arn: str) -> int:
    steps = documents.find(tx, _CAPACITY, f"{arn} ")
    return steps[-1][1]["minimum"] if steps else 0


def capacities(tx: Transaction, account: str, region: str) -> dict[str, list[tuple[float, int]]]:
    """Return by ARN the (time, minimum) from which on it held, oldest first."""
    found: dict[str, list[tuple[float, int]]] = {}
    for key, body in documents.find(tx, _CAPACITY, f"arn:aws:personalize:{region}:{account}:"):
        found.setdefault(key.partition(" ")[0], []).append((body["at"], body["minimum"]))
    return found


def loads(
    requests: Mapping[str, Mapping[int, int]],
    capacity: Mapping[str, list[tuple[float, int]]],
    *,
    start: int,
    end: int,
    period: int,
) -> list[Load]:
    """Return the load by resource and period, those without requests and capacity left out.

    ``start``, ``end`` and ``period`` are multiples of 300 seconds.
    """
    found = []
    for arn in sorted({*requests, *capacity}):
        counts, steps = requests.get(arn, {}), capacity.get(arn, [])
        for begin in range(start, end, period):
            windows = range(begin, min(begin + period, end), WINDOW_S)
            minima = [_most(steps, window) for window in windows]
            total = [counts.get(window, 0) for window in windows]
            billed = sum(max(n / WINDOW_S, least) for n, least in zip(total, minima, strict=True))
            if billed:
                average = sum(total) / (len(windows) * WINDOW_S)
                hours = billed * WINDOW_S / 3600
                found.append(Load(arn, begin, sum(total), average, max(minima), hours))
    return found


def _most(steps: list[tuple[float, int]], window: int) -> int:
    """Return the most that was held at any time of a window."""
    before = [minimum for at, minimum in steps if at <= window][-1:]
    within = [minimum for at, minimum in steps if window < at < window + WINDOW_S]
    return max(before + within, default=0)

"""What was used in some time, priced by a tariff.

TPS-hours are the larger of what was provisioned and what was asked, of each 5 minutes, as Amazon Personalize bills
them. Source: pricing page of Amazon Personalize.
"""

import tomllib
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

_DEFAULT = Path(__file__).with_name("tariff.toml")
_GB = 1e9
_PERIOD_S, _MOST_PERIODS = 300, 1000


class BadTariff(Exception):
    """A tariff that cannot be read; the text names the file and what is missing."""


class Tariff(NamedTuple):
    """Prices. ``tiers``: (up to how many TPS-hours, price of one), rising, the last one without end."""

    currency: str
    gb: float
    free_gb: float
    hour: float
    free_hours: float
    tiers: tuple[tuple[float, float], ...]
    free_tps_hours: float


class Usage(NamedTuple):
    """What was used: GB imported, hours of training, and of each campaign or recommender TPS-hours and requests."""

    gb: float
    hours: float
    tps_hours: dict[str, float]
    requests: dict[str, int]


class Line(NamedTuple):
    """One line of a bill: what, how much of it in which unit, and what it costs."""

    what: str
    quantity: float
    unit: str
    amount: float


def tariff(path: Path | None = None) -> Tariff:
    """Read a tariff, that of Amazon Personalize without a file. Raises BadTariff."""
    path = path or _DEFAULT
    try:
        given = tomllib.loads(path.read_text())
        tiers = tuple(
            (tier.get("up_to", float("inf")), tier["tps_hour"]) for tier in given["recommendations"]
        )
        found = Tariff(
            given.get("currency", "USD"),
            given["ingestion"]["gb"],
            given["ingestion"].get("free_gb", 0.0),
            given["training"]["hour"],
            given["training"].get("free_hours", 0.0),
            tiers,
            given.get("free", {}).get("tps_hours", 0.0),
        )
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadTariff(f"{path}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise BadTariff(f"{path}: {error} is missing or is no table") from None
    rising = all(a < b for (a, _), (b, _) in pairwise(tiers))
    if not tiers or tiers[-1][0] != float("inf") or not rising:
        raise BadTariff(f"{path}: the tiers of recommendations must rise, the last one without up_to")
    return found


def usage(client: Any, start: float, end: float) -> Usage:
    """Return what was used from ``start`` to ``end`` (epoch seconds); ``client`` is one of nextpick's own service."""
    gb = hours = 0.0
    tps_hours: dict[str, float] = defaultdict(float)
    requests: dict[str, int] = defaultdict(int)
    period = _PERIOD_S * max(1, -(-int(end - start) // (_PERIOD_S * _MOST_PERIODS)))
    answer = client.get_usage(startTime=start, endTime=end, period=period)
    gb += sum(one["bytes"] for one in answer["imports"]) / _GB
    hours += sum(one["hours"] for one in answer["trainings"])
    for load in answer["requests"]:
        tps_hours[load["resourceArn"]] += load["tpsHours"]
        requests[load["resourceArn"]] += load["requests"]
    return Usage(gb, hours, dict(tps_hours), dict(requests))


def bill(used: Usage, prices: Tariff) -> list[Line]:
    """Return the lines of a bill: ingestion, training, then the campaigns, which share the tiers by what they used."""
    whole = sum(used.tps_hours.values())
    priced = tiered(max(whole - prices.free_tps_hours, 0.0), prices.tiers)
    lines = [
        Line("ingestion", used.gb, "GB", max(used.gb - prices.free_gb, 0.0) * prices.gb),
        Line("training", used.hours, "hours", max(used.hours - prices.free_hours, 0.0) * prices.hour),
    ]
    for arn, quantity in sorted(used.tps_hours.items(), key=lambda pair: (-pair[1], pair[0])):
        share = quantity / whole if whole else 0.0
        lines.append(Line(arn, quantity, "TPS-hours", priced * share))
    return lines


def tiered(quantity: float, tiers: tuple[tuple[float, float], ...]) -> float:
    """Return the price of a quantity of which each part costs what its tier says."""
    cost, below = 0.0, 0.0
    for up_to, price in tiers:
        cost += max(min(quantity, up_to) - below, 0.0) * price
        below = up_to
    return cost

"""Metric attributions: what they measure, where their events may come from, how far the event log is counted.

``internal`` of one: ``read``, by metric the positions in the event log up to which its events are counted;
``sources``, the named sources seen so far. The sums lie beside the records as documents, one for each window, and stay
when the attribution is deleted, as they would in CloudWatch: collection ``attribution``, key ``ARN START``, body
{metric: {eventType, mathFunction, sources: {source: sum}}}.
Source: developer guide, "Measuring the impact of recommendations".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from nextpick.data.expressions import UNDEFINED, Cell, Metric, parse_metric
from nextpick.errors import InvalidInput, ResourceAlreadyExists
from nextpick.names import campaign_id
from nextpick.resources.datasets import schemas_of
from nextpick.resources.kinds import CAMPAIGN, METRIC_ATTRIBUTION, SOLUTION
from nextpick.store import documents
from nextpick.store.records import Resource, Transaction

MOST_METRICS, MOST_SOURCES = 10, 100
FRESH_S = 14 * 86400.0  # older events are in reports of imports alone

_COLLECTION = "attribution"
_KEPT_S = 455 * 86400.0  # as long as CloudWatch keeps such sums
END = 10**11

Positions = dict[str, int]
Request = Mapping[str, Any]


def find(tx: Transaction, group: str) -> Resource | None:
    """Return the metric attribution of a dataset group."""
    return next(iter(tx.find(METRIC_ATTRIBUTION.arn_kind, parent=group)), None)


def require_destination(tx: Transaction, group: str) -> None:
    """Raise InvalidInput unless reports of a group's imports have somewhere to go."""
    attribution = find(tx, group)
    if attribution is None or "s3DataDestination" not in attribution.body["metricsOutputConfig"]:
        raise InvalidInput(
            f"publishAttributionMetricsToS3 is true, but {group} has no metric attribution with an s3DataDestination."
        )


def metrics_of(tx: Transaction, group: str, asked: Iterable[Request]) -> list[Metric]:
    """Read metrics as the API has them.

    Raises InvalidInput naming what is wrong: no interactions dataset, no EVENT_TYPE, an expression, a column.
    """
    schemas = schemas_of(tx, group)
    interactions = schemas.get("INTERACTIONS")
    if interactions is None:
        raise InvalidInput(f"{group} has no Interactions dataset; a metric attribution needs one.")
    if interactions.field("EVENT_TYPE") is None:
        raise InvalidInput("The Interactions schema has no EVENT_TYPE column; a metric attribution needs it.")
    return [parse_metric(m["metricName"], m["eventType"], m["expression"], schemas) for m in asked]


def check_metrics(asked: Iterable[Request]) -> None:
    """Raise InvalidInput for no metrics, too many, one without a name or event type, and a name given twice."""
    names = [metric["metricName"] for metric in asked]
    if not 1 <= len(names) <= MOST_METRICS:
        raise InvalidInput(f"A metric attribution has 1 to {MOST_METRICS} metrics, not {len(names)}.")
    if not all(metric[member] for metric in asked for member in ("metricName", "eventType")):
        raise InvalidInput("A metric needs a metricName and an eventType.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"The metric name {twice} may be given once.")


def check_output(config: Request) -> None:
    """Raise InvalidInput for a destination that is no ``s3://bucket/prefix``."""
    path = config.get("s3DataDestination", {}).get("path")
    if path is not None and not path.startswith("s3://"):
        raise InvalidInput("Invalid S3 output path")


def update(
    tx: Transaction,
    attribution: Resource,
    *,
    add: list[dict[str, Any]],
    remove: list[str],
    output: dict[str, Any] | None,
    positions: Positions,
    now: float,
) -> None:
    """Change the metrics or the output; metrics that are added count events after ``positions``.

    Raises ResourceAlreadyExists for the name of a metric that is there and stays, InvalidInput for one to remove that
    is not there, and for metrics that cannot be.
    """
    held = {metric["metricName"]: metric for metric in attribution.body["metrics"]}
    for name in remove:
        if name not in held:
            raise InvalidInput(f"{attribution.arn} has no metric named {name}.")
    kept = [metric for name, metric in held.items() if name not in remove]
    for metric in add:
        if metric["metricName"] in held and metric["metricName"] not in remove:
            raise ResourceAlreadyExists(
                f"{attribution.arn} already has a metric named {metric['metricName']}."
            )
    check_metrics([*kept, *add])
    metrics_of(tx, attribution.parent or "", add)
    read = {m["metricName"]: attribution.internal["read"][m["metricName"]] for m in kept}
    read |= {metric["metricName"]: positions for metric in add}
    attribution.body = {**attribution.body, "metrics": [*kept, *add]}
    if output is not None:
        attribution.body["metricsOutputConfig"] = output
    attribution.internal = {**attribution.internal, "read": read}
    attribution.updated_at = now
    tx.save(attribution)


def recommending(tx: Transaction, group: str) -> dict[str, str]:
    """Return the ARNs of a group's campaigns and recommenders by the last part of their recommendations' ids."""
    campaigns = [
        c for s in tx.find(SOLUTION.arn_kind, parent=group) for c in tx.find(CAMPAIGN.arn_kind, parent=s.arn)
    ]
    found = [*campaigns, *tx.find("recommender", parent=group)]
    return {campaign_id(resource.arn): resource.arn for resource in found}


def admitted(known: list[str], cells: Iterable[Cell]) -> tuple[list[Cell], list[str]]:
    """Return the sums of the first 100 named sources, those ``known`` before the others, and all known then."""
    known, kept = list(known), []
    for cell in sorted(cells, key=lambda cell: (cell.window, cell.source)):
        if cell.source != UNDEFINED and cell.source not in known:
            if len(known) >= MOST_SOURCES:
                continue
            known.append(cell.source)
        kept.append(cell)
    return kept, known


def record(tx: Transaction, attribution: Resource, cells: Iterable[Cell], now: float) -> int:
    """Add sums of fresh events to the stored ones; return how many of further sources were left out."""
    fresh = [cell for cell in cells if cell.window > now - FRESH_S]
    kept, known = admitted(attribution.internal["sources"], fresh)
    by_window: dict[int, list[Cell]] = {}
    for cell in kept:
        by_window.setdefault(cell.window, []).append(cell)
    for window, inside in by_window.items():
        key = _key(attribution.arn, window)
        body = documents.get(tx, _COLLECTION, key) or {}
        for cell in inside:
            about = {"eventType": cell.event_type, "mathFunction": cell.function}
            metric = body.setdefault(cell.metric, {"sources": {}})
            metric |= about
            metric["sources"][cell.source] = metric["sources"].get(cell.source, 0.0) + cell.value
        documents.put(tx, _COLLECTION, key, body)
    documents.delete_between(
        tx, _COLLECTION, _key(attribution.arn, 0), _key(attribution.arn, int(now - _KEPT_S))
    )
    if known != attribution.internal["sources"]:
        attribution.internal = {**attribution.internal, "sources": known}
        tx.save(attribution)
    return len(fresh) - len(kept)


def advance(
    tx: Transaction,
    attribution: Resource,
    cells: Iterable[Cell],
    start: Mapping[str, Positions],
    end: Positions,
    now: float,
) -> int:
    """Count events of the log once: add the sums of those between ``start`` and ``end`` and write how far that is.

    Metrics that were removed or begun anew since are passed over. Returns how many sums were left out.
    """
    read = attribution.internal["read"]
    same = {name for name, position in start.items() if read.get(name) == position}
    left_out = record(tx, attribution, [cell for cell in cells if cell.metric in same], now)
    attribution.internal = {**attribution.internal, "read": {**read, **dict.fromkeys(same, end)}}
    tx.save(attribution)
    return left_out


def counted(attribution: Resource) -> Positions:
    """Return up to where every metric has counted the event log: what is kept of it must begin there."""
    read = list(attribution.internal["read"].values())
    return {name: min(p.get(name, 0) for p in read) for name in {name for p in read for name in p}}


def stored(tx: Transaction, arn: str, start: int, end: int, limit: int) -> list[tuple[int, list[Cell]]]:
    """Return the sums of the first ``limit`` windows that begin from ``start`` to before ``end``, by window."""
    found = []
    for key, body in documents.between(tx, _COLLECTION, _key(arn, start), _key(arn, end), limit):
        window = int(key.rpartition(" ")[2])
        cells = [
            Cell(name, metric["eventType"], metric["mathFunction"], source, window, value)
            for name, metric in sorted(body.items())
            for source, value in sorted(metric["sources"].items())
        ]
        found.append((window, cells))
    return found


def _key(arn: str, window: int) -> str:
    return f"{arn} {window:012d}"

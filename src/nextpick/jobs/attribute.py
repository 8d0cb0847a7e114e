"""Attribution job: the events that a metric attribution has not counted yet become sums, each event once.

The sums and how far the log is counted are written in the transaction that ends the job: one that is killed has
counted nothing. Source: developer guide, "Measuring the impact of recommendations".
"""

from typing import Any

from nextpick.data.attribution import Attribution, of_events
from nextpick.data.dataset import Source
from nextpick.data.expressions import Cell, Metric
from nextpick.errors import InvalidInput
from nextpick.jobs.work import JobFailure, Outcome, Work, datasets_dir
from nextpick.resources import attributions, datasets
from nextpick.resources.kinds import DATASET
from nextpick.store import log as event_log
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Count the events between where each metric stands and the log's end. Raises JobFailure, DataFailure."""
    resource, log_dir = work.resource, work.settings.home / "log"
    end = event_log.positions(log_dir)
    start: dict[str, attributions.Positions] = resource.internal["read"]
    metrics, sources, items = gather(work, resource)
    cells: list[Cell] = []
    events = 0
    for position, together in _by_position(metrics, start):
        attribution = Attribution(together, sources, items)
        found = event_log.read_between(log_dir, resource.parent or "", position, end)
        events += of_events(attribution, found, work.run)
        cells += attribution.cells()
    report: dict[str, Any] = {"events": events}

    def commit(tx: Transaction, attribution: Resource, now: float) -> None:
        report["left_out"] = attributions.advance(tx, attribution, cells, start, end, now)

    return Outcome(commit, report)


def gather(work: Work, attribution: Resource) -> tuple[list[Metric], dict[str, str], Source | None]:
    """Return what is measured, the sources by their ids, and where items are. Raises JobFailure."""
    group = attribution.parent or ""
    items = None
    with work.records.read() as tx:
        try:
            metrics = attributions.metrics_of(tx, group, attribution.body["metrics"])
        except InvalidInput as error:
            raise JobFailure(error.message) from None
        sources = attributions.recommending(tx, group)
        schema = datasets.schemas_of(tx, group).get("ITEMS")
        for dataset in tx.find(DATASET.arn_kind, parent=group):
            if schema is not None and dataset.body["datasetType"] == "ITEMS":
                directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
                items = Source(schema, [directory / part for part in dataset.internal["parts"]])
    return metrics, sources, items


def _by_position(
    metrics: list[Metric], start: dict[str, attributions.Positions]
) -> list[tuple[attributions.Positions, list[Metric]]]:
    """Return metrics with the position they stand at; those that stand at the same are read for together."""
    groups: list[tuple[attributions.Positions, list[Metric]]] = []
    for metric in metrics:
        position = start[metric.name]
        same = next((together for at, together in groups if at == position), None)
        if same is None:
            groups.append((position, [metric]))
        else:
            same.append(metric)
    return groups

"""Import job: the objects of ``dataLocation`` become an immutable part of the dataset.

Source: developer guide, "Importing bulk records with a dataset import job".
"""

from typing import Any

import msgspec

from nextpick.data.avro import parse_schema
from nextpick.data.filters.resolve import EVENTS
from nextpick.data.table import import_part
from nextpick.jobs import folding, import_attribution, views
from nextpick.jobs.objects import inputs
from nextpick.jobs.work import JobFailure, Outcome, Work, datasets_dir, results
from nextpick.resources import datasets, reports, usage
from nextpick.resources.kinds import DATASET
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Read, judge and write the part; the commit makes it the dataset's data, or adds it.

    Raises JobFailure or DataFailure with what is wrong with the data; the dataset is then as before.
    """
    with work.records.read() as tx:
        dataset = tx.get(work.resource.parent or "")
        schema = tx.get(dataset.body["schemaArn"]) if dataset else None
    if dataset is None or schema is None:
        raise JobFailure("The dataset was deleted during the import.")
    dataset_type = dataset.body["datasetType"]
    work.run.progress(0.0, "listing objects")
    access, location = work.access(), work.resource.body["dataSource"]["dataLocation"]
    objects = inputs(access, location, work.settings)
    parsed, mode = parse_schema(schema.body["schema"]), work.resource.body["importMode"]
    attributed = import_attribution.begin(work, dataset)
    part = f"{work.job.id}.{work.job.fence}"
    out = datasets_dir(work.settings.home) / dataset.internal["dir"] / part
    least = work.settings.min_interactions
    with results(out):
        report = import_part(objects, parsed, dataset_type, out, work.settings, work.run.share(0.0, 0.9))
        if dataset_type == "INTERACTIONS" and report.rows_read < least:
            raise JobFailure(
                f"The import has {report.rows_read} interactions; an import of interactions needs at least {least}."
            )
        attributed.measure(out, parsed)
    fold = folding.fold(work, dataset, parsed) if dataset_type not in EVENTS else None
    view = None
    if dataset_type not in EVENTS or "view" in dataset.internal:
        work.run.checkpoint(0.9, "writing what filters look at")
        held = dataset.internal["parts"]
        parts = datasets.parts_after(held, mode, part, fold.part if fold else None)
        view = views.make(work, dataset, parsed, parts, fold.upto if fold else None)

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        latest = report.latest_timestamp
        rows = report.rows_written
        datasets.commit_import(tx, resource, now, part=part, rows=rows, latest=latest, view=view, fold=fold)
        attributed.record(tx, now)
        if work.settings.auto_reports:
            _queue_reports(tx, resource.parent or "", now)
        usage.use(tx, resource, usage.IMPORTED_BYTES, sum(found.size for found in objects), now)

    full: dict[str, Any] = msgspec.to_builtins(report)
    return Outcome(commit, full)


def _queue_reports(tx: Transaction, arn: str, now: float) -> None:
    """Queue the health report of a dataset, and of those beside it that speak of its records."""
    dataset = tx.get(arn)
    if dataset is None or dataset.deleted_at is not None:
        return
    for other in tx.find(DATASET.arn_kind, parent=dataset.parent):
        if other.arn == arn or (other.internal["parts"] and other.body["datasetType"] in EVENTS):
            reports.queue(tx, other, now)

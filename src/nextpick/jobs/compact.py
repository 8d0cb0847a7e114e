"""Compaction job: what was put into a dataset becomes a part of it, and the log lets go of what nothing needs.

What was folded by an earlier compaction is removed at the beginning of a later one, so removing follows a fold whose
end is on disk; doing it twice does no harm.
"""

from nextpick.data.avro import parse_schema
from nextpick.data.filters.resolve import EVENTS
from nextpick.jobs import views
from nextpick.jobs.folding import fold, stream_of
from nextpick.jobs.work import JobFailure, Outcome, Work
from nextpick.resources import datasets, lifecycle, needs
from nextpick.resources.views import is_lacking, with_view
from nextpick.store import log as event_log
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Fold what was put before the dataset's mark, which is a day old."""
    dataset, log_dir = work.resource, work.settings.home / "log"
    with work.records.read() as tx:
        schema = tx.get(dataset.body["schemaArn"])
        unneeded = needs.of_stream(tx, dataset)
    if schema is None:
        raise JobFailure(f"The schema of {dataset.arn} is gone.")
    removed = event_log.remove(log_dir, stream_of(dataset), unneeded)
    parsed = parse_schema(schema.body["schema"])
    folded = fold(work, dataset, parsed, dataset.internal.get("mark", {}).get("positions"))
    view = None
    if folded.part and dataset.body["datasetType"] not in EVENTS:
        view = views.make(work, dataset, parsed, [*dataset.internal["parts"], folded.part], folded.upto)
    mark = event_log.positions(log_dir)

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        datasets.take_fold(resource, folded)
        if not with_view(resource, view) and "view" in resource.internal and is_lacking(resource):
            lifecycle.queue_job(tx, "view", resource, now)
        resource.internal = {**resource.internal, "mark": {"at": now, "positions": mark}}
        tx.save(resource)

    return Outcome(commit, {"folded": folded.rows, "removed": removed})

"""Filter job: see that the data a filter looks at can be looked at, then let it be used."""

from nextpick.data.avro import parse_schema
from nextpick.data.filters.grammar import parse
from nextpick.jobs import views
from nextpick.jobs.work import Outcome, Work
from nextpick.resources import filters, lifecycle
from nextpick.resources.views import with_view
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Write the views that the filter's datasets lack. Raises DataFailure when the data cannot be read."""
    filter = parse(work.resource.body["filterExpression"])
    with work.records.read() as tx:
        lacking = filters.lacking_views(tx, work.resource.parent or "", filter)
        schemas = {d.arn: tx.get(d.body["schemaArn"]) for d in lacking}
    made = {}
    for dataset in lacking:
        schema = schemas[dataset.arn]
        if schema is not None:
            work.run.checkpoint(0.1, f"reading {dataset.body['datasetType']}")
            parsed = parse_schema(schema.body["schema"])
            made[dataset.arn] = views.make(work, dataset, parsed, list(dataset.internal["parts"]))

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        for arn, view in made.items():
            dataset = tx.get(arn)
            if dataset is not None and with_view(dataset, view):
                tx.save(dataset)
        if filters.lacking_views(tx, resource.parent or "", filter):
            lifecycle.queue_job(tx, "filter", resource, now)  # an import has ended in between
            return
        lifecycle.move(tx, resource, lifecycle.ACTIVE, now)

    return Outcome(commit)

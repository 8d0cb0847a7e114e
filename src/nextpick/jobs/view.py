"""View job: look at a dataset's data anew, after imports that ended side by side."""

from nextpick.data.avro import parse_schema
from nextpick.jobs import views
from nextpick.jobs.work import JobFailure, Outcome, Work
from nextpick.resources import lifecycle
from nextpick.resources.views import is_lacking, with_view
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Write a view of the dataset's present parts; what was looked at before is, until this ends."""
    dataset = work.resource
    with work.records.read() as tx:
        schema = tx.get(dataset.body["schemaArn"])
    if schema is None:
        raise JobFailure(f"The schema of {dataset.arn} is gone.")
    view = views.make(work, dataset, parse_schema(schema.body["schema"]), list(dataset.internal["parts"]))

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        if with_view(resource, view):
            tx.save(resource)
        elif is_lacking(resource):
            lifecycle.queue_job(tx, "view", resource, now)

    return Outcome(commit)

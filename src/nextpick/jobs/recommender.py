"""Recommender job: train the use case and let it answer; or let one that was stopped answer again."""

from typing import Any

from nextpick.data.avro import parse_schema
from nextpick.jobs import deploy, train, views
from nextpick.jobs.work import JobFailure, Outcome, Work, training
from nextpick.names import parse_arn
from nextpick.recipes import catalogue
from nextpick.resources import lifecycle, recommenders, reports, training_data, versions
from nextpick.resources.views import is_lacking, with_view
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Train on the group's data as it is now, or verify the files of a stopped recommender.

    Raises JobFailure when the data does not suffice or a file is damaged; what served before goes on serving.
    """
    recommender = work.resource
    if recommender.status == lifecycle.START_IN_PROGRESS:
        deploy.verify(work, recommender.arn, recommender.internal["serving"]["dir"])
        return Outcome(recommenders.started)
    parts = parse_arn(recommender.body["recipeArn"])
    info = catalogue.find(parts.path) if parts else None
    if info is None:
        raise JobFailure(f"This nextpick has no recipe {recommender.body['recipeArn']}.")
    config = recommenders.target_config(recommender)
    with work.records.read() as tx:
        chosen, new = config.get("trainingDataConfig", {}), recommender.internal.get("excluded")
        excluded = training_data.left_out(tx, recommender.parent or "", chosen, new)
    view = _view(work) if info.drops is not None else None
    with training(work) as (kept, out):
        group = recommender.parent or ""
        made = train.train(kept, out, recommender.body, group, info.event_type, excluded)
    serving: dict[str, Any] = {
        "version": recommender.arn,
        "dir": out.name,
        "recipe": info.name,
        "group": group,
        "trained_on": made.trained_on,
    }

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        if view is not None:
            dataset = tx.get(view[0])
            if dataset is not None and with_view(dataset, view[1]):
                tx.save(dataset)
        recommenders.trained(tx, resource, now, serving=serving, metrics=made.metrics, hours=made.hours)
        if work.settings.auto_reports and not (info.refreshes and reports.newest(tx, resource)[0]):
            reports.queue(tx, resource, now)

    return Outcome(commit, made.report)


def _view(work: Work) -> tuple[str, dict[str, Any]] | None:
    """Write the view of the interactions that the use case's exclusion looks at, unless there is one."""
    with work.records.read() as tx:
        dataset = versions.interactions_dataset(tx, work.resource.parent)
        schema = tx.get(dataset.body["schemaArn"]) if dataset else None
    if dataset is None or schema is None or not is_lacking(dataset):
        return None
    parsed = parse_schema(schema.body["schema"])
    return dataset.arn, views.make(work, dataset, parsed, list(dataset.internal["parts"]))

"""Datasets: what an import adds, what a schema update may change.

``internal`` of a dataset: ``dir``, its directory; ``parts``, names of the immutable parts in it, oldest first, those
of records and events that were put (``Fold``) beginning with ``PUT``; ``folded``, up to where of the log these are;
``mark``, where the log was a while ago;
``rows``. Source: developer guide, "Importing data", "Replacing a dataset's schema".
"""

from typing import Any, NamedTuple

from nextpick.data.avro import Schema, parse_schema
from nextpick.errors import InvalidInput, ResourceInUse
from nextpick.resources import lifecycle, views
from nextpick.resources.kinds import DATASET, DATASET_IMPORT_JOB, RECOMMENDER, SOLUTION
from nextpick.store.records import Resource, Transaction

PUT = "put."


class Fold(NamedTuple):
    """What was put ``after`` a position of the log and ``upto`` another: its part (None where there was nothing)."""

    part: str | None
    rows: int
    after: dict[str, int]
    upto: dict[str, int]


def schemas_of(tx: Transaction, group: str) -> dict[str, Schema]:
    """Return the schemas of a dataset group by type of dataset."""
    found = {}
    for dataset in tx.find(DATASET.arn_kind, parent=group):
        schema = tx.get(dataset.body["schemaArn"])
        if schema is not None:
            found[dataset.body["datasetType"]] = parse_schema(schema.body["schema"])
    return found


def take_fold(dataset: Resource, fold: Fold) -> bool:
    """Let a fold be the dataset's newest part; False when something else was folded since it began."""
    if dataset.internal.get("folded", {}) != fold.after:
        return False
    parts = [*dataset.internal["parts"], *([fold.part] if fold.part else [])]
    rows = dataset.internal.get("rows", 0) + fold.rows
    dataset.internal = {**dataset.internal, "parts": parts, "rows": rows, "folded": fold.upto}
    return True


def check_import_mode(tx: Transaction, dataset: Resource, mode: str) -> None:
    """Raise InvalidInput when a dataset's first import would not be FULL."""
    if mode == "INCREMENTAL" and not tx.find(
        DATASET_IMPORT_JOB.arn_kind, parent=dataset.arn, status=(lifecycle.ACTIVE,)
    ):
        raise InvalidInput(f"{dataset.arn} has no bulk data yet; the first import must have importMode FULL.")


def kept(dataset: Resource) -> set[str]:
    """Return the names in a dataset's directory that its record refers to."""
    view = dataset.internal.get("view")
    return {*dataset.internal["parts"], *([view["dir"]] if view else [])}


def parts_after(parts: list[str], mode: str, part: str, fold: str | None = None) -> list[str]:
    """Return the parts a dataset has once an import has added one, or put it in the place of all others imported."""
    before = [held for held in parts if mode != "FULL" or held.startswith(PUT)]
    return [*before, *([fold] if fold else []), part]


def commit_import(
    tx: Transaction,
    job_resource: Resource,
    now: float,
    *,
    part: str,
    rows: int,
    latest: int | None,
    view: dict[str, Any] | None,
    fold: Fold | None,
) -> None:
    """Make an imported part the dataset's data (FULL) or add it (INCREMENTAL), and the job ACTIVE.

    ``view``: one of the data as it is then, unless another import has ended in between;  ``fold``: what was put
    before, which the import is the newer of.
    """
    dataset = tx.get(job_resource.parent or "")
    if dataset is None or dataset.deleted_at is not None:
        lifecycle.move(
            tx, job_resource, lifecycle.CREATE_FAILED, now, "The dataset was deleted during the import."
        )
        return
    full = job_resource.body["importMode"] == "FULL"
    if fold is not None:
        take_fold(dataset, fold)
    dataset.internal = {
        **dataset.internal,
        "parts": parts_after(dataset.internal["parts"], job_resource.body["importMode"], part),
        "rows": rows + (0 if full else dataset.internal.get("rows", 0)),
        "latest": max(latest or 0, 0 if full else dataset.internal.get("latest", 0)),
    }
    if not views.with_view(dataset, view) and "view" in dataset.internal:
        lifecycle.queue_job(tx, "view", dataset, now)
    dataset.updated_at = now
    tx.save(dataset)
    lifecycle.move(tx, job_resource, lifecycle.ACTIVE, now)


def update_schema(
    tx: Transaction, dataset: Resource, schema_arn: str, old: Schema, new: Schema, now: float
) -> None:
    """Give a dataset a schema that only adds columns; what exists of solutions and recommenders leaves the new ones out
    of training.

    Raises InvalidInput naming the column that was changed, removed, or added without null.
    """
    lifecycle.require_active(dataset, "UpdateDataset")
    if dataset.body["datasetType"] not in ("ITEMS", "USERS"):
        raise InvalidInput(
            f"{dataset.arn} is of type {dataset.body['datasetType']}; only Items and Users can be updated."
        )
    for field in old.fields:
        if new.field(field.name) != field:
            raise InvalidInput(
                f"The new schema must keep the field {field.name} of {dataset.body['schemaArn']} unchanged."
            )
    added = [f for f in new.fields if old.field(f.name) is None]
    for field in added:
        if not field.nullable:
            raise InvalidInput(f"The new field {field.name} must allow null.")
    if tx.find(DATASET_IMPORT_JOB.arn_kind, parent=dataset.arn, status=lifecycle.UNSETTLED):
        raise ResourceInUse(f"{dataset.arn} has an import that has not ended.")
    update: dict[str, Any] = {
        "schemaArn": schema_arn,
        "status": lifecycle.ACTIVE,
        "creationDateTime": now,
        "lastUpdatedDateTime": now,
    }
    dataset.body = {**dataset.body, "schemaArn": schema_arn, "latestDatasetUpdate": update}
    dataset.updated_at = now
    tx.save(dataset)
    for kind in (SOLUTION, RECOMMENDER):
        for trained in tx.find(kind.arn_kind, parent=dataset.parent):
            excluded = trained.internal.get("excluded", {})
            columns = [*excluded.get(dataset.body["datasetType"], []), *(f.name for f in added)]
            trained.internal = {
                **trained.internal,
                "excluded": {**excluded, dataset.body["datasetType"]: columns},
            }
            tx.save(trained)

"""Import job: the objects of ``dataLocation`` become an immutable part of the dataset.

Source: developer guide, "Importing bulk records with a dataset import job".
"""

from typing import Any

import msgspec

from nextpick.access.job import Refused
from nextpick.data.avro import parse_schema
from nextpick.data.table import import_part
from nextpick.jobs import import_attribution
from nextpick.jobs.work import JobFailure, Outcome, Work, datasets_dir, results
from nextpick.resources import datasets, usage
from nextpick.store import blobs
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
    try:
        bucket, prefix = blobs.parse_location(location)
        access.require("s3:ListBucket", bucket, prefix=prefix)
        objects = blobs.list_objects(location, work.settings)
        for found in objects:
            access.require("s3:GetObject", bucket, found.key)
    except (blobs.BlobError, Refused) as error:
        raise JobFailure(str(error)) from None
    attributed = import_attribution.begin(work, dataset)
    part = f"{work.job.id}.{work.job.fence}"
    out = datasets_dir(work.settings.home) / dataset.internal["dir"] / part
    least = work.settings.min_interactions
    with results(out):
        report = import_part(
            objects, parse_schema(schema.body["schema"]), dataset_type, out, work.settings, work.run
        )
        if dataset_type == "INTERACTIONS" and report.rows_read < least:
            raise JobFailure(
                f"The import has {report.rows_read} interactions; an import of interactions needs at least {least}."
            )
        attributed.measure(out, parse_schema(schema.body["schema"]))

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        latest = report.latest_timestamp
        datasets.commit_import(tx, resource, now, part=part, rows=report.rows_written, latest=latest)
        attributed.record(tx, now)
        usage.use(tx, resource, usage.IMPORTED_BYTES, sum(found.size for found in objects), now)

    full: dict[str, Any] = msgspec.to_builtins(report)
    return Outcome(commit, full)

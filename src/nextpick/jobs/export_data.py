"""Export job: a dataset, or what was imported or put into it, as one CSV object.

Source: developer guide, "Exporting the training data in a dataset to Amazon S3".
"""

import shutil

from nextpick.data import kinds
from nextpick.data.avro import parse_schema
from nextpick.data.export import write_csv
from nextpick.jobs.folding import fold
from nextpick.jobs.objects import target
from nextpick.jobs.work import JobFailure, Outcome, Work, batches_dir, datasets_dir, results
from nextpick.resources import lifecycle
from nextpick.resources.datasets import PUT
from nextpick.store.put import put_file
from nextpick.store.readable import BlobError
from nextpick.store.records import Resource, Transaction


def perform(work: Work) -> Outcome:
    """Write the rows of ``ingestionMode``: BULK what was imported, PUT what was put, ALL both.

    Raises JobFailure where the role may not write or the bucket cannot be written.
    """
    body = work.resource.body
    with work.records.read() as tx:
        dataset = tx.get(work.resource.parent or "")
        schema = tx.get(dataset.body["schemaArn"]) if dataset else None
    if dataset is None or schema is None:
        raise JobFailure("The dataset was deleted during the export.")
    name = f"{work.resource.name}.csv"
    bucket, prefix = target(work.access(), body["jobOutput"]["s3DataDestination"]["path"], name)
    parsed, kind = parse_schema(schema.body["schema"]), kinds.find(dataset.body["datasetType"], None)
    assert kind is not None
    directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
    folded = fold(work, dataset, parsed)
    parts = [*dataset.internal["parts"], *([folded.part] if folded.part else [])]
    mode = body["ingestionMode"]
    wanted = [part for part in parts if mode == "ALL" or part.startswith(PUT) == (mode == "PUT")]
    try:
        with results(batches_dir(work.settings.home) / work.job.id) as scratch:
            scratch.mkdir(parents=True, exist_ok=True)
            rows = write_csv(scratch / name, parsed, kind, [directory / part for part in wanted], work.run)
            owner = f"job-{work.job.id}"
            put_file(scratch / name, bucket, f"{prefix}{name}", work.settings, owner=owner)
            shutil.rmtree(scratch)
    except BlobError as error:
        raise JobFailure(f"Invalid S3 output path. {error}") from None
    finally:
        if folded.part:
            shutil.rmtree(directory / folded.part, ignore_errors=True)

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        lifecycle.move(tx, resource, lifecycle.ACTIVE, now)

    return Outcome(commit, {"rows": rows})

"""CreateDatasetExportJob."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.errors import InvalidInput
from nextpick.resources import lifecycle
from nextpick.resources.kinds import DATASET, DATASET_EXPORT_JOB


@operation("CreateDatasetExportJob")
def create_dataset_export_job(ctx: Context, request: Request) -> Answer:
    if not request["jobOutput"]["s3DataDestination"]["path"].startswith("s3://"):
        raise InvalidInput("Invalid S3 output path")
    with ctx.records.write() as tx:
        dataset = lifecycle.get(tx, DATASET, request["datasetArn"], **ctx.owner)
        lifecycle.require_active(dataset, "an export")
        job = lifecycle.create(
            tx,
            DATASET_EXPORT_JOB,
            **ctx.owner,
            name=request["jobName"],
            parent=dataset.arn,
            body=body_of(request, ingestionMode=request.get("ingestionMode", "PUT")),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
            job="export",
        )
    return {"datasetExportJobArn": job.arn}

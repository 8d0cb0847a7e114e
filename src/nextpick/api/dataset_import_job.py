"""CreateDatasetImportJob."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.errors import InvalidInput
from nextpick.resources import attributions, datasets, lifecycle, rules
from nextpick.resources.kinds import DATASET, DATASET_IMPORT_JOB


@operation("CreateDatasetImportJob")
def create_dataset_import_job(ctx: Context, request: Request) -> Answer:
    mode = request.get("importMode", "FULL")
    if not request["dataSource"].get("dataLocation", "").startswith("s3://"):
        raise InvalidInput("Invalid Data location.")
    with ctx.records.write() as tx:
        dataset = lifecycle.get(tx, DATASET, request["datasetArn"], **ctx.owner)
        lifecycle.require_active(dataset, "an import")
        if ctx.settings.count_quotas:
            rules.check_quota(tx, DATASET_IMPORT_JOB, **ctx.owner, name=request["jobName"])
        datasets.check_import_mode(tx, dataset, mode)
        if request.get("publishAttributionMetricsToS3") and dataset.body["datasetType"] == "INTERACTIONS":
            attributions.require_destination(tx, dataset.parent or "")
        job = lifecycle.create(
            tx,
            DATASET_IMPORT_JOB,
            **ctx.owner,
            name=request["jobName"],
            parent=dataset.arn,
            body=body_of(request, importMode=mode),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
            job="import",
        )
    return {"datasetImportJobArn": job.arn}

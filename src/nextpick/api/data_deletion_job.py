"""CreateDataDeletionJob."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.errors import InvalidInput
from nextpick.resources import lifecycle, rules
from nextpick.resources.kinds import DATA_DELETION_JOB, DATASET_GROUP


@operation("CreateDataDeletionJob")
def create_data_deletion_job(ctx: Context, request: Request) -> Answer:
    if not request["dataSource"].get("dataLocation", "").startswith("s3://"):
        raise InvalidInput("Invalid Data location.")
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        lifecycle.require_active(group, "a data deletion job")
        if ctx.settings.count_quotas:
            rules.check_quota(tx, DATA_DELETION_JOB, **ctx.owner, parent=group.arn, name=request["jobName"])
        job = lifecycle.create(
            tx,
            DATA_DELETION_JOB,
            **ctx.owner,
            name=request["jobName"],
            parent=group.arn,
            body=body_of(request),
            now=ctx.now(),
            internal={"tags": tags_of(request)},
            job="delete",
        )
    return {"dataDeletionJobArn": job.arn}

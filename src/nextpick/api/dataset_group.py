"""CreateDatasetGroup."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.errors import InvalidInput
from nextpick.resources import lifecycle, rules
from nextpick.resources.kinds import DATASET_GROUP
from nextpick.store import log as event_log


@operation("CreateDatasetGroup")
def create_dataset_group(ctx: Context, request: Request) -> Answer:
    if ("roleArn" in request) != ("kmsKeyArn" in request):
        raise InvalidInput(
            "roleArn and kmsKeyArn are given together: the role is the one that may use the key."
        )
    with ctx.records.write() as tx:
        if ctx.settings.count_quotas:
            rules.check_quota(tx, DATASET_GROUP, **ctx.owner, name=request["name"])
        group = lifecycle.create(
            tx,
            DATASET_GROUP,
            **ctx.owner,
            name=request["name"],
            body=body_of(request),
            now=ctx.now(),
            internal={
                "tags": tags_of(request),
                "since": event_log.positions(
                    ctx.settings.home / "log"
                ),  # what an earlier one of its name left
            },
        )
    answer = {"datasetGroupArn": group.arn}
    return answer | ({"domain": request["domain"]} if "domain" in request else {})

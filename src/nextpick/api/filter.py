"""CreateFilter."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.data.filters.grammar import parse
from nextpick.data.filters.resolve import Columns
from nextpick.resources import filters, lifecycle, rules
from nextpick.resources.kinds import DATASET_GROUP, FILTER


@operation("CreateFilter")
def create_filter(ctx: Context, request: Request) -> Answer:
    tags = tags_of(request)
    filter = parse(request["filterExpression"])
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        lifecycle.require_active(group, "a filter")
        columns: Columns = filters.check(tx, group, filter)
        if ctx.settings.count_quotas:
            rules.check_quota(tx, FILTER, **ctx.owner, parent=group.arn, name=request["name"])
            filters.check_fields(tx, group, filter)
        made = lifecycle.create(
            tx,
            FILTER,
            **ctx.owner,
            name=request["name"],
            parent=group.arn,
            body=body_of(request),
            now=ctx.now(),
            internal={"tags": tags, "columns": columns},
            job="filter" if filters.lacking_views(tx, group.arn, filter) else None,
        )
    return {"filterArn": made.arn}

"""CreateSchema."""

from nextpick.api.context import Answer, Context, Request, body_of, operation
from nextpick.data.avro import parse_schema
from nextpick.resources import lifecycle, rules
from nextpick.resources.kinds import SCHEMA


@operation("CreateSchema")
def create_schema(ctx: Context, request: Request) -> Answer:
    parse_schema(request["schema"])
    with ctx.records.write() as tx:
        if ctx.settings.count_quotas:
            rules.check_quota(tx, SCHEMA, **ctx.owner, name=request["name"])
        schema = lifecycle.create(
            tx, SCHEMA, **ctx.owner, name=request["name"], body=body_of(request), now=ctx.now()
        )
    return {"schemaArn": schema.arn}

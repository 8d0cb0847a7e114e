"""Reports of nextpick's own service: how good a version is, how healthy a dataset."""

import json
from typing import Any

from nextpick.api.context import Answer, Context, Request, operation
from nextpick.api.own import job_view
from nextpick.errors import InvalidInput, ResourceNotFound
from nextpick.names import parse_arn
from nextpick.resources import lifecycle, reports, versions
from nextpick.resources.kinds import SOLUTION
from nextpick.store.records import Resource, Transaction


@operation("GetEvaluation", "nextpick")
def get_evaluation(ctx: Context, request: Request) -> Answer:
    return _get(ctx, request["resourceArn"], reports.EVALUATE)


@operation("StartEvaluation", "nextpick")
def start_evaluation(ctx: Context, request: Request) -> Answer:
    return _start(ctx, request["resourceArn"], reports.EVALUATE)


@operation("GetDataHealth", "nextpick")
def get_data_health(ctx: Context, request: Request) -> Answer:
    return _get(ctx, request["datasetArn"], reports.HEALTH)


@operation("StartDataHealth", "nextpick")
def start_data_health(ctx: Context, request: Request) -> Answer:
    return _start(ctx, request["datasetArn"], reports.HEALTH)


def _get(ctx: Context, arn: str, kind: str) -> dict[str, Any]:
    """Return the newest report that is done, and the newest job for one, which may still be at it."""
    with ctx.records.read() as tx:
        newest, done = reports.newest(tx, _resource(ctx, tx, arn, kind))
    answer: dict[str, Any] = {"job": job_view(newest)} if newest else {}
    if done is not None:
        answer |= {"report": json.dumps(done.report), "reportedAt": done.finished_at}
    return answer


def _start(ctx: Context, arn: str, kind: str) -> dict[str, Any]:
    with ctx.records.write() as tx:
        resource = _resource(ctx, tx, arn, kind)
        lifecycle.require_active(resource, "a report")
        return {"job": job_view(reports.queue(tx, resource, ctx.now()))}


def _resource(ctx: Context, tx: Transaction, arn: str, kind: str) -> Resource:
    """Return what an ARN means: a resource that this kind of report is of; of a solution its newest ACTIVE version."""
    resource = tx.get(arn)
    if (
        resource is None
        or resource.deleted_at is not None
        or (resource.account, resource.region) != (ctx.call.account, ctx.call.region)
    ):
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    parts = parse_arn(arn)
    if kind == reports.EVALUATE and resource.kind == SOLUTION.arn_kind and parts and "/" not in parts.path:
        return versions.resolve(tx, f"{arn}/$LATEST", **ctx.owner)
    if reports.kind_of(resource) != kind:
        what = "solution versions and recommenders" if kind == reports.EVALUATE else "datasets"
        raise InvalidInput(f"{arn} is none of the {what} there are such reports of.")
    return resource

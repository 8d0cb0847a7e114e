"""CreateMetricAttribution, UpdateMetricAttribution and ListMetricAttributionMetrics.

Source: developer guide, "Measuring the impact of recommendations".
"""

from typing import Any

from nextpick.api.context import Answer, Context, Request, body_of, operation
from nextpick.errors import InvalidInput, ResourceNotFound
from nextpick.resources import attributions, lifecycle, rules
from nextpick.resources.kinds import DATASET_GROUP, METRIC_ATTRIBUTION
from nextpick.store import log as event_log
from nextpick.wire import paging

_LISTED_AT_MOST = 100


@operation("CreateMetricAttribution")
def create_metric_attribution(ctx: Context, request: Request) -> Answer:
    """Begin to measure: events and imports before this are not counted."""
    attributions.check_metrics(request["metrics"])
    attributions.check_output(request["metricsOutputConfig"])
    positions = event_log.positions(ctx.settings.home / "log")
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        lifecycle.require_active(group, "a metric attribution")
        attributions.metrics_of(tx, group.arn, request["metrics"])
        if ctx.settings.count_quotas:
            rules.check_quota(tx, METRIC_ATTRIBUTION, **ctx.owner, parent=group.arn, name=request["name"])
        read = {metric["metricName"]: positions for metric in request["metrics"]}
        attribution = lifecycle.create(
            tx,
            METRIC_ATTRIBUTION,
            **ctx.owner,
            name=request["name"],
            parent=group.arn,
            body=body_of(request),
            now=ctx.now(),
            internal={"read": read, "sources": []},
        )
    return {"metricAttributionArn": attribution.arn}


@operation("UpdateMetricAttribution")
def update_metric_attribution(ctx: Context, request: Request) -> Answer:
    arn = _arn(request)
    add, remove = request.get("addMetrics", []), request.get("removeMetrics", [])
    output = request.get("metricsOutputConfig")
    if not (add or remove or output):
        raise InvalidInput("Give addMetrics, removeMetrics or metricsOutputConfig.")
    attributions.check_output(output or {})
    positions = event_log.positions(ctx.settings.home / "log")
    with ctx.records.write() as tx:
        attribution = lifecycle.get(tx, METRIC_ATTRIBUTION, arn, **ctx.owner)
        lifecycle.require_active(attribution, "an update")
        attributions.update(
            tx, attribution, add=add, remove=remove, output=output, positions=positions, now=ctx.now()
        )
    return {"metricAttributionArn": arn}


@operation("ListMetricAttributionMetrics")
def list_metric_attribution_metrics(ctx: Context, request: Request) -> Answer:
    arn = _arn(request)
    scope = f"ListMetricAttributionMetrics {ctx.call.account} {ctx.call.region} {arn}"
    secret, size = ctx.services.page_secret, request.get("maxResults", _LISTED_AT_MOST)
    first = paging.position(request.get("nextToken"), scope=scope, secret=secret)
    with ctx.records.read() as tx:
        try:
            metrics = lifecycle.get(tx, METRIC_ATTRIBUTION, arn, **ctx.owner).body["metrics"]
        except ResourceNotFound as error:  # which the model does not declare here
            raise InvalidInput(error.message) from None
    answer: dict[str, Any] = {"metrics": metrics[first : first + size]}
    if len(metrics) > first + size:
        answer["nextToken"] = paging.token(first + size, scope=scope, secret=secret)
    return answer


def _arn(request: Request) -> str:
    if "metricAttributionArn" not in request:
        raise InvalidInput("metricAttributionArn is required.")
    return request["metricAttributionArn"]

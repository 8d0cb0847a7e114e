"""GetAttributionMetrics and GetUsage: nextpick's own operations on what was measured and used."""

from typing import Any

from nextpick.api.context import Answer, Context, Request, operation
from nextpick.errors import InvalidInput
from nextpick.names import parse_arn
from nextpick.resources import attributions, usage
from nextpick.resources.kinds import METRIC_ATTRIBUTION
from nextpick.store.usage import WINDOW_S, requests
from nextpick.wire import paging

_WINDOWS_AT_MOST = 100
_PERIODS_AT_MOST = 2016  # a week of 5 minutes


@operation("GetAttributionMetrics", "nextpick")
def get_attribution_metrics(ctx: Context, request: Request) -> Answer:
    arn = request["metricAttributionArn"]
    parts = parse_arn(arn)
    if parts is None or parts.kind != METRIC_ATTRIBUTION.arn_kind:
        raise InvalidInput(f"{arn} is not the Arn of a metric attribution.")
    if (parts.account, parts.region) != (ctx.call.account, ctx.call.region):
        raise InvalidInput(f"{arn} is not of account {ctx.call.account} and region {ctx.call.region}.")
    start, end = int(request.get("startTime", 0)), int(request.get("endTime", attributions.END))
    scope = f"GetAttributionMetrics {arn} {start} {end}"
    secret, size = ctx.services.page_secret, request.get("maxResults", _WINDOWS_AT_MOST)
    after = paging.position(request.get("nextToken"), scope=scope, secret=secret)
    first, last = max(start, after + 1 if after else 0, 0), max(0, min(end, attributions.END))
    with ctx.records.read() as tx:
        windows = attributions.stored(tx, arn, first, last, size + 1)
    cells = [cell for _, inside in windows[:size] for cell in inside]
    answer: dict[str, Any] = {"metrics": [_metric(cell) for cell in cells]}
    if len(windows) > size:
        answer["nextToken"] = paging.token(windows[size - 1][0], scope=scope, secret=secret)
    return answer


def _metric(cell: attributions.Cell) -> dict[str, Any]:
    return {
        "metricName": cell.metric,
        "eventType": cell.event_type,
        "mathFunction": cell.function,
        "eventAttributionSource": cell.source,
        "startTime": cell.window,
        "value": cell.value,
    }


@operation("GetUsage", "nextpick")
def get_usage(ctx: Context, request: Request) -> Answer:
    """Times are widened to whole periods; what has not begun yet is left out."""
    period = request.get("period", WINDOW_S)
    if period % WINDOW_S:
        raise InvalidInput(f"period is {period}; it must be a multiple of {WINDOW_S} seconds.")
    start, end = int(request["startTime"]), min(int(request["endTime"]), int(ctx.now()) + 1)
    if not 0 <= start < request["endTime"]:
        raise InvalidInput("startTime must be before endTime.")
    start, end = start // period * period, -(-end // WINDOW_S) * WINDOW_S
    if end - start > _PERIODS_AT_MOST * period:
        raise InvalidInput(
            f"That is more than {_PERIODS_AT_MOST} periods of {period} seconds; ask for longer periods or less time."
        )
    prefix = f"arn:aws:personalize:{ctx.call.region}:{ctx.call.account}:"
    counted = requests(ctx.settings.home / "usage", start, end)
    mine = {arn: windows for arn, windows in counted.items() if arn.startswith(prefix)}
    with ctx.records.read() as tx:
        used = usage.used(tx, **ctx.owner, start=start, end=end)
        capacity = usage.capacities(tx, **ctx.owner)
    return {
        "trainings": [
            {"resourceArn": one.arn, "hours": one.quantity, "endedAt": one.at}
            for one in used
            if one.kind == usage.TRAINING_HOURS
        ],
        "imports": [
            {"resourceArn": one.arn, "bytes": one.quantity, "endedAt": one.at}
            for one in used
            if one.kind == usage.IMPORTED_BYTES
        ],
        "requests": [
            {
                "resourceArn": load.arn,
                "startTime": load.start,
                "requests": load.requests,
                "averageTps": load.average,
                "minimumTps": load.minimum,
                "tpsHours": load.tps_hours,
            }
            for load in usage.loads(mine, capacity, start=start, end=end, period=period)
        ],
    }

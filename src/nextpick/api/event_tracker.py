"""CreateEventTracker."""

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.errors import ResourceAlreadyExists
from nextpick.names import short_id, tracking_id
from nextpick.resources import lifecycle
from nextpick.resources.kinds import DATASET_GROUP, EVENT_TRACKER


@operation("CreateEventTracker")
def create_event_tracker(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        lifecycle.require_active(group, "an event tracker")
        taken = tx.find(EVENT_TRACKER.arn_kind, parent=group.arn)
        if taken:
            raise ResourceAlreadyExists(f"{group.arn} already has an event tracker, {taken[0].arn}.")
        body = body_of(request, accountId=ctx.call.account, trackingId=tracking_id())
        tracker = lifecycle.create(
            tx,
            EVENT_TRACKER,
            **ctx.owner,
            name=request["name"],
            path=short_id(),
            parent=group.arn,
            body=body,
            now=ctx.now(),
            internal={"tags": tags_of(request)},
        )
        group.internal = {**group.internal, "tracked": True}
        tx.save(group)
    return {"eventTrackerArn": tracker.arn, "trackingId": body["trackingId"]}

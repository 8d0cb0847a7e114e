"""CreateDataset, UpdateDataset and DeleteDataset."""

import uuid

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.data.avro import check_schema, parse_schema
from nextpick.errors import InvalidInput, ResourceAlreadyExists, ResourceInUse, ResourceNotFound
from nextpick.names import tracking_id
from nextpick.resources import datasets, lifecycle, rules
from nextpick.resources.kinds import DATASET, DATASET_GROUP, EVENT_TRACKER, SCHEMA
from nextpick.store import erase
from nextpick.store import log as event_log

_TYPES = ("INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS")
_EVENTS = "/EVENT_INTERACTIONS"  # the dataset that a tracker brought along in the service's first years


@operation("CreateDataset")
def create_dataset(ctx: Context, request: Request) -> Answer:
    dataset_type = request["datasetType"].upper()
    if dataset_type not in _TYPES:
        raise InvalidInput(f"datasetType {request['datasetType']} is not one of {', '.join(_TYPES)}.")
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, request["datasetGroupArn"], **ctx.owner)
        schema = lifecycle.get(tx, SCHEMA, request["schemaArn"], **ctx.owner)
        lifecycle.require_active(group, "a dataset")
        domain = group.body.get("domain")
        if schema.body.get("domain") != domain:
            raise InvalidInput(
                f"{schema.arn} is of domain {schema.body.get('domain', 'none')}, "
                f"{group.arn} of domain {domain or 'none'}; they must be the same."
            )
        if domain and dataset_type in ("ACTIONS", "ACTION_INTERACTIONS"):
            raise InvalidInput(f"A dataset group of domain {domain} has no dataset of type {dataset_type}.")
        check_schema(parse_schema(schema.body["schema"]), dataset_type, domain)
        if any(d.name == request["name"] for d in tx.find(DATASET.arn_kind, parent=group.arn)):
            raise ResourceAlreadyExists(f"{group.arn} already has a dataset named {request['name']}.")
        body = body_of(request, datasetType=dataset_type)
        if dataset_type == "ACTION_INTERACTIONS":
            body["trackingId"] = tracking_id()
        dataset = lifecycle.create(
            tx,
            DATASET,
            **ctx.owner,
            name=request["name"],
            path=f"{group.name}/{dataset_type}",
            parent=group.arn,
            body=body,
            now=ctx.now(),
            internal={
                "tags": tags_of(request),
                "dir": uuid.uuid4().hex,
                "parts": [],
                "folded": group.internal["since"]
                if dataset_type
                == "INTERACTIONS"  # the events of a group's trackers are there before its dataset
                else event_log.positions(ctx.settings.home / "log"),
            },
        )
    return {"datasetArn": dataset.arn}


@operation("UpdateDataset")
def update_dataset(ctx: Context, request: Request) -> Answer:
    with ctx.records.write() as tx:
        dataset = lifecycle.get(tx, DATASET, request["datasetArn"], **ctx.owner)
        old = lifecycle.get(tx, SCHEMA, dataset.body["schemaArn"], **ctx.owner)
        new = lifecycle.get(tx, SCHEMA, request["schemaArn"], **ctx.owner)
        if new.body.get("domain") != old.body.get("domain"):
            raise InvalidInput(
                f"{new.arn} is of domain {new.body.get('domain', 'none')}, {old.arn} of domain "
                f"{old.body.get('domain', 'none')}; they must be the same."
            )
        new_schema = parse_schema(new.body["schema"])
        check_schema(new_schema, dataset.body["datasetType"], new.body.get("domain"))
        datasets.update_schema(tx, dataset, new.arn, parse_schema(old.body["schema"]), new_schema, ctx.now())
    return {"datasetArn": dataset.arn}


@operation("DeleteDataset")
def delete_dataset(ctx: Context, request: Request) -> Answer:
    arn: str = request["datasetArn"]
    if arn.endswith(_EVENTS):
        _delete_events(ctx, arn)
        return
    with ctx.records.write() as tx:
        rules.delete(tx, lifecycle.get(tx, DATASET, arn, **ctx.owner), ctx.now())


def _delete_events(ctx: Context, arn: str) -> None:
    """Delete what a group's event trackers recorded and no dataset has taken in yet."""
    group_arn = arn.removesuffix(_EVENTS).replace(":dataset/", ":dataset-group/", 1)
    with ctx.records.read() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, group_arn, **ctx.owner)
        trackers = tx.find(EVENT_TRACKER.arn_kind, parent=group.arn)
    if trackers:
        raise ResourceInUse(f"{arn} is in use by {trackers[0].arn}.")
    if not group.internal.get("tracked"):
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    erase.remove_group(ctx.settings.home / "log", group.arn)
    with ctx.records.write() as tx:
        group = lifecycle.get(tx, DATASET_GROUP, group_arn, **ctx.owner)
        group.internal = {key: value for key, value in group.internal.items() if key != "tracked"}
        tx.save(group)
        for dataset in tx.find(DATASET.arn_kind, parent=group.arn):
            if dataset.body["datasetType"] == "INTERACTIONS" and "view" in dataset.internal:
                lifecycle.queue_job(tx, "view", dataset, ctx.now())  # the one that is there shows the events

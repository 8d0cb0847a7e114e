"""CreateDataset and UpdateDataset."""

import uuid

from nextpick.api.context import Answer, Context, Request, body_of, operation, tags_of
from nextpick.data.avro import check_schema, parse_schema
from nextpick.errors import InvalidInput, ResourceAlreadyExists
from nextpick.names import tracking_id
from nextpick.resources import datasets, lifecycle
from nextpick.resources.kinds import DATASET, DATASET_GROUP, SCHEMA
from nextpick.store import log as event_log

_TYPES = ("INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS")


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
        new_schema = parse_schema(new.body["schema"])
        check_schema(new_schema, dataset.body["datasetType"], new.body.get("domain"))
        datasets.update_schema(tx, dataset, new.arn, parse_schema(old.body["schema"]), new_schema, ctx.now())
    return {"datasetArn": dataset.arn}

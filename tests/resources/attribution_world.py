"""A shop with events that have types, and items that have prices."""

import json
from typing import Any

from worlds import ROLE, Api, Shop

NOW = 1_700_000_000
FIELDS = [
    {"name": "USER_ID", "type": "string"},
    {"name": "ITEM_ID", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"},
    {"name": "EVENT_TYPE", "type": "string"},
    {"name": "EVENT_VALUE", "type": ["null", "float"]},
    {"name": "NUM_PAGES", "type": ["null", "int"]},
    {"name": "DEVICE", "type": ["null", "string"], "categorical": True},
    {"name": "RECOMMENDATION_ID", "type": ["null", "string"]},
    {"name": "EVENT_ATTRIBUTION_SOURCE", "type": ["null", "string"]},
]
ITEMS = [
    {"name": "ITEM_ID", "type": "string"},
    {"name": "PRICE", "type": "float"},
    {"name": "GENRE", "type": "string", "categorical": True},
]
COUNT = {"eventType": "watch", "metricName": "COUNTWATCHES", "expression": "SAMPLECOUNT()"}
TOTAL = {"eventType": "BUY", "metricName": "revenue", "expression": "sum( Items.price )"}
PAGES = {"eventType": "watch", "metricName": "pages", "expression": "SUM(Interactions.NUM_PAGES)"}


def schema(name: str, fields: list[dict[str, Any]]) -> str:
    """Return an Avro schema."""
    return json.dumps({"type": "record", "name": name, "fields": fields, "version": "1.0"})


class Market(Shop):
    """A dataset group with interactions that have types and items that have prices."""

    def __init__(self, api: Api, name: str = "market", fields: list[dict[str, Any]] = FIELDS) -> None:
        self.api, self.name = api, name
        p = api.personalize
        self.group = p.create_dataset_group(name=name)["datasetGroupArn"]
        made = {}
        for kind, of in (("Interactions", fields), ("Items", ITEMS)):
            arn = p.create_schema(name=f"{name}-{kind}", schema=schema(kind, of))["schemaArn"]
            made[kind] = p.create_dataset(
                name=kind, schemaArn=arn, datasetGroupArn=self.group, datasetType=kind
            )["datasetArn"]
        self.dataset, self.items = made["Interactions"], made["Items"]

    def attribute(self, *metrics: dict[str, str], path: str | None = "s3://reports/out/", **more: Any) -> str:
        """Create a metric attribution and return its ARN."""
        output: dict[str, Any] = {"roleArn": ROLE}
        if path is not None:
            output["s3DataDestination"] = {"path": path}
        return self.api.personalize.create_metric_attribution(
            name=more.get("name", self.name),
            datasetGroupArn=self.group,
            metrics=list(metrics),
            metricsOutputConfig=output,
        )["metricAttributionArn"]

    def import_items(
        self, text: str = "ITEM_ID,PRICE,GENRE\ni1,10.5,a\ni2,2.25,b\n", name: str = "items"
    ) -> None:
        """Import items."""
        location = self.api.put_object("data", f"{name}.csv", text)
        arn = self.api.personalize.create_dataset_import_job(
            jobName=name, datasetArn=self.items, dataSource={"dataLocation": location}, roleArn=ROLE
        )["datasetImportJobArn"]
        assert self.imported(arn)["status"] == "ACTIVE"

"""A small world of films: items and users with metadata, events with types, filters over them."""

import json
from typing import Any

from botocore.exceptions import ClientError

from worlds import ROLE, Shop

ITEMS_SCHEMA = {
    "type": "record",
    "name": "Items",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "GENRE", "type": ["null", "string"], "categorical": True},
        {"name": "PRICE", "type": ["float", "null"]},
        {"name": "YEAR", "type": "int"},
        {"name": "TITLE", "type": "string"},
        {"name": "TEXT", "type": ["null", "string"], "textual": True},
        {"name": "ADULT", "type": "boolean"},
    ],
    "version": "1.0",
}
USERS_SCHEMA = {
    "type": "record",
    "name": "Users",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}],
    "version": "1.0",
}
EVENTS_SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}
ALL = set(range(40))
COMEDY, HORROR = {i for i in ALL if i % 3 == 0}, {i for i in ALL if i % 3 == 2}
GENRES = ("comedy", "drama", "horror|drama")


class World(Shop):
    """40 items of which every third is comedy, drama, and horror and drama; item i costs i and is of 1980 + i."""

    def __init__(self, api: Any) -> None:
        self.api, self.name = api, "shop"
        self.group = api.personalize.create_dataset_group(name="shop")["datasetGroupArn"]
        events = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
        for user in range(60):
            for step in range(20):
                item = (2 * (user // 2 * 7 + step) + user % 2) % 40
                type_ = "purchase" if step == 0 else "click"
                events.append(f"u{user},i{item},{type_},{1_700_000_000 + step * 60 + user}")
        items = ["ITEM_ID,GENRE,PRICE,YEAR,TITLE,TEXT,ADULT"]
        items += [
            f"i{i},{GENRES[i % 3]},{i}.5,{1980 + i},Title {i},about {i},{i % 2 == 0}" for i in range(40)
        ]
        users = ["USER_ID,AGE", *(f"u{i},{i}" for i in range(60))]
        self.dataset = self.add("Interactions", EVENTS_SCHEMA, events)
        self.items = self.add("Items", ITEMS_SCHEMA, items)
        self.users = self.add("Users", USERS_SCHEMA, users)
        self.tracker = api.personalize.create_event_tracker(name="t", datasetGroupArn=self.group)[
            "trackingId"
        ]
        self.campaign = self.deployed("c", self.version("s", "aws-user-personalization"))

    def version(self, name: str, recipe: str) -> str:
        version = self.train(self.solution(name, recipe))
        assert self.trained(version)["status"] == "ACTIVE"
        return version

    def add(self, kind: str, schema: dict[str, Any], rows: list[str], job: str = "import") -> str:
        personalize = self.api.personalize
        schema_arn = personalize.create_schema(name=kind.lower(), schema=json.dumps(schema))["schemaArn"]
        dataset = personalize.create_dataset(
            name=kind, schemaArn=schema_arn, datasetGroupArn=self.group, datasetType=kind
        )["datasetArn"]
        self.bring(dataset, f"{job}-{kind}", rows)
        return dataset

    def bring(self, dataset: str, name: str, rows: list[str], mode: str = "FULL") -> None:
        location = self.api.put_object("data", f"{name}.csv", "\n".join(rows) + "\n")
        job = self.api.personalize.create_dataset_import_job(
            jobName=name,
            datasetArn=dataset,
            dataSource={"dataLocation": location},
            roleArn=ROLE,
            importMode=mode,
        )["datasetImportJobArn"]
        done = self.imported(job)
        assert done["status"] == "ACTIVE", done

    def filter(self, name: str, expression: str) -> str:
        arn = self.api.personalize.create_filter(
            name=name, datasetGroupArn=self.group, filterExpression=expression
        )["filterArn"]
        made = self.api.settle(lambda: self.api.personalize.describe_filter(filterArn=arn))
        assert made["status"] == "ACTIVE", made
        return arn

    def items_of(
        self, expression: str, *, user: str = "u1", campaign: str | None = None, **request: Any
    ) -> set[int]:
        """Return the numbers of all items that a filter lets into an answer."""
        name = f"f{abs(hash(expression))}"
        arn = f"arn:aws:personalize:us-east-1:000000000000:filter/{name}"
        try:
            arn = self.filter(name, expression)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
            arn = self.group.replace("dataset-group/shop", f"filter/{name}")
        answer = self.recommend(
            campaign or self.campaign, userId=user, numResults=100, filterArn=arn, **request
        )
        return {int(item["itemId"][1:]) for item in answer["itemList"]}

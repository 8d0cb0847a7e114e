"""An engine's clients, and small worlds whose right answers are known."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import nextpick
from nextpick.store.records import Records

ROLE = "arn:aws:iam::000000000000:role/personalize"
INTERACTIONS_SCHEMA = """{"type": "record", "name": "Interactions",
 "namespace": "com.amazonaws.personalize.schema",
 "fields": [{"name": "USER_ID", "type": "string"}, {"name": "ITEM_ID", "type": "string"},
 {"name": "TIMESTAMP", "type": "long"}], "version": "1.0"}"""
HEADER = "USER_ID,ITEM_ID,TIMESTAMP\n"


def settle(describe: Callable[[], dict[str, Any]], timeout_s: float = 60) -> dict[str, Any]:
    """Describe until the status is no longer on its way, and return the last answer's resource."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = describe()
        resource = next(value for key, value in answer.items() if key != "ResponseMetadata")
        updates = (resource.get(f"latest{kind}Update", {}) for kind in ("Campaign", "Recommender"))
        update = next((update["status"] for update in updates if update), "")
        on_its_way = (
            "CREATE PENDING",
            "CREATE IN_PROGRESS",
            "CREATE STOPPING",
            "START PENDING",
            "START IN_PROGRESS",
        )
        if resource["status"] not in on_its_way and update not in on_its_way:
            return resource
        assert time.monotonic() < deadline, f"still {resource['status']} after {timeout_s} s"


@contextmanager
def in_state(api: "Api", arn: str, status: str) -> Iterator[None]:
    """Have a resource in a state while something is tried."""
    with closing(Records(api.library.home / "nextpick.db")) as records:
        with records.write() as tx:
            found = tx.get(arn)
            assert found is not None, arn
            before, found.status = found.status, status
            tx.save(found)
        try:
            yield
        finally:
            with records.write() as tx:
                found = tx.get(arn)
                if found is not None:
                    found.status = before
                    tx.save(found)


class Api:
    """The clients of one engine, with client-side validation off so that bad input reaches the server."""

    def __init__(self, library: Any) -> None:
        self.library = library
        unchecked = {"parameter_validation": False}
        self.personalize = library.client("personalize", **unchecked)
        self.runtime = library.client("personalize-runtime", **unchecked)
        self.events = library.client("personalize-events", **unchecked)
        self.nextpick = library.client("nextpick", **unchecked)

    def put_object(self, bucket: str, key: str, text: str) -> str:
        """Write an object into the bucket directory and return its location."""
        path = self.library.home / "buckets" / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return f"s3://{bucket}/{key}"

    settle = staticmethod(settle)


def open_api(home: Path, **settings: Any) -> Api:
    """Open a home and return its clients; reports are made where a test asks for them."""
    settings.setdefault("auto_reports", False)
    return Api(nextpick.open(home, **settings))


def checkerboard(users: int = 60, items: int = 40, per_user: int = 20) -> str:
    """Return a CSV in which even users like even items and odd users odd ones, in a walk around the board."""
    rows = []
    for user in range(users):
        for step in range(per_user):
            item = (2 * (user // 2 * 7 + step) + user % 2) % items
            rows.append(f"u{user},i{item},{1_700_000_000 + step * 60 + user}")
    return HEADER + "\n".join(rows) + "\n"


class Shop:
    """A dataset group with an interactions dataset, and shorthand for what is done to it."""

    def __init__(self, api: Any, name: str = "shop", schema: str = INTERACTIONS_SCHEMA) -> None:
        self.api, self.name = api, name
        personalize = api.personalize
        self.group = personalize.create_dataset_group(name=name)["datasetGroupArn"]
        self.schema = personalize.create_schema(name=f"{name}-schema", schema=schema)["schemaArn"]
        self.dataset = personalize.create_dataset(
            name="interactions", schemaArn=self.schema, datasetGroupArn=self.group, datasetType="Interactions"
        )["datasetArn"]

    def start_import(self, name: str, text: str | None = None, *, key: str | None = None, **more: Any) -> str:
        """Start an import of a CSV text and return the job's ARN."""
        key = key or f"{name}.csv"
        location = self.api.put_object("data", key, text) if text is not None else f"s3://data/{key}"
        return self.api.personalize.create_dataset_import_job(
            jobName=name, datasetArn=self.dataset, dataSource={"dataLocation": location}, roleArn=ROLE, **more
        )["datasetImportJobArn"]

    def imported(self, arn: str) -> dict[str, Any]:
        """Wait for an import and return it."""
        return self.api.settle(
            lambda: self.api.personalize.describe_dataset_import_job(datasetImportJobArn=arn)
        )

    def solution(self, name: str = "s", recipe: str = "aws-user-personalization", **more: Any) -> str:
        """Create a solution without automatic training and return its ARN."""
        more.setdefault("performAutoTraining", False)
        return self.api.personalize.create_solution(
            name=name, datasetGroupArn=self.group, recipeArn=f"arn:aws:personalize:::recipe/{recipe}", **more
        )["solutionArn"]

    def train(self, solution: str, **more: Any) -> str:
        """Start a training and return the version's ARN."""
        return self.api.personalize.create_solution_version(solutionArn=solution, **more)[
            "solutionVersionArn"
        ]

    def trained(self, version: str) -> dict[str, Any]:
        """Wait for a version and return it."""
        return self.api.settle(
            lambda: self.api.personalize.describe_solution_version(solutionVersionArn=version)
        )

    def deployed(self, name: str, version: str, **more: Any) -> str:
        """Create a campaign, wait until it is ACTIVE, and return its ARN."""
        arn = self.api.personalize.create_campaign(name=name, solutionVersionArn=version, **more)[
            "campaignArn"
        ]
        campaign = self.api.settle(lambda: self.api.personalize.describe_campaign(campaignArn=arn))
        assert campaign["status"] == "ACTIVE", campaign
        return arn

    def recommend(self, campaign: str, **request: Any) -> dict[str, Any]:
        """Ask for recommendations."""
        return self.api.runtime.get_recommendations(campaignArn=campaign, **request)

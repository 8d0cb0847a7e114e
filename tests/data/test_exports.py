"""Export jobs: what was imported, put, or both, as CSV that can be imported again."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from films import World
from worlds import ROLE, open_api


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(Path(tmp_path_factory.mktemp("exports")))
    (api.library.home / "buckets" / "out").mkdir(parents=True)
    made = World(api)
    item = {
        "itemId": "i0",
        "properties": json.dumps({"genre": "a|b", "year": 7, "title": 'say "x", y', "adult": True}),
    }
    api.events.put_items(datasetArn=made.items, items=[item])
    event = {"eventType": "rent", "sentAt": 1_800_000_000, "itemId": "i9"}
    api.events.put_events(trackingId=made.tracker, userId="u1", sessionId="s", eventList=[event])
    yield made
    api.library.close()


def export(world: World, name: str, dataset: str, **more: Any) -> list[list[str]]:
    arn = world.api.personalize.create_dataset_export_job(
        jobName=name,
        datasetArn=dataset,
        roleArn=ROLE,
        jobOutput={"s3DataDestination": {"path": "s3://out/exports/"}},
        **more,
    )["datasetExportJobArn"]
    assert arn.endswith(f":dataset-export-job/{name}")
    done = world.api.settle(
        lambda: world.api.personalize.describe_dataset_export_job(datasetExportJobArn=arn)
    )
    assert done["status"] == "ACTIVE", done
    text = (world.api.library.home / "buckets/out/exports" / f"{name}.csv").read_text()
    assert text.partition("\n")[0] == ",".join(next(csv.reader(io.StringIO(text)))), (
        "the header is not quoted"
    )
    return list(csv.reader(io.StringIO(text)))


def test_put_is_what_is_exported_when_nothing_is_said(world: World) -> None:
    assert export(world, "put-items", world.items) == [
        ["ITEM_ID", "GENRE", "PRICE", "YEAR", "TITLE", "TEXT", "ADULT"],
        ["i0", "a|b", "", "7", 'say "x", y', "", "true"],
    ]
    assert export(world, "put-events", world.dataset, ingestionMode="PUT") == [
        ["USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP"],
        ["u1", "i9", "rent", "1800000000"],
    ]


def test_bulk_is_what_was_imported_and_all_is_the_newest(world: World) -> None:
    bulk = export(world, "bulk", world.items, ingestionMode="BULK")
    assert len(bulk) == 41
    assert ["i0", "comedy", "0.5", "1980", "Title 0", "about 0", "true"] in bulk
    everything = export(world, "all", world.items, ingestionMode="ALL")
    assert len(everything) == 41
    assert ["i0", "a|b", "", "7", 'say "x", y', "", "true"] in everything
    events = export(world, "all-events", world.dataset, ingestionMode="ALL")
    assert len(events) == 1 + 60 * 20 + 1


def test_an_export_can_be_imported_again(world: World) -> None:
    before = export(world, "before", world.items, ingestionMode="ALL")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(before)
    world.bring(world.items, "again", text.getvalue().splitlines())
    assert export(world, "after", world.items, ingestionMode="ALL") == before


def test_exports_are_listed_by_dataset_and_refused_where_they_cannot_go(world: World) -> None:
    personalize = world.api.personalize
    export(world, "of-users", world.users)
    listed = personalize.list_dataset_export_jobs(datasetArn=world.users)["datasetExportJobs"]
    assert {job["jobName"] for job in listed} == {"of-users"}
    arguments = {"datasetArn": world.items, "roleArn": ROLE}
    with pytest.raises(ClientError, match="Invalid S3 output path"):
        personalize.create_dataset_export_job(
            jobName="x", jobOutput={"s3DataDestination": {"path": "https://elsewhere/x"}}, **arguments
        )
    with pytest.raises(ClientError, match="already exists"):
        personalize.create_dataset_export_job(
            jobName="of-users", jobOutput={"s3DataDestination": {"path": "s3://out/"}}, **arguments
        )
    arn = personalize.create_dataset_export_job(
        jobName="nowhere", jobOutput={"s3DataDestination": {"path": "s3://missing/"}}, **arguments
    )["datasetExportJobArn"]
    done = world.api.settle(lambda: personalize.describe_dataset_export_job(datasetExportJobArn=arn))
    assert done["status"] == "CREATE FAILED"
    assert "missing" in done["failureReason"]

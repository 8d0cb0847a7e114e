"""Import jobs through the API: what becomes ACTIVE, what fails and how it says so, and what then is there."""

import json
import time
from contextlib import closing
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from worlds import HEADER, ROLE, Api, Shop, checkerboard, open_api

ROWS = checkerboard().splitlines(keepends=True)[1:]


@pytest.fixture
def shop(api: Api) -> Shop:
    return Shop(api)


def rows_of(api: Api, import_arn: str) -> int:
    """Return how many rows an import has written, from its job's report."""
    return json.loads(api.nextpick.get_job_report(resourceArn=import_arn)["report"])["rows_written"]


def test_an_import_of_a_thousand_rows_becomes_active_and_echoes_what_was_asked(api: Api, shop: Shop) -> None:
    job = shop.imported(shop.start_import("first", HEADER + "".join(ROWS[:1000])))
    assert job["status"] == "ACTIVE"
    assert job["importMode"] == "FULL"
    assert job["dataSource"] == {"dataLocation": "s3://data/first.csv"}
    assert job["roleArn"] == ROLE
    assert job["lastUpdatedDateTime"] > job["creationDateTime"]
    assert rows_of(api, job["datasetImportJobArn"]) == 1000


def test_a_missing_column_fails_the_import_by_name(shop: Shop) -> None:
    job = shop.imported(shop.start_import("bad", "USER_ID,TIMESTAMP\nu1,1\n"))
    assert job["status"] == "CREATE FAILED"
    assert "missing the following columns:[ITEM_ID]" in job["failureReason"]


def test_a_systematic_mistake_fails_the_import_with_file_line_column_and_value(shop: Shop) -> None:
    text = checkerboard().replace(",17", ",12/3 ")
    job = shop.imported(shop.start_import("bad", text))
    assert job["status"] == "CREATE FAILED"
    for part in ("bad.csv", "line 2", "TIMESTAMP", "12/3"):
        assert part in job["failureReason"]


def test_a_failed_import_leaves_the_data_as_it_was(api: Api, shop: Shop) -> None:
    shop.imported(shop.start_import("good", checkerboard()))
    shop.imported(shop.start_import("bad", "USER_ID,TIMESTAMP\nu1,1\n"))
    version = shop.trained(shop.train(shop.solution()))
    assert version["status"] == "ACTIVE"


def test_a_location_where_nothing_is_fails_the_import(shop: Shop) -> None:
    shop.api.put_object("data", "something.csv", "")
    job = shop.imported(shop.start_import("none", key="nothing.csv"))
    assert job["status"] == "CREATE FAILED"
    assert "s3://data/nothing.csv" in job["failureReason"]


def test_a_location_that_is_no_s3_url_is_refused_at_once(api: Api, shop: Shop) -> None:
    with pytest.raises(ClientError) as raised:
        api.personalize.create_dataset_import_job(
            jobName="j", datasetArn=shop.dataset, dataSource={"dataLocation": "http://x/y.csv"}, roleArn=ROLE
        )
    assert raised.value.response["Error"]["Code"] == "InvalidInputException"


def test_the_first_import_must_be_full(shop: Shop) -> None:
    with pytest.raises(ClientError) as raised:
        shop.start_import("j", checkerboard(), importMode="INCREMENTAL")
    assert raised.value.response["Error"]["Code"] == "InvalidInputException"


def test_the_sixth_import_at_once_is_one_too_many(tmp_path: Path) -> None:
    with closing(open_api(tmp_path / "home", job_slots=0).library) as library:  # none ends before the sixth
        shop = Shop(Api(library))
        started = [shop.start_import(f"j{i}", checkerboard()) for i in range(5)]
        with pytest.raises(ClientError) as raised:
            shop.start_import("j5", checkerboard())
        assert raised.value.response["Error"]["Code"] == "LimitExceededException"
        assert "More than 5 resources with PENDING or IN_PROGRESS status." in str(raised.value)
    with closing(open_api(tmp_path / "home").library) as library:
        shop.api = Api(library)
        assert {shop.imported(arn)["status"] for arn in started} == {"ACTIVE"}


def test_incremental_adds_and_full_replaces(api: Api, shop: Shop) -> None:
    more = checkerboard().replace("u", "v").replace("v1,", "v-one,").replace("UvER", "USER")
    for name, mode in (("full", "FULL"), ("more", "INCREMENTAL"), ("again", "FULL")):
        text = checkerboard() if mode == "FULL" else HEADER + "".join(more.splitlines(keepends=True)[1:])
        assert shop.imported(shop.start_import(name, text, importMode=mode))["status"] == "ACTIVE"
        if name == "more":
            shop.trained(version := shop.train(shop.solution("both")))
            report = json.loads(api.nextpick.get_job_report(resourceArn=version)["report"])
            assert (report["interactions"], report["users"]) == (2400, 120)
    shop.trained(version := shop.train(shop.solution("one")))
    report = json.loads(api.nextpick.get_job_report(resourceArn=version)["report"])
    assert (report["interactions"], report["users"]) == (1200, 60)


def test_a_dataset_is_not_deleted_while_an_import_runs(api: Api, shop: Shop) -> None:
    arn = shop.start_import("j", checkerboard())
    with pytest.raises(ClientError) as raised:
        api.personalize.delete_dataset(datasetArn=shop.dataset)
    assert raised.value.response["Error"]["Code"] == "ResourceInUseException"
    shop.imported(arn)
    api.personalize.delete_dataset(datasetArn=shop.dataset)


def test_an_import_with_too_few_interactions_says_how_many_are_needed(shop: Shop) -> None:
    job = shop.imported(shop.start_import("few", HEADER + "".join(ROWS[:999])))
    assert job["status"] == "CREATE FAILED"
    assert "999" in job["failureReason"]
    assert "1000" in job["failureReason"]


def test_an_import_that_is_stopped_leaves_the_data_as_it_was(api: Api) -> None:
    shop = Shop(api)
    assert shop.imported(shop.start_import("first", checkerboard()))["status"] == "ACTIVE"
    arn = shop.start_import("second", checkerboard(users=4000, items=500, per_user=60), importMode="FULL")
    deadline = time.monotonic() + 30
    while api.nextpick.describe_job(resourceArn=arn)["job"]["state"] == "QUEUED":
        assert time.monotonic() < deadline
    assert api.nextpick.stop_job(resourceArn=arn)["job"]["state"] in ("STOPPING", "STOPPED")
    job = shop.imported(arn)
    assert (job["status"], job["failureReason"]) == ("CREATE FAILED", "The job was stopped.")
    (part,) = (api.library.home / "blobs" / "datasets").glob("*/*")
    assert sum(json.loads((part / "part.json").read_text())["buckets"]) == 1200
    with pytest.raises(ClientError, match="only a queued or running job can be stopped"):
        api.nextpick.stop_job(resourceArn=arn)


def test_a_missing_bucket_is_named(api: Api) -> None:
    shop = Shop(api)
    arn = shop.start_import("one", key="one.csv")
    failed = shop.imported(arn)
    assert failed["status"] == "CREATE FAILED"
    assert failed["failureReason"].startswith("Invalid Data location. There is no bucket data")

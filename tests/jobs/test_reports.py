"""Reports: made after what they are about, asked for anew, left behind by nothing."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from served import Server, wait_for_job_process
from worlds import ROLE, Api, Shop, checkerboard, open_api

ENDED = ("DONE", "FAILED", "STOPPED")


@pytest.fixture
def shop(api: Api) -> Shop:
    shop = Shop(api)
    assert shop.imported(shop.start_import("j", checkerboard()))["status"] == "ACTIVE"
    return shop


def version_of(shop: Shop, recipe: str = "aws-popularity-count") -> str:
    return shop.trained(shop.train(shop.solution(recipe=recipe)))["solutionVersionArn"]


def ended(get: Callable[[], dict[str, Any]], timeout_s: float = 60) -> dict[str, Any]:
    """Ask until the newest report's job has ended, and return the answer."""
    deadline = time.monotonic() + timeout_s
    while (answer := get()).get("job", {}).get("state") not in ENDED:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return answer


def test_a_training_and_an_import_are_followed_by_their_reports(tmp_path: Path) -> None:
    api = open_api(tmp_path / "home", auto_reports=True)
    try:
        shop = Shop(api)
        shop.imported(shop.start_import("j", checkerboard()))
        version = version_of(shop)
        own = api.nextpick
        told = ended(lambda: own.get_evaluation(resourceArn=version))
        assert json.loads(told["report"])["recipe"] == "aws-popularity-count"
        healthy = ended(lambda: own.get_data_health(datasetArn=shop.dataset))
        assert json.loads(healthy["report"])["rows"] == 1200
        # The version was ACTIVE before its evaluation was begun, and its own job is still the training.
        described = api.personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]
        assert described["lastUpdatedDateTime"] <= told["job"]["createdAt"]
        assert own.describe_job(resourceArn=version)["job"]["kind"] == "train"
        scratch = (api.library.home / "blobs" / "datasets").glob("*/*.health")
        assert list(scratch) == []
    finally:
        api.library.close()


def test_an_evaluation_can_be_asked_for_by_version_or_solution_and_anew(shop: Shop) -> None:
    own, version = shop.api.nextpick, version_of(shop)
    solution = version.rpartition("/")[0]
    answer = own.get_evaluation(resourceArn=version)
    assert {"job", "report"} & answer.keys() == set()
    first = own.start_evaluation(resourceArn=solution)["job"]
    assert first["resourceArn"] == version
    told = ended(lambda: own.get_evaluation(resourceArn=solution))
    assert told["job"]["jobId"] == first["jobId"]
    again = own.start_evaluation(resourceArn=version)["job"]
    assert again["jobId"] != first["jobId"]
    assert "report" in own.get_evaluation(
        resourceArn=version
    )  # the one before stays until the new one is done
    newer = ended(lambda: own.get_evaluation(resourceArn=version))
    figures = [{**json.loads(a["report"]), "seconds": 0} for a in (told, newer)]
    assert figures[0] == figures[1]


def test_what_reports_are_not_of_is_named(shop: Shop) -> None:
    own, personalize = shop.api.nextpick, shop.api.personalize
    version = version_of(shop)
    with pytest.raises(ClientError, match=r"ResourceNotFound.*solution/none"):
        own.get_evaluation(resourceArn="arn:aws:personalize:us-east-1:000000000000:solution/none")
    with pytest.raises(ClientError, match=r"InvalidInput.*none of the solution versions and recommenders"):
        own.get_evaluation(resourceArn=shop.dataset)
    with pytest.raises(ClientError, match=r"InvalidInput.*none of the datasets"):
        own.start_data_health(datasetArn=version)
    failed = shop.train(shop.solution("few", eventType="none"))
    assert shop.trained(failed)["status"] == "CREATE FAILED"
    with pytest.raises(ClientError, match=r"ResourceInUse.*CREATE FAILED"):
        own.start_evaluation(resourceArn=failed)
    empty = personalize.create_dataset(
        name="empty", schemaArn=shop.schema, datasetType="Interactions",
        datasetGroupArn=personalize.create_dataset_group(name="empty")["datasetGroupArn"],
    )["datasetArn"]  # fmt: skip
    own.start_data_health(datasetArn=empty)
    answer = ended(lambda: own.get_data_health(datasetArn=empty))
    assert answer["job"]["state"] == "FAILED"
    assert "no data yet" in answer["job"]["message"]
    assert personalize.describe_dataset(datasetArn=empty)["dataset"]["status"] == "ACTIVE"


def test_the_report_of_a_deleted_version_ends_quietly(shop: Shop) -> None:
    own, version = shop.api.nextpick, version_of(shop, "aws-user-personalization")
    job = own.start_evaluation(resourceArn=version)["job"]["jobId"]
    shop.api.personalize.delete_solution(solutionArn=version.rpartition("/")[0])
    told = ended(lambda: own.describe_job(jobId=job))
    assert told["job"]["state"] == "STOPPED"
    with pytest.raises(ClientError, match="ResourceNotFound"):
        own.get_evaluation(resourceArn=version)


def test_a_report_can_be_stopped_and_its_version_goes_on(shop: Shop) -> None:
    own, version = shop.api.nextpick, version_of(shop)
    job = own.start_evaluation(resourceArn=version)["job"]["jobId"]
    own.stop_job(jobId=job)
    assert ended(lambda: own.describe_job(jobId=job))["job"]["state"] in ("STOPPED", "DONE")
    described = shop.api.personalize.describe_solution_version(solutionVersionArn=version)
    assert described["solutionVersion"]["status"] == "ACTIVE"


def test_users_that_are_deleted_leave_the_health_report(shop: Shop) -> None:
    busy = "".join(f"robot,i{n % 40},{1_700_100_000 + n * 20}\n" for n in range(1100))
    shop.imported(shop.start_import("more", checkerboard() + busy))
    own, personalize = shop.api.nextpick, shop.api.personalize
    own.start_data_health(datasetArn=shop.dataset)
    assert '"robot"' in ended(lambda: own.get_data_health(datasetArn=shop.dataset))["report"]
    location = shop.api.put_object("data", "gone.csv", "USER_ID\nrobot\n")
    deletion = personalize.create_data_deletion_job(
        jobName="d", datasetGroupArn=shop.group, dataSource={"dataLocation": location}, roleArn=ROLE,
    )["dataDeletionJobArn"]  # fmt: skip
    describe = lambda: personalize.describe_data_deletion_job(dataDeletionJobArn=deletion)["dataDeletionJob"]  # noqa: E731
    deadline = time.monotonic() + 60
    while describe()["status"] not in ("COMPLETED", "FAILED"):
        assert time.monotonic() < deadline
    assert describe()["status"] == "COMPLETED"
    assert '"robot"' not in own.get_data_health(datasetArn=shop.dataset)["report"]


def test_records_have_a_report_of_their_columns(shop: Shop) -> None:
    schema = json.dumps(
        {
            "type": "record",
            "name": "Items",
            "namespace": "com.amazonaws.personalize.schema",
            "fields": [
                {"name": "ITEM_ID", "type": "string"},
                {"name": "GENRE", "type": ["null", "string"], "categorical": True},
                {"name": "SHOP", "type": "string", "categorical": True},
                {"name": "PRICE", "type": ["null", "float"]},
            ],
            "version": "1.0",
        }
    )
    personalize, own = shop.api.personalize, shop.api.nextpick
    arn = personalize.create_schema(name="items", schema=schema)["schemaArn"]
    items = personalize.create_dataset(
        name="items", schemaArn=arn, datasetGroupArn=shop.group, datasetType="Items"
    )["datasetArn"]
    rows = "".join(f"i{n},{'a|b' if n % 2 else ''},here,{n}.5\n" for n in range(50))
    location = shop.api.put_object("data", "items.csv", "ITEM_ID,GENRE,SHOP,PRICE\n" + rows)
    job = personalize.create_dataset_import_job(
        jobName="items", datasetArn=items, dataSource={"dataLocation": location}, roleArn=ROLE,
    )["datasetImportJobArn"]  # fmt: skip
    shop.imported(job)
    own.start_data_health(datasetArn=items)
    report = json.loads(ended(lambda: own.get_data_health(datasetArn=items))["report"])
    columns = {c["name"]: (c["filled"], c["values"]) for c in report["columns"]}
    assert columns == {"GENRE": (0.5, 2), "SHOP": (1.0, 1), "PRICE": (1.0, 50)}
    assert [f["text"] for f in report["findings"] if f["name"] == "constant columns"] == [
        "SHOP: say the same everywhere."
    ]
    own.start_data_health(datasetArn=shop.dataset)
    of_events = json.loads(ended(lambda: own.get_data_health(datasetArn=shop.dataset))["report"])
    (cold,) = [f for f in of_events["findings"] if f["name"] == "cold share"]
    assert cold["text"].startswith("10 of 50 items (20.0%)")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "home", workers=1).start()
    yield served
    served.stop()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")
def test_an_evaluation_whose_process_is_killed_is_done_again(server: Server) -> None:
    shop = Shop(server)
    shop.imported(shop.start_import("j", checkerboard(users=400, items=200, per_user=40)))
    version = version_of(shop, "aws-user-personalization")
    job = server.nextpick.start_evaluation(resourceArn=version)["job"]["jobId"]
    os.kill(wait_for_job_process(server.pid, job), signal.SIGKILL)
    told = ended(lambda: server.nextpick.get_evaluation(resourceArn=version))
    assert (told["job"]["state"], told["job"]["attempts"]) == ("DONE", 2)
    assert json.loads(told["report"])["status"] == "MEASURED"

"""From the first byte of a CSV to the first answer, through the API, step by step.

``python bench/end_to_end.py`` takes MovieLens 100K (NEXTPICK_DATA; the made bookshop without it);
``--csv FILE`` a file of USER_ID, ITEM_ID, EVENT_TYPE, EVENT_VALUE, TIMESTAMP as ``import_rows.py --keep`` writes it.
Each step's seconds, and the peak memory of its job's process.
"""

import argparse
import contextlib
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from import_rows import SCHEMA
from nextpick.testing.bookshop import bookshop
from nextpick.testing.movielens import find_ml100k, movielens
from nextpick.testing.server import ServerProcess
from serve import tree

ROLE = "arn:aws:iam::000000000000:role/bench"
RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"


class Peak:
    """The most resident memory any job's process of a server had since the last look."""

    def __init__(self, supervisor: int) -> None:
        self._supervisor, self._most_mb = supervisor, 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                for pid in tree(self._supervisor):
                    self._look(Path(f"/proc/{pid}"))
            time.sleep(0.02)

    def _look(self, process: Path) -> None:
        if b"nextpick.jobs.child" in (process / "cmdline").read_bytes():
            status = (process / "status").read_text()
            peak = status.partition("VmHWM:")[2].split()
            self._most_mb = max(self._most_mb, int(peak[0]) / 1024 if peak else 0.0)

    def take_mb(self) -> float:
        """Return it and begin again."""
        most, self._most_mb = self._most_mb, 0.0
        return most


def settled(describe: Any, **arn: str) -> dict[str, Any]:
    """Describe until ACTIVE."""
    while True:
        resource = next(v for k, v in describe(**arn).items() if k != "ResponseMetadata")
        if resource["status"] == "ACTIVE":
            return resource
        assert "FAILED" not in resource["status"], resource


def run(server: ServerProcess, csv: Path, schema: str, user: str) -> None:
    """Print the steps."""
    personalize, runtime = server.client("personalize"), server.client("personalize-runtime")
    peak = Peak(server.pid)
    group = personalize.create_dataset_group(name="bench")["datasetGroupArn"]
    schema_arn = personalize.create_schema(name="bench", schema=schema)["schemaArn"]
    dataset = personalize.create_dataset(
        name="bench", schemaArn=schema_arn, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    steps: list[tuple[str, float, float]] = []

    def step(name: str, started: float) -> None:
        steps.append((name, time.perf_counter() - started, peak.take_mb()))
        print(f"{name:12} {steps[-1][1]:8.2f} s   peak {steps[-1][2]:7.0f} MB", flush=True)

    began = started = time.perf_counter()
    bucket = server.home / "buckets" / "bench"
    bucket.mkdir(parents=True)
    shutil.copyfile(csv, bucket / "interactions.csv")
    step("copy", started)
    started = time.perf_counter()
    job = personalize.create_dataset_import_job(
        jobName="bench",
        datasetArn=dataset,
        dataSource={"dataLocation": "s3://bench/interactions.csv"},
        roleArn=ROLE,
    )["datasetImportJobArn"]
    settled(personalize.describe_dataset_import_job, datasetImportJobArn=job)
    step("import", started)
    started = time.perf_counter()
    solution = personalize.create_solution(
        name="bench", datasetGroupArn=group, recipeArn=RECIPE, performAutoTraining=False
    )["solutionArn"]
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    settled(personalize.describe_solution_version, solutionVersionArn=version)
    step("training", started)
    started = time.perf_counter()
    campaign = personalize.create_campaign(name="bench", solutionVersionArn=version)["campaignArn"]
    settled(personalize.describe_campaign, campaignArn=campaign)
    step("campaign", started)
    started = time.perf_counter()
    items = runtime.get_recommendations(campaignArn=campaign, userId=user)["itemList"]
    step("first answer", started)
    assert len(items) == 25
    print(f"{'in all':12} {time.perf_counter() - began:8.2f} s")
    print(json.dumps(personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]))


def main() -> None:
    """Run on the data that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--home", type=Path, help="where the temporary home is made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.home) as scratch:
        csv, schema = given.csv, json.dumps(SCHEMA)
        if csv is None:
            folder = find_ml100k()
            shop = movielens(folder) if folder else bookshop()
            csv, schema = shop.write(Path(scratch))["Interactions"], shop.schemas["Interactions"]
        with csv.open() as file:
            print(f"{csv.name}: {csv.stat().st_size / 1e6:,.1f} MB")
            file.readline()
            user = file.readline().split(",")[0]
        server = ServerProcess(Path(scratch) / "home")
        server.start()
        try:
            run(server, csv, schema, user)
        finally:
            server.stop()


if __name__ == "__main__":
    main()

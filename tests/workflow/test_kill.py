"""kill -9 under a real server: executions go on where they were, and nothing is made twice."""

import copy
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from test_train_machine import TRAIN

from nextpick.testing.server import ServerProcess
from served import children_of, command_of
from worlds import INTERACTIONS_SCHEMA, ROLE, checkerboard

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds processes through /proc")


def quick(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the train machine from its import on, with waits of a tenth of a second."""
    kept = [name for name in definition["States"] if "prepar" not in name.lower()]
    states = {name: dict(definition["States"][name]) for name in kept}
    for state in states.values():
        if state["Type"] == "Wait":
            state["Seconds"] = 0.1
    return {"StartAt": "CreateDatasetImportJob", "States": states}


def services_of(server: ServerProcess) -> list[int]:
    return [pid for pid in children_of(server.pid) if "nextpick.automation" in command_of(pid)]


def test_killed_again_and_again_the_train_machine_makes_everything_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "buckets" / "data").mkdir(parents=True)
    (home / "buckets" / "data" / "i.csv").write_text(checkerboard())
    server = ServerProcess(home)
    server.start()
    try:
        personalize = server.client("personalize")
        states = server.client("stepfunctions")
        group = personalize.create_dataset_group(name="g")["datasetGroupArn"]
        schema = personalize.create_schema(name="s", schema=INTERACTIONS_SCHEMA)["schemaArn"]
        of = {"schemaArn": schema, "datasetGroupArn": group, "datasetType": "Interactions"}
        dataset = personalize.create_dataset(name="d", **of)["datasetArn"]
        given = {
            "S3input": "s3://data/i.csv",
            "SolutionArn": "NONE",
            "SolutionName": "movies",
            "DatasetGroupArn": group,
            "DatasetArn": dataset,
            "RoleArn": ROLE,
            "RecipeArn": "arn:aws:personalize:::recipe/aws-popularity-count",
        }
        definition = copy.deepcopy(quick(TRAIN))
        del definition["States"]["CreateSolution"]["Parameters"]["PerformHPO"]
        machine = states.create_state_machine(name="m", definition=json.dumps(definition), roleArn=ROLE)
        arn = states.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given))
        kills, seen, deadline = 0, 0, time.monotonic() + 120
        while (found := states.describe_execution(executionArn=arn["executionArn"]))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            events = states.get_execution_history(executionArn=arn["executionArn"], maxResults=1000)["events"]
            if len(events) > seen and kills < 4:  # each time it has got somewhere
                for pid in services_of(server):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
                seen = len(events)
            time.sleep(0.01)
        assert kills >= 3
        assert found["status"] == "SUCCEEDED", (found.get("error"), found.get("cause"))
        imports = personalize.list_dataset_import_jobs(datasetArn=dataset)["datasetImportJobs"]
        (solution,) = personalize.list_solutions(datasetGroupArn=group)["solutions"]
        versions = personalize.list_solution_versions(solutionArn=solution["solutionArn"])["solutionVersions"]
        assert (len(imports), len(versions)) == (1, 1)
    finally:
        server.stop()

"""The train machine of a movie system: preparation, import, solution, version, with its polls and its history."""

import json
from pathlib import Path
from typing import Any

import pytest
from workshop import EXAMPLES, Workshop, by_hand

from nextpick.workflow import executions
from nextpick.workflow.preparation import Run
from worlds import ROLE, Shop, checkerboard

TRAIN = json.loads((EXAMPLES / "train.asl.json").read_text())
JOB = "Recommendation-movies-transform"


def prepares(run: Run) -> None:
    target = run.home / "buckets" / "data" / "model_input"
    target.mkdir(parents=True, exist_ok=True)
    (target / "interactions.csv").write_text(checkerboard())


def movies(home: Path) -> tuple[Workshop, dict[str, str]]:
    """Return a workshop with a dataset, and the input of the machine."""
    shop = Workshop(home, finders=(lambda name: prepares if name == JOB else None,))
    made = Shop(shop.api)
    return shop, {
        "S3input": "s3://data/model_input/",
        "SolutionArn": "NONE",
        "SolutionName": "movies",
        "DatasetGroupArn": made.group,
        "DatasetArn": made.dataset,
        "RoleArn": ROLE,
        "RecipeArn": "arn:aws:personalize:::recipe/aws-popularity-count",
    }


def made(shop: Workshop, given: dict[str, str]) -> tuple[int, int, int]:
    """Return how many import jobs, solutions and versions there are."""
    personalize = shop.api.personalize
    imports = personalize.list_dataset_import_jobs(datasetArn=given["DatasetArn"])["datasetImportJobs"]
    solutions = personalize.list_solutions(datasetGroupArn=given["DatasetGroupArn"])["solutions"]
    versions = [
        version
        for solution in solutions
        for version in personalize.list_solution_versions(solutionArn=solution["solutionArn"])[
            "solutionVersions"
        ]
    ]
    return len(imports), len(solutions), len(versions)


def test_it_prepares_imports_and_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(monkeypatch)
    shop, given = movies(tmp_path / "home")
    machine = shop.make(TRAIN, "GlueETLPersonalizeTraining")
    (found,) = shop.states.list_state_machines()["stateMachines"]
    assert found["name"] == "GlueETLPersonalizeTraining"
    ended = shop.run(machine, given, name="first")
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    version = json.loads(ended["output"])["SolutionVersionArn"]
    solution = shop.api.personalize.describe_solution(solutionArn=version.rpartition("/")[0])["solution"]
    assert solution["performHPO"] is True
    assert made(shop, given) == (1, 1, 1)
    entered = shop.entered(ended["executionArn"])
    assert entered[0] == "Start preparation"
    assert entered[-3:] == ["Is there a solution?", "CreateSolution", "Train it"]
    key = "taskScheduledEventDetails"
    details = [event[key] for event in shop.history(ended["executionArn"]) if key in event]
    assert {(one["resourceType"], one["resource"]) for one in details} >= {
        ("glue", "startJobRun"),
        ("aws-sdk:glue", "getJobRun"),
        ("aws-sdk:personalize", "createDatasetImportJob"),
    }
    # The import's name is a constant of the machine, so a second run fails there, as the original does.
    again = shop.run(machine, given, name="second")
    assert (again["status"], again["error"]) == ("FAILED", "Personalize.ResourceAlreadyExistsException")
    # A solution that is named is trained again, which an input of its own import would allow.
    kept = ("Is there a solution?", "Train it again", "CreateSolution", "Train it")
    tail = {"StartAt": kept[0], "States": {name: TRAIN["States"][name] for name in kept}}
    machine = shop.make(tail, "again")
    third = shop.run(machine, {**given, "SolutionArn": solution["solutionArn"]})
    assert third["status"] == "SUCCEEDED", third.get("cause")
    assert made(shop, given) == (1, 1, 2)
    shop.close()


def test_a_kill_after_any_effect_makes_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand(monkeypatch)
    shop, given = movies(tmp_path / "home")
    write = executions.append
    lost: set[str] = set()

    def append(database: Any, arn: str, events: Any) -> None:
        """Lose the first record of each answer, which is what a kill between call and record does."""
        for event in events:
            if event.type == "TaskSucceeded" and event.path not in lost:
                lost.add(event.path)
                raise OSError("gone")
        write(database, arn, events)

    monkeypatch.setattr(executions, "append", append)
    machine = shop.make(TRAIN)
    execution = shop.states.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
    while True:
        before = len(lost)
        ended = shop.finish(execution, lambda before=before: len(lost) > before)
        if ended["status"] != "RUNNING":
            break
        shop.restart()
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    states = {path.strip("/").partition(":")[0] for path in lost}
    assert states >= {"Start preparation", "CreateDatasetImportJob", "CreateSolution", "Train it"}
    assert made(shop, given) == (1, 1, 1)
    with shop.workflow.database.read() as db:
        assert db.execute("SELECT COUNT(*) FROM preparation").fetchone()[0] == 1
    shop.close()

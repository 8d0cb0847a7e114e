"""The AWS CLI as a client: from an empty server to recommendations, with what ``nextpick env`` prints and no more."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from served import Server
from worlds import INTERACTIONS_SCHEMA, ROLE, checkerboard

AWS = Path(sys.executable).parent / "aws"


class Shell:
    """A shell after ``eval "$(nextpick env)"``."""

    def __init__(self, home: Path) -> None:
        printed = subprocess.run(
            [sys.executable, "-m", "nextpick", "env", "--home", str(home)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        exports = dict(
            line.removeprefix("export ").split("=", 1)
            for line in printed.stdout.splitlines()
            if line.startswith("export ")
        )
        clean = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        self.environ = {**clean, **nowhere, **exports, "AWS_PAGER": ""}

    def aws(self, *words: str, fails: bool = False) -> Any:
        """Run a command and return what it printed, as JSON where it is; of one that fails, its message."""
        done = subprocess.run(
            [str(AWS), *words], env=self.environ, capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0) == fails, done.stderr
        if fails:
            return done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    def active(self, kind: str, *words: str) -> dict[str, Any]:
        """Describe something until it is ACTIVE."""
        deadline = time.monotonic() + 60
        while True:
            (found,) = self.aws("personalize", f"describe-{kind}", *words).values()
            if found["status"] == "ACTIVE":
                return found
            assert found["status"] in ("CREATE PENDING", "CREATE IN_PROGRESS"), found
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    server = Server(tmp_path_factory.mktemp("cli") / "home", workers=1).start()
    yield Shell(server.home)
    server.stop()


def test_from_a_schema_to_recommendations(shell: Shell, tmp_path: Path) -> None:
    aws = shell.aws
    (tmp_path / "schema.json").write_text(INTERACTIONS_SCHEMA)
    (tmp_path / "rows.csv").write_text(checkerboard())
    aws("s3", "mb", "s3://data")
    aws("s3", "cp", str(tmp_path / "rows.csv"), "s3://data/rows.csv")
    schema = aws(
        "personalize", "create-schema", "--name", "s", "--schema", f"file://{tmp_path / 'schema.json'}"
    )["schemaArn"]
    group = aws("personalize", "create-dataset-group", "--name", "g")["datasetGroupArn"]
    shell.active("dataset-group", "--dataset-group-arn", group)
    dataset = aws(
        "personalize", "create-dataset", "--name", "d", "--dataset-group-arn", group,
        "--dataset-type", "Interactions", "--schema-arn", schema,
    )["datasetArn"]  # fmt: skip
    job = aws(
        "personalize", "create-dataset-import-job", "--job-name", "j", "--dataset-arn", dataset,
        "--data-source", "dataLocation=s3://data/rows.csv", "--role-arn", ROLE,
    )["datasetImportJobArn"]  # fmt: skip
    shell.active("dataset-import-job", "--dataset-import-job-arn", job)
    solution = aws(
        "personalize", "create-solution", "--name", "sol", "--dataset-group-arn", group,
        "--recipe-arn", "arn:aws:personalize:::recipe/aws-user-personalization", "--no-perform-auto-training",
    )["solutionArn"]  # fmt: skip
    version = aws("personalize", "create-solution-version", "--solution-arn", solution)["solutionVersionArn"]
    shell.active("solution-version", "--solution-version-arn", version)
    metrics = aws("personalize", "get-solution-metrics", "--solution-version-arn", version)["metrics"]
    assert len(metrics) == 8
    campaign = aws(
        "personalize", "create-campaign", "--name", "c", "--solution-version-arn", version,
        "--min-provisioned-tps", "1",
    )["campaignArn"]  # fmt: skip
    shell.active("campaign", "--campaign-arn", campaign)
    ask = ("personalize-runtime", "get-recommendations", "--campaign-arn", campaign, "--user-id", "u1")
    assert len(aws(*ask, "--num-results", "7")["itemList"]) == 7
    tracker = aws(
        "personalize", "create-event-tracker", "--name", "t", "--dataset-group-arn", group
    )["trackingId"]  # fmt: skip
    event = {"eventType": "click", "itemId": "i3", "sentAt": 1_700_100_000}
    aws(
        "personalize-events", "put-events", "--tracking-id", tracker, "--session-id", "s", "--user-id", "u1",
        "--event-list", json.dumps([event]),
    )  # fmt: skip
    assert aws(*ask, "--query", "itemList[0].itemId", "--output", "text").strip().startswith("i")


def test_lists_are_paged_and_errors_are_told(shell: Shell) -> None:
    recipes = shell.aws("personalize", "list-recipes", "--page-size", "3")["recipes"]
    assert len(recipes) > 20
    unknown = "arn:aws:personalize:us-east-1:000000000000:campaign/none"
    told = shell.aws("personalize", "describe-campaign", "--campaign-arn", unknown, fails=True)
    assert "ResourceNotFoundException" in told
    assert unknown in told

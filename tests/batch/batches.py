"""A shop with trained versions, and shorthand for batch inference jobs."""

import json
from typing import Any

from worlds import ROLE, Shop, checkerboard


class Batches(Shop):
    """A shop with trained versions, and shorthand for batch jobs."""

    def __init__(self, api: Any) -> None:
        super().__init__(api)
        assert self.imported(self.start_import("all", checkerboard()))["status"] == "ACTIVE"
        self.tracker = api.personalize.create_event_tracker(name="t", datasetGroupArn=self.group)[
            "trackingId"
        ]
        self.version = self.trained_version("aws-user-personalization")
        (api.library.home / "buckets" / "out").mkdir()

    def trained_version(self, recipe: str) -> str:
        version = self.train(self.solution(recipe, recipe))
        assert self.trained(version)["status"] == "ACTIVE"
        return version

    def start(self, name: str, text: str | None, *, version: str | None = None, **more: Any) -> str:
        """Start a job over a text, or over what is in the folder of its name."""
        source = self.api.put_object("in", f"{name}.json", text) if text is not None else f"s3://in/{name}"
        return self.api.personalize.create_batch_inference_job(
            jobName=name,
            solutionVersionArn=version or self.version,
            roleArn=ROLE,
            jobInput={"s3DataSource": {"path": source}},
            jobOutput={"s3DataDestination": {"path": f"s3://out/{name}/"}},
            **more,
        )["batchInferenceJobArn"]

    def job(self, arn: str) -> dict[str, Any]:
        """Wait for a job and return it."""
        return self.api.settle(
            lambda: self.api.personalize.describe_batch_inference_job(batchInferenceJobArn=arn)
        )

    def output(self, name: str, file: str | None = None) -> str:
        """Return what a job has written for an input file."""
        return (self.api.library.home / "buckets" / "out" / name / f"{file or name}.json.out").read_text()

    def answers(self, name: str, text: str, **more: Any) -> list[dict[str, Any]]:
        """Run a job over a text and return its lines."""
        done = self.job(self.start(name, text, **more))
        assert done["status"] == "ACTIVE", done
        written = self.output(name)
        assert written.endswith("\n")
        return [json.loads(line) for line in written.splitlines()]

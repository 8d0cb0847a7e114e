"""A configuration, read: what is to be there, with all defaults filled in."""

import json
import logging
from typing import Any, NamedTuple

from nextpick.workflow.config import durations, format, older

Parameters = dict[str, Any]

_MAX_AGE = "365 days"

log = logging.getLogger(__name__)


class BadConfiguration(ValueError):
    """A configuration cannot be read; ``problems`` are all the reasons."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Dataset(NamedTuple):
    """One dataset: its kind ("interactions"), and the parameters of its schema and itself as far as they are
    written."""

    kind: str
    schema: Parameters
    dataset: Parameters


class Batch(NamedTuple):
    """A batch job: "inference" or "segment"."""

    kind: str
    service: Parameters
    schedule: str | None
    max_age_s: float | None


class Solution(NamedTuple):
    """A solution, how its versions are made, and what serves them."""

    service: Parameters
    version: Parameters
    schedules: dict[str, str]
    max_age_s: float | None
    campaigns: list[Parameters]
    batches: list[Batch]

    @property
    def name(self) -> str:
        """Its name."""
        return self.service["name"]


class Config(NamedTuple):
    """Everything that is declared. ``imports``: parameters of import jobs."""

    group: Parameters
    import_schedule: str | None
    import_max_age_s: float
    imports: Parameters
    datasets: list[Dataset]
    tracker: Parameters | None
    filters: list[Parameters]
    recommenders: list[Parameters]
    solutions: list[Solution]

    @property
    def name(self) -> str:
        """The name of the dataset group."""
        return self.group["name"]


def parse(text: str) -> dict[str, Any]:
    """Return the configuration in a text, JSON or YAML, in today's dialect and checked. Raises BadConfiguration."""
    try:
        found = json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith("{"):
            raise BadConfiguration([f"Could not validate JSON: {error}"]) from None
        found = _yaml(text)
    if older.is_older(found):
        found = older.translate(found)
    wrong = format.problems(found)
    if wrong:
        raise BadConfiguration(wrong)
    return found


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadConfiguration([f"Could not read YAML: {error}"]) from None


def read(config: dict[str, Any]) -> Config:
    """Return what a checked configuration declares."""
    tags = config.get("tags", [])

    def tagged(given: Parameters) -> Parameters:
        own = given.get("tags") or tags
        return {**given, "tags": own} if own else {k: v for k, v in given.items() if k != "tags"}

    group, datasets = config["datasetGroup"], config.get("datasets", {})
    workflow = group.get("workflowConfig", {})
    domain = {"domain": group["serviceConfig"]["domain"]} if "domain" in group["serviceConfig"] else {}
    if not datasets:
        log.warning("the configuration of %s declares no datasets", group["serviceConfig"]["name"])
    common = tagged(datasets.get("serviceConfig", {}))
    held = []
    for kind in format.KINDS:
        if kind in datasets:
            schema = datasets[kind]["schema"]["serviceConfig"]
            written = {**domain, **schema, "schema": json.dumps(schema["schema"])}
            dataset = tagged({"tags": common.get("tags"), **datasets[kind]["dataset"]["serviceConfig"]})
            held.append(Dataset(kind, written, dataset))
    return Config(
        tagged(group["serviceConfig"]),
        workflow.get("schedules", {}).get("import"),
        durations.seconds(workflow.get("maxAge", _MAX_AGE)),
        {"importMode": "FULL", **common},
        held,
        tagged(config["eventTracker"]["serviceConfig"]) if "eventTracker" in config else None,
        [tagged(one["serviceConfig"]) for one in config.get("filters", [])],
        [tagged(one["serviceConfig"]) for one in config.get("recommenders", [])],
        [_solution(one, tagged) for one in config.get("solutions", [])],
    )


def _solution(given: dict[str, Any], tagged: Any) -> Solution:
    service = dict(given["serviceConfig"])
    version = service.pop("solutionVersion", {})
    if service.pop("performAutoML", None):
        log.error("performAutoML of the solution %s is left out: name a recipe", service["name"])
    workflow = given.get("workflowConfig", {})
    schedules = dict(workflow.get("schedules", {}))
    max_age = workflow.get("maxAge", schedules.pop("maxAge", None))
    batches = [
        Batch(
            kind,
            tagged(one["serviceConfig"]),
            one.get("workflowConfig", {}).get("schedule"),
            _age(one.get("workflowConfig", {}).get("maxAge")),
        )
        for kind, name in (("inference", "batchInferenceJobs"), ("segment", "batchSegmentJobs"))
        for one in given.get(name, [])
    ]
    return Solution(
        tagged({"performAutoTraining": False, **service}),
        tagged({"trainingMode": "FULL", **version}),
        schedules,
        _age(max_age),
        [tagged(one["serviceConfig"]) for one in given.get("campaigns", [])],
        batches,
    )


def _age(text: str | None) -> float | None:
    return None if text is None else durations.seconds(text)

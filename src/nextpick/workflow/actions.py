"""What schedules and triggers do: call a function, start a workflow, start a batch job."""

import json
import re
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from nextpick.store import keys, outbox
from nextpick.workflow import door, executions
from nextpick.workflow.asl.failure import StateFailed
from nextpick.workflow.errors import ExecutionAlreadyExists
from nextpick.workflow.firing import Doing, Firing, Refused
from nextpick.workflow.refusal import code_of, message_of
from nextpick.workflow.tasks.functions import parts_of

_ALREADY = "ResourceAlreadyExistsException"
_PASSING = ("LimitExceededException", "ServiceUnavailable", "ThrottlingException", "InternalFailure")
_LONGEST_NAME = 63


def call_function(doing: Doing, firing: Firing) -> None:
    """Put an asynchronous invocation of a function on the disk, with the event as its payload."""
    payload = firing.action.get("input", firing.payload)
    try:
        name = parts_of(firing.action["name"]).target
        doing.functions().enqueue(doing.database.home, name, json.dumps(payload).encode())
    except StateFailed as error:
        raise Refused(error.cause) from None
    except Exception as error:
        if type(error).__name__ == "FunctionMissing":
            raise Refused(f"There is no function '{firing.action['name']}'.") from None
        raise


def start_workflow(doing: Doing, firing: Firing) -> None:
    """Start an execution of a state machine, named after the firing."""
    name = firing.action["name"]
    account, region = _place(doing)
    arn = name if name.startswith("arn:") else door.machine_arn(region, account, name)
    with doing.database.read() as db:
        machine = executions.find_machine(db, arn)
    if machine is None:
        raise Refused(f"There is no state machine {arn}.")
    given = json.dumps(firing.action.get("input", firing.payload))
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", firing.source.partition("/")[2])
    try:
        door.begin(doing.database, machine, f"{stem[:60]}-{firing.number}", given, doing.context.clock.now())
    except ExecutionAlreadyExists:
        return  # by this firing, before it could say so: numbers are given once


def _place(doing: Doing) -> tuple[str, str]:
    settings = doing.context.settings
    return keys.read(settings.home / "credentials")[0].account, settings.region


def tell(doing: Doing, firing: Firing) -> None:
    """Put the end of an execution among the state changes that notifications tell."""
    said = dict(firing.payload)
    kind, arn, status, at = (said.pop(name) for name in ("kind", "arn", "status", "at"))
    with doing.context.records.write() as tx:
        outbox.append(tx, kind, arn, status, at, name=arn.rpartition(":")[2], **said)


def start_batch_inference(doing: Doing, firing: Firing) -> None:
    """Start a batch inference job on the object, named NAME_<unix time>."""
    _start_batch(doing, firing, "create_batch_inference_job")


def start_batch_segment(doing: Doing, firing: Firing) -> None:
    """Start a batch segment job on the object, named NAME_<unix time>."""
    _start_batch(doing, firing, "create_batch_segment_job")


def _start_batch(doing: Doing, firing: Firing, operation: str) -> None:
    action = firing.action
    parameters: dict[str, Any] = {
        **action["parameters"],
        "jobName": batch_name(action["name"], firing.number),
        "jobInput": {"s3DataSource": {"path": _location(action, firing)}},
        "jobOutput": {"s3DataDestination": {"path": action["output"]}},
    }
    personalize = doing.context.client("personalize", parameter_validation=False)
    try:
        if "solutionArn" in parameters:
            parameters["solutionVersionArn"] = newest_version(personalize, parameters.pop("solutionArn"))
        getattr(personalize, operation)(**parameters)
    except ClientError as error:
        if code_of(error) == _ALREADY:
            return
        if code_of(error) in _PASSING:
            raise
        raise Refused(f"{code_of(error)}: {message_of(error)}") from None


def batch_name(name: str, number: int) -> str:
    """Return the name of a batch job, cut to what a name may have."""
    tail = f"_{number}"
    return name[: _LONGEST_NAME - len(tail)] + tail


def _location(action: dict[str, Any], firing: Firing) -> str:
    if "input" in action:
        return action["input"]
    if "Records" not in firing.payload:
        raise Refused("A batch job on a schedule needs an input.")
    told = firing.payload["Records"][0]["s3"]
    return f"s3://{told['bucket']['name']}/{unquote_plus(told['object']['key'])}"


def newest_version(personalize: Any, solution: str) -> str:
    """Return the newest ACTIVE version of a solution. Raises Refused, ClientError."""
    versions = []
    for page in personalize.get_paginator("list_solution_versions").paginate(solutionArn=solution):
        versions += [one for one in page["solutionVersions"] if one["status"] == "ACTIVE"]
    if not versions:
        raise Refused(f"{solution} has no version that is ACTIVE.")
    return max(versions, key=lambda one: one["creationDateTime"])["solutionVersionArn"]

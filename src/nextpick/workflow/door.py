"""Step Functions on the wire: state machines, executions and their histories.

Source: AWS Step Functions API Reference; the names are those of botocore's model.
"""

import base64
import binascii
import functools
import json
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nextpick.access import directory
from nextpick.access.guard import Caller, Guard
from nextpick.clock import Clock
from nextpick.errors import InvalidInput
from nextpick.settings import Settings
from nextpick.store import keys
from nextpick.store.records import Records
from nextpick.wire.dispatch import Call
from nextpick.wire.json_rpc import JsonService
from nextpick.wire.shapes import service
from nextpick.workflow import database, executions
from nextpick.workflow.asl import definition
from nextpick.workflow.database import Database
from nextpick.workflow.errors import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidArn,
    InvalidDefinition,
    InvalidExecutionInput,
    InvalidName,
    InvalidToken,
    MissingRequiredParameter,
    StateMachineAlreadyExists,
    StateMachineDoesNotExist,
)
from nextpick.workflow.executions import RUNNING, Event, Execution, Machine
from nextpick.workflow.tasks.names import problem

Answer = dict[str, Any]

_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_PAGE = 100
_THREADS = 4
_PASSED = {"iam:PassedToService": "states.amazonaws.com"}


class StepFunctions:
    """The service of one process. ``service`` answers; the database is made at the first state machine."""

    def __init__(self, home: Path, records: Records, guard: Guard, settings: Settings, clock: Clock) -> None:
        self._home, self._records, self._guard = home, records, guard
        self._settings, self._clock = settings, clock
        self._opened: Database | None = None
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="nextpick-states")
        handlers = {name: functools.partial(handler, self) for name, handler in OPERATIONS.items()}
        self.service = JsonService("stepfunctions", handlers, self._pool)

    @property
    def database(self) -> Database | None:
        """The database; None where nothing was ever written to it."""
        if self._opened is None and database.exists(self._home):
            self._opened = Database(self._home)
        return self._opened

    def made(self) -> Database:
        """Return the database, made where it is missing."""
        if self._opened is None:
            self._opened = Database(self._home)
        return self._opened

    def close(self) -> None:
        """Let the threads go and close the database."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._opened is not None:
            self._opened.close()

    def require(self, call: Call, resource: str, action: str | None = None) -> None:
        """Raise AccessDenied unless the caller may do the call's operation on a resource."""
        self._guard.require(Caller.of(call), f"states:{action or call.operation}", resource)

    def require_role(self, call: Call, role: str) -> None:
        """Raise AccessDenied unless the caller may have tasks act as a role, which must exist then."""
        if not call.principal:
            return
        self._guard.require(Caller.of(call), "iam:PassRole", role, context=_PASSED)
        with self._records.read() as tx:
            if directory.by_arn(tx, "role", role) is None:
                raise InvalidInput(
                    f"The role {role} does not exist, and only the administrator may name such a one."
                )

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self._clock.now()

    def check_place(self, call: Call) -> None:
        """Raise InvalidInput where executions would run in another account or region than the caller's."""
        account = keys.read(self._home / "credentials")[0].account
        region = self._settings.region
        if (call.account, call.region) != (account, region):
            raise InvalidInput(f"State machines run in the account {account} and the region {region} only.")

    def machine(self, arn: str) -> Machine:
        """Return a state machine. Raises InvalidArn, StateMachineDoesNotExist."""
        if ":stateMachine:" not in arn:
            raise InvalidArn(f"Invalid Arn: '{arn}'")
        found = None
        if self.database is not None:
            with self.database.read() as db:
                found = executions.find_machine(db, arn)
        if found is None:
            raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")
        return found

    def execution(self, arn: str) -> Execution:
        """Return an execution. Raises InvalidArn, ExecutionDoesNotExist."""
        if ":execution:" not in arn:
            raise InvalidArn(f"Invalid Arn: '{arn}'")
        found = None
        if self.database is not None:
            with self.database.read() as db:
                found = executions.find(db, arn)
        if found is None:
            raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{arn}'")
        return found


Handler = Callable[[StepFunctions, Call, dict[str, Any]], Answer | None]
OPERATIONS: dict[str, Handler] = {}


def _operation(handler: Handler) -> Handler:
    OPERATIONS["".join(word.capitalize() for word in handler.__name__.split("_"))] = handler
    return handler


def machine_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of a state machine."""
    return f"arn:aws:states:{region}:{account}:stateMachine:{name}"


def execution_arn(machine: str, name: str) -> str:
    """Return the ARN of an execution of a state machine."""
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def _checked(text: str) -> str:
    try:
        definition.parse(text, problem)
    except definition.InvalidDefinition as error:
        told = "; ".join(error.problems)
        raise InvalidDefinition(f"Invalid State Machine Definition: '{told}'") from None
    return text


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidName(f"Invalid Name: '{name}'")


def _json(text: str) -> str:
    try:
        json.loads(text)
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from None
    return text


def _refuse_versions(request: dict[str, Any]) -> None:
    if request.get("publish"):
        raise InvalidInput("nextpick keeps no versions of state machines; leave publish out.")


@_operation
def create_state_machine(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    name, role = request["name"], request["roleArn"]
    arn = machine_arn(call.region, call.account, name)
    self.require(call, arn)
    self.require_role(call, role)
    self.check_place(call)
    _check_name(name)
    _refuse_versions(request)
    text, now = _checked(request["definition"]), self.now()
    kept = ("loggingConfiguration", "tracingConfiguration", "tags")
    configuration = {key: request[key] for key in kept if key in request}
    with self.made().write() as db:
        found = executions.find_machine(db, arn)
        if found is None:
            kind = request.get("type", "STANDARD")
            found = Machine(
                arn, call.account, call.region, name, kind, role, text, configuration, now, now, "INITIAL"
            )
            executions.save_machine(db, found)
        elif (found.definition, found.role) != (text, role):
            raise StateMachineAlreadyExists(f"State Machine Already Exists: '{arn}'")
    return {"stateMachineArn": arn, "creationDate": found.created_at}


@_operation
def update_state_machine(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    arn = request["stateMachineArn"]
    self.require(call, arn)
    _refuse_versions(request)
    given = {"definition": "definition", "roleArn": "role"}
    changes: dict[str, Any] = {field: request[name] for name, field in given.items() if name in request}
    kept = ("loggingConfiguration", "tracingConfiguration")
    configuration = {key: request[key] for key in kept if key in request}
    if not changes and not configuration:
        raise MissingRequiredParameter(
            "Either the definition, the role ARN, or a configuration must be specified"
        )
    if "role" in changes:
        self.require_role(call, changes["role"])
    if "definition" in changes:
        _checked(changes["definition"])
    found, now = self.machine(arn), self.now()
    with self.made().write() as db:
        found = executions.find_machine(db, arn) or found
        changes["configuration"] = {**found.configuration, **configuration}
        executions.save_machine(db, found._replace(**changes, updated_at=now, revision=str(uuid.uuid4())))
    return {"updateDate": now}


@_operation
def describe_state_machine(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    self.require(call, request["stateMachineArn"])
    found = self.machine(request["stateMachineArn"])
    answer: Answer = {
        "stateMachineArn": found.arn,
        "name": found.name,
        "status": "ACTIVE",
        "definition": found.definition,
        "roleArn": found.role,
        "type": found.type,
        "creationDate": found.created_at,
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
        "tracingConfiguration": {"enabled": False},
        "revisionId": None if found.revision == "INITIAL" else found.revision,
    }
    return answer | {key: value for key, value in found.configuration.items() if key != "tags"}


@_operation
def list_state_machines(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    self.require(call, "*")
    found: list[Machine] = []
    if self.database is not None:
        with self.database.read() as db:
            found = executions.machines(db, call.account, call.region)
    start, size = int(_position(request) or 0), request.get("maxResults") or _PAGE
    told = [
        {"stateMachineArn": m.arn, "name": m.name, "type": m.type, "creationDate": m.created_at}
        for m in found[start : start + size]
    ]
    return {"stateMachines": told, **_next(start + size if len(found) > start + size else None)}


@_operation
def delete_state_machine(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    arn = request["stateMachineArn"]
    self.require(call, arn)
    if ":stateMachine:" not in arn:
        raise InvalidArn(f"Invalid Arn: '{arn}'")
    if self.database is not None:
        with self.database.write() as db:
            executions.delete_machine(db, arn)
    return {}


@_operation
def start_execution(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    self.require(call, request["stateMachineArn"])
    name = request.get("name") or str(uuid.uuid4())
    _check_name(name)
    given = _json(request.get("input") or "{}")
    machine = self.machine(request["stateMachineArn"])
    return begin(self.made(), machine, name, given, self.now())


def begin(made: Database, machine: Machine, name: str, given: str, now: float) -> Answer:
    """Write an execution that is to run; of a name that runs with the same input, nothing is changed.

    Raises ExecutionAlreadyExists.
    """
    arn = execution_arn(machine.arn, name)
    with made.write() as db:
        found = executions.find(db, arn)
        if found is None:
            executions.start(db, machine, arn, name, given, now)
        elif found.status != RUNNING or json.loads(found.input) != json.loads(given):
            raise ExecutionAlreadyExists(f"Execution Already Exists: '{arn}'")
    return {"executionArn": arn, "startDate": found.started_at if found else now}


@_operation
def describe_execution(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    self.require(call, request["executionArn"])
    found = self.execution(request["executionArn"])
    return {
        **_told(found),
        "input": found.input,
        "inputDetails": {"included": True},
        "output": found.output,
        "outputDetails": {"included": True} if found.output is not None else None,
        "error": found.error,
        "cause": found.cause,
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "nextpick redrives no executions.",
    }


def _told(one: Execution) -> Answer:
    return {
        "executionArn": one.arn,
        "stateMachineArn": one.machine,
        "name": one.name,
        "status": one.status,
        "startDate": one.started_at,
        "stopDate": one.stopped_at,
    }


@_operation
def list_executions(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    if "stateMachineArn" not in request:
        raise InvalidInput("stateMachineArn must be specified.")
    machine = self.machine(request["stateMachineArn"])
    self.require(call, machine.arn)
    size, before = request.get("maxResults") or _PAGE, _position(request)
    assert self.database is not None
    with self.database.read() as db:
        found = executions.of_machine(db, machine.arn, request.get("statusFilter"), before, size + 1)
    more = found[size - 1].seq if len(found) > size else None
    return {"executions": [_told(one) for one in found[:size]], **_next(more)}


@_operation
def get_execution_history(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    self.require(call, request["executionArn"])
    found = self.execution(request["executionArn"])
    assert self.database is not None
    with self.database.read() as db:
        events = executions.history(db, found.arn)
    if request.get("reverseOrder"):
        events.reverse()
    start, size = _position(request) or 0, request.get("maxResults") or _PAGE
    with_data = request.get("includeExecutionData", True)
    told = [_event(event, with_data) for event in events[start : start + size]]
    return {"events": told, **_next(start + size if len(events) > start + size else None)}


def _event(event: Event, with_data: bool) -> Answer:
    if event.type.endswith(("StateEntered", "StateExited")):
        member = "stateEnteredEventDetails" if event.type.endswith("Entered") else "stateExitedEventDetails"
    else:
        member = f"{event.type[0].lower()}{event.type[1:]}EventDetails"
    answer = {"id": event.id, "previousEventId": event.previous, "type": event.type, "timestamp": event.at}
    if member in service("stepfunctions").shapes["HistoryEvent"]["members"]:
        hidden = () if with_data else ("input", "output", "parameters")
        answer[member] = {name: value for name, value in event.details.items() if name not in hidden}
    return answer


@_operation
def stop_execution(self: StepFunctions, call: Call, request: dict[str, Any]) -> Answer:
    self.require(call, request["executionArn"])
    found, now = self.execution(request["executionArn"]), self.now()
    with self.made().write() as db:
        found = executions.find(db, found.arn) or found
        if found.status == RUNNING:
            executions.abort(db, found.arn, now, request.get("error"), request.get("cause"))
    return {"stopDate": found.stopped_at or now}


def _position(request: dict[str, Any]) -> int | None:
    """Return the position that a token carries. Raises InvalidToken."""
    if not request.get("nextToken"):
        return None
    try:
        return int(base64.urlsafe_b64decode(request["nextToken"]))
    except (ValueError, binascii.Error):
        raise InvalidToken("Invalid Token") from None


def _next(position: int | None) -> Answer:
    if position is None:
        return {}
    return {"nextToken": base64.urlsafe_b64encode(str(position).encode()).decode()}

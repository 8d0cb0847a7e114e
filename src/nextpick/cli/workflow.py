"""``nextpick apply``, ``destroy`` and ``run``: configurations and state machines."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from nextpick.cli.engine import engine
from nextpick.settings import Settings

if TYPE_CHECKING:
    from nextpick.workflow.apply.plan import Planned
    from nextpick.workflow.apply.world import World
    from nextpick.workflow.config.model import Config

Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]
File = Annotated[str, typer.Argument(help="Configuration, JSON or YAML: a path or an s3:// location.")]
Bucket = Annotated[str, typer.Option(help="Bucket that data beside a local file is copied to.")]

_SIGNS = {"keep": "=", "update": "~", "tag": "~", "wait": "…"}
_PAUSE_S = 0.2


def apply(
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    bucket: Bucket = "workflow",
    role: Annotated[str | None, typer.Option(help="ARN of the role that jobs read and write as.")] = None,
    home: Home = None,
) -> None:
    """Make reality match a configuration; what is as declared is left alone."""
    from nextpick.workflow.apply.execute import execute
    from nextpick.workflow.apply.plan import plan, steps
    from nextpick.workflow.apply.world import Failed
    from nextpick.workflow.database import Database

    settings, ending = Settings.load(home=home), threading.Event()
    with engine(settings) as client:
        raw, config, world = _open(client, settings, file, bucket, role, ending)
        database = Database(settings.home)
        place = world.place
        source = {"config": raw, "bucket": place.bucket, "prefix": place.prefix, "role": world.role}
        try:
            planned = plan(steps(world, config, database, source))
            _show(planned)
            if not dry_run:
                _follow(planned, execute, ending)
        except Failed as error:
            _fail(str(error))
        finally:
            database.close()


def destroy(
    file: File,
    bucket: Bucket = "workflow",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
) -> None:
    """Remove what a configuration declares, what uses before what is used."""
    from botocore.exceptions import ClientError

    from nextpick.workflow.apply.destroy import removals
    from nextpick.workflow.database import Database
    from nextpick.workflow.refusal import message_of

    settings = Settings.load(home=home)
    with engine(settings) as client:
        _, config, world = _open(client, settings, file, bucket, None, threading.Event())
        database = Database(settings.home)
        found = removals(world, config, database)
        for one in found:
            print(f"- {one.title}")
        if not found:
            print(f"Nothing of {config.name} is there.")
        elif yes or typer.confirm("Remove all of this?"):
            for one in found:
                try:
                    one.remove()
                except ClientError as error:
                    _fail(f"{one.title} stays: {message_of(error)}")
                print(f"removed {one.title}")
        database.close()


def run(
    definition: Annotated[Path, typer.Argument(help="State machine in the Amazon States Language.")],
    given: Annotated[str, typer.Option("--input", help="Input as JSON, or @FILE.")] = "{}",
    name: Annotated[str | None, typer.Option(help="Name of the execution; the same name runs once.")] = None,
    role: Annotated[str, typer.Option(help="ARN of the role that tasks act as, where IAM knows it.")] = "",
    home: Home = None,
) -> None:
    """Run a state machine and print its output. An interrupted execution goes on in the server."""
    from botocore.exceptions import ClientError

    from nextpick.workflow.refusal import message_of

    settings = Settings.load(home=home)
    text = Path(given[1:]).read_text() if given.startswith("@") else given
    with engine(settings) as client:
        states = client("stepfunctions")
        account = client("sts").get_caller_identity()["Account"]
        role = role or f"arn:aws:iam::{account}:role/nextpick-workflow"
        try:
            arn = _machine(states, definition, account, role)
            named = {"name": name} if name else {}
            execution = states.start_execution(stateMachineArn=arn, input=text, **named)["executionArn"]
            ended = _watch(states, execution)
        except ClientError as error:
            _fail(message_of(error))
    if ended["status"] != "SUCCEEDED":
        _fail(f"{ended['status']}: {ended.get('error', '')}: {ended.get('cause', '')}")
    print(ended["output"])


def _open(
    client: Any, settings: Settings, file: str, bucket: str, role: str | None, ending: threading.Event
) -> "tuple[dict[str, Any], Config, World]":
    from nextpick.clock import SystemClock
    from nextpick.workflow.apply.world import World
    from nextpick.workflow.config import model, place

    try:
        raw = model.parse(place.read(file, client("s3")))
    except OSError as error:
        _fail(str(error))
    except model.BadConfiguration as error:
        _fail("the configuration cannot be read:\n" + "\n".join(f"  {line}" for line in error.problems))
    config = model.read(raw)
    where = place.place_of(file, settings.home, bucket, config.name)
    return raw, config, World(client, SystemClock(), where, role, ending)


def _show(planned: "list[Planned]") -> None:
    for step, (verb, reason) in planned:
        more = f"  ({reason})" if reason else ""
        print(f"{_SIGNS.get(verb, '+')} {verb:<9} {step.title}{more}")
    number = sum(one.decision.changes for one in planned)
    print(f"{number} to do, {len(planned) - number} as declared." if number else "Everything is as declared.")


def _follow(planned: "list[Planned]", execute: Any, ending: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        shown: dict[str, Any] = {}

        def report(step: Any, state: str, more: str) -> None:
            if state == "begun":
                shown[step.key] = progress.add_task(f"{more} {step.title}")
                return
            if step.key in shown:
                progress.remove_task(shown.pop(step.key))
            console.print(
                f"{time.monotonic() - began:6.1f} s  {state}: {step.title} ({more})", highlight=False
            )

        try:
            execute(planned, report)
        finally:
            ending.set()


def _machine(states: Any, path: Path, account: str, role: str) -> str:
    """Make or update the state machine of a file and return its ARN."""
    stem = path.name.partition(".")[0]
    name = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in stem)[:80]
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        _fail(str(error))
    given = {"definition": text, "roleArn": role}
    try:
        return states.create_state_machine(name=name, **given)["stateMachineArn"]
    except states.exceptions.StateMachineAlreadyExists:
        region = states.meta.region_name
        arn = f"arn:aws:states:{region}:{account}:stateMachine:{name}"
        states.update_state_machine(stateMachineArn=arn, **given)
        return arn


def _watch(states: Any, arn: str) -> dict[str, Any]:
    """Tell the states that are entered until the execution has ended, and return it."""
    print(arn, file=sys.stderr)
    told = 0
    while True:
        ended = states.describe_execution(executionArn=arn)
        for page in states.get_paginator("get_execution_history").paginate(executionArn=arn):
            for event in page["events"]:
                if event["id"] > told:
                    told = event["id"]
                    if "stateEnteredEventDetails" in event:
                        at = event["timestamp"].strftime("%H:%M:%S")
                        print(f"{at}  {event['stateEnteredEventDetails']['name']}", file=sys.stderr)
        if ended["status"] != "RUNNING":
            return ended
        time.sleep(_PAUSE_S)


def _fail(text: str) -> NoReturn:
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(1)


def json_option(text: str | None, option: str) -> Any:
    """Return the JSON value of an option, None when it was not given."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"is no JSON: {error}", param_hint=option) from None

"""``nextpick schedule``, ``trigger`` and ``job``: what goes on by itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from nextpick.cli.workflow import Home, json_option
from nextpick.settings import Settings

if TYPE_CHECKING:
    from nextpick.workflow.database import Database

schedule = typer.Typer(no_args_is_help=True, help="Functions and workflows at set times, in UTC.")
trigger = typer.Typer(no_args_is_help=True, help="What a new object in a bucket starts.")
job = typer.Typer(no_args_is_help=True, help="Preparation jobs under names that state machines start.")

Name = Annotated[str, typer.Argument(help="Its name.")]
Input = Annotated[str | None, typer.Option("--input", help="JSON that is given instead of the event.")]


@schedule.command("add")
def schedule_add(
    name: Name,
    run: Annotated[str, typer.Option(help="function:NAME, workflow:NAME, apply:FILE, or clean-up:DAYS.")],
    cron: Annotated[str | None, typer.Option(help="As 'cron(0 2 * * ? *)'.")] = None,
    rate: Annotated[str | None, typer.Option(help="As 'rate(1 day)'.")] = None,
    given: Input = None,
    home: Home = None,
) -> None:
    """Add a schedule, or change the one of its name."""
    from nextpick.clock import SystemClock
    from nextpick.workflow import schedules

    if (cron is None) == (rate is None):
        raise typer.BadParameter("give one of --cron and --rate")
    action = _action(run, given, home)
    with _database(home) as database, database.write() as db:
        try:
            made = schedules.Schedule(name, cron or rate or "", action)
            schedules.put(db, made, SystemClock().now())
        except ValueError as error:
            _fail(str(error))
        found = schedules.find(db, name)
    print(f"{name} is next due at {_time(found.next_at if found else None)}")


@schedule.command("list")
def schedule_list(home: Home = None) -> None:
    """Print the schedules, a line each."""
    from nextpick.workflow import schedules

    with _database(home) as database, database.read() as db:
        for one in schedules.all_of(db):
            state = _time(one.next_at) if one.enabled else "disabled"
            print(f"{one.name}  {one.expression}  {_told(one.action)}  {state}")
            _print_failure(db, f"schedule/{one.name}")


@schedule.command("remove")
def schedule_remove(name: Name, home: Home = None) -> None:
    """Remove a schedule."""
    from nextpick.workflow import schedules

    with _database(home) as database, database.write() as db:
        if not schedules.remove(db, name):
            _fail(f"there is no schedule {name}")


@schedule.command("enable")
def schedule_enable(name: Name, home: Home = None) -> None:
    """Let a schedule be due from now on."""
    _enable(name, True, home)


@schedule.command("disable")
def schedule_disable(name: Name, home: Home = None) -> None:
    """Keep a schedule, and let it not be due."""
    _enable(name, False, home)


@trigger.command("add")
def trigger_add(
    name: Name,
    bucket: Annotated[str, typer.Option(help="Bucket that is watched.")],
    prefix: Annotated[str, typer.Option(help="What a key begins with.")] = "",
    suffix: Annotated[str, typer.Option(help="What a key ends with.")] = "",
    function: Annotated[str | None, typer.Option(help="Function that is called with the event.")] = None,
    workflow: Annotated[str | None, typer.Option(help="State machine that is started with it.")] = None,
    batch_inference: Annotated[str | None, typer.Option(help="Stem of the job's name.")] = None,
    batch_segment: Annotated[str | None, typer.Option(help="Stem of the job's name.")] = None,
    solution: Annotated[str | None, typer.Option(help="Solution whose newest version is used.")] = None,
    solution_version: Annotated[str | None, typer.Option(help="ARN of the version.")] = None,
    output: Annotated[str | None, typer.Option(help="s3:// location of the results.")] = None,
    num_results: Annotated[int | None, typer.Option(min=1, help="Items, or users, per line.")] = None,
    filter_arn: Annotated[str | None, typer.Option(help="ARN of a filter.")] = None,
    config: Annotated[str | None, typer.Option(help="batchInferenceJobConfig as JSON.")] = None,
    role: Annotated[str | None, typer.Option(help="ARN of the role the job reads and writes as.")] = None,
    home: Home = None,
) -> None:
    """Start something for each new object under a prefix."""
    from nextpick.clock import SystemClock
    from nextpick.names import resource_arn
    from nextpick.store.buckets import Buckets
    from nextpick.workflow import watches
    from nextpick.workflow.watches import EVERY, Watch

    settings = Settings.load(home=home)
    chosen = {
        "function": function,
        "workflow": workflow,
        "batch-inference": batch_inference,
        "batch-segment": batch_segment,
    }
    given = [(kind, value) for kind, value in chosen.items() if value is not None]
    if len(given) != 1:
        raise typer.BadParameter("give one of --function, --workflow, --batch-inference and --batch-segment")
    if settings.s3_endpoint:
        _fail(
            f"objects are in {settings.s3_endpoint}, which tells of new ones itself; nextpick watches its own buckets"
        )
    action: dict[str, Any] = {"kind": given[0][0], "name": given[0][1]}
    if action["kind"].startswith("batch"):
        if output is None or (solution is None) == (solution_version is None):
            raise typer.BadParameter("a batch job needs --output, and --solution or --solution-version")
        of = {"solutionVersionArn": solution_version}
        if solution is not None:
            is_arn = solution.startswith("arn:")
            arn = (
                solution if is_arn else resource_arn(settings.region, settings.account, "solution", solution)
            )
            of = {"solutionArn": arn}
        options = {
            "numResults": num_results,
            "filterArn": filter_arn,
            "batchInferenceJobConfig": json_option(config, "--config"),
            "roleArn": role or f"arn:aws:iam::{settings.account}:role/nextpick-workflow",
        }
        parameters = {**of, **{key: value for key, value in options.items() if value is not None}}
        action |= {"output": output, "parameters": parameters}
    made = Watch(name, bucket, prefix, suffix, EVERY, action, f"trigger/{name}", SystemClock().now())
    with _database(home) as database:
        buckets = Buckets(settings.home / "buckets", owner="trigger")
        watches.put(database, buckets, [made], made.owner)
    print(f"{name} watches s3://{bucket}/{prefix}*{suffix}")


@trigger.command("list")
def trigger_list(home: Home = None) -> None:
    """Print what is watched, a line each."""
    from nextpick.workflow import watches

    with _database(home) as database, database.read() as db:
        for one in watches.find(db):
            print(f"{one.name}  s3://{one.bucket}/{one.prefix}*{one.suffix}  {_told(one.action)}")
            _print_failure(db, f"trigger/{one.name}")


@trigger.command("remove")
def trigger_remove(name: Name, home: Home = None) -> None:
    """Remove a trigger."""
    from nextpick.store.buckets import Buckets
    from nextpick.workflow import watches

    owner = f"trigger/{name}"
    with _database(home) as database:
        with database.read() as db:
            is_there = bool(watches.find(db, owner=owner))
        if not is_there:
            _fail(f"there is no trigger {name}")
        watches.put(database, Buckets(database.home / "buckets", owner="trigger"), [], owner)


@job.command("add")
def job_add(
    name: Name,
    prepare: Annotated[str, typer.Option(help="Ready-made job, or a file that ends with .sql.")],
    source: Annotated[str, typer.Option(help="Directory or s3:// location that is read.")],
    target: Annotated[str, typer.Option(help="Directory or s3:// location that is written.")],
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be given several times.")] = None,
    home: Home = None,
) -> None:
    """Give a preparation job a name under which state machines start it."""
    from nextpick.prepare import jobs
    from nextpick.workflow.preparation import Declared, declare

    if wrong := [one for one in option or () if "=" not in one]:
        raise typer.BadParameter(f"{wrong[0]} must be NAME=VALUE", param_hint="--option")
    try:
        jobs.find(prepare)
    except jobs.Refused as error:
        _fail(str(error))
    path = str(Path(prepare).absolute()) if prepare.endswith(".sql") else prepare
    options = dict(one.split("=", 1) for one in option or ())
    with _database(home) as database, database.write() as db:
        declare(db, Declared(name, path, source, target, options))


@job.command("list")
def job_list(home: Home = None) -> None:
    """Print the named jobs, a line each."""
    from nextpick.workflow.preparation import all_declared

    with _database(home) as database, database.read() as db:
        for one in all_declared(db):
            print(f"{one.name}  {one.job}  {one.source} → {one.target}")


def _action(run: str, given: str | None, home: Path | None) -> dict[str, Any]:
    kind, _, name = run.partition(":")
    if kind not in ("function", "workflow", "apply", "clean-up") or not name:
        told = "must be function:NAME, workflow:NAME, apply:FILE or clean-up:DAYS"
        raise typer.BadParameter(told, param_hint="--run")
    if kind == "apply":
        return _apply_action(name, home)
    if kind == "clean-up":
        return _clean_up_action(name)
    value = json_option(given, "--input")
    return {"kind": kind, "name": name, **({} if value is None else {"input": value})}


def _clean_up_action(days: str) -> dict[str, Any]:
    try:
        return {"kind": "clean-up", "name": days, "days": float(days), "solutions": True}
    except ValueError:
        raise typer.BadParameter(f"clean-up:{days} must name a number of days", param_hint="--run") from None


def _apply_action(file: str, home: Path | None) -> dict[str, Any]:
    from nextpick.workflow.config import model, place

    settings = Settings.load(home=home)
    try:
        raw = model.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, model.BadConfiguration) as error:
        _fail(str(error))
    where = place.place_of(file, settings.home, "workflow", model.read(raw).name)
    return {
        "kind": "apply",
        "part": "all",
        "config": raw,
        "bucket": where.bucket,
        "prefix": where.prefix,
        "role": None,
    }


def _enable(name: str, enabled: bool, home: Path | None) -> None:
    from nextpick.clock import SystemClock
    from nextpick.workflow import schedules

    with _database(home) as database, database.write() as db:
        if not schedules.enable(db, name, enabled, SystemClock().now()):
            _fail(f"there is no schedule {name}")


@contextmanager
def _database(home: Path | None) -> "Iterator[Database]":
    from nextpick.workflow.database import Database

    found = Settings.load(home=home).home
    if not (found / "credentials").exists():
        _fail(f"{found} is no home yet; start a server with: nextpick serve")
    database = Database(found)
    try:
        yield database
    finally:
        database.close()


def _print_failure(db: Any, source: str) -> None:
    query = "SELECT state, error FROM firing WHERE source = ? ORDER BY seq DESC LIMIT 1"
    last = db.execute(query, (source,)).fetchone()
    if last is not None and last["error"]:
        print(f"  last time: {last['state']}: {last['error']}")


def _told(action: dict[str, Any]) -> str:
    return f"{action['kind']}:{action.get('name') or action.get('part', '')}"


def _time(at: float | None) -> str:
    return "never" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _fail(text: str) -> NoReturn:
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(1)

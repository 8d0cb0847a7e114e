"""``nextpick function``: deploy, list, invoke, logs, delete; a client of the running server, as the administrator."""

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

function = typer.Typer(no_args_is_help=True, help="AWS Lambda handlers, run by nextpick.")

_FILES = ((f"python3.{sys.version_info[1]}", (".py",)), ("nodejs20.x", (".js", ".mjs", ".cjs")))

Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]
Name = Annotated[str, typer.Argument(help="The function's name.")]


@function.command()
def deploy(
    name: Name,
    code: Annotated[Path, typer.Option(help="A directory, a file, or a ZIP file of the code.")],
    handler: Annotated[str, typer.Option(help="FILE.FUNCTION")] = "lambda_function.lambda_handler",
    runtime: Annotated[str, typer.Option(help="As Lambda names it [default: by the handler's file].")] = "",
    env: Annotated[list[str] | None, typer.Option(help="K=V for the handler; may be repeated.")] = None,
    layer: Annotated[
        list[Path] | None, typer.Option(help="A directory of packages to import from; may be repeated.")
    ] = None,
    role: Annotated[str, typer.Option(help="Name or ARN of the role that it works as.")] = "function",
    timeout: Annotated[int, typer.Option(help="Seconds an invocation may take.")] = 3,
    memory: Annotated[int, typer.Option(help="MB the process may take.")] = 128,
    concurrency: Annotated[int | None, typer.Option(help="Invocations of it at the same time.")] = None,
    retries: Annotated[int | None, typer.Option(help="Of asynchronous invocations, 0 to 2.")] = None,
    on_success: Annotated[str, typer.Option(help="ARN to tell of asynchronous invocations.")] = "",
    on_failure: Annotated[str, typer.Option(help="ARN to tell of those that failed.")] = "",
    home: Home = None,
) -> None:
    """Create the function, or replace its code and configuration; print its ARN."""
    from nextpick.functions.code import BadArchive, pack

    try:
        archive = pack(code)
    except (OSError, BadArchive) as error:
        _stop(str(error))
    runtime = runtime or _runtime(archive, handler)
    with _lambda(home) as (client, account):
        if not role.startswith("arn:"):
            role = f"arn:aws:iam::{account}:role/{role}"
        settings: dict[str, Any] = {
            "FunctionName": name,
            "Runtime": runtime,
            "Handler": handler,
            "Role": role,
            "Timeout": timeout,
            "MemorySize": memory,
            "Environment": {"Variables": _environment(env or [], layer or [], runtime)},
        }
        try:
            client.get_function_configuration(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            made = client.create_function(**settings, Code={"ZipFile": archive})
        else:
            # Code that the old handler does not know would fail between the two; the other way round as well.
            client.update_function_code(FunctionName=name, ZipFile=archive)
            made = client.update_function_configuration(**settings)
        if concurrency is not None:
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=concurrency)
        told = {"OnSuccess": on_success, "OnFailure": on_failure}
        destinations = {when: {"Destination": arn} for when, arn in told.items() if arn}
        if destinations or retries is not None:
            limits = {} if retries is None else {"MaximumRetryAttempts": retries}
            client.put_function_event_invoke_config(
                FunctionName=name, DestinationConfig=destinations, **limits
            )
    print(made["FunctionArn"])


@function.command("list")
def list_functions(home: Home = None) -> None:
    """Print each function's name, runtime, handler and role."""
    with _lambda(home) as (client, _):
        for page in client.get_paginator("list_functions").paginate():
            for each in page["Functions"]:
                print(each["FunctionName"], each["Runtime"], each["Handler"], each["Role"], sep="\t")


@function.command()
def show(name: Name, home: Home = None) -> None:
    """Print what the function is, its versions and aliases, and what invokes it."""
    from nextpick.cli.triggers import triggers_of
    from nextpick.functions.registry import Registry

    settings = _settings(home)
    found, registry = _found(settings.home, name), Registry(settings.home)
    print(f"{found.arn}  {found.runtime}  {found.handler}")
    print(f"  role {found.role}, {found.timeout_s} s, {found.memory_mb} MB")
    for version in registry.versions(found):
        print(f"  version {version.version}  {version.description}".rstrip())
    for alias, held in sorted(found.aliases.items()):
        shares = "".join(f", {weight:.0%} {version}" for version, weight in held.weights.items())
        print(f"  alias {alias} is {held.version}{shares}")
    for kind, told, qualifier in triggers_of(settings, found):
        print(f"  invoked by {kind} {told}{f'  as {qualifier}' if qualifier else ''}")


@function.command()
def publish(
    name: Name,
    alias: Annotated[str, typer.Option(help="Alias that is to be this version from now on.")] = "",
    description: Annotated[str | None, typer.Option(help="What is new.")] = None,
    weight: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the alias's invocations that it gets.")
    ] = None,
    home: Home = None,
) -> None:
    """Keep the function as it is now under a number, and print that; let an alias be it, wholly or in part."""
    if weight is not None and not alias:
        raise typer.BadParameter("needs --alias", param_hint="--weight")
    with _lambda(home) as (client, _):
        told = {} if description is None else {"Description": description}
        version = client.publish_version(FunctionName=name, **told)["Version"]
        if alias:
            of = {"FunctionName": name, "Name": alias}
            weights = {} if weight is None else {version: weight}
            main = {} if weight is not None else {"FunctionVersion": version}
            routing = {"RoutingConfig": {"AdditionalVersionWeights": weights}}
            try:
                client.update_alias(**of, **main, **routing)
            except client.exceptions.ResourceNotFoundException:
                client.create_alias(**of, FunctionVersion=version)
    print(version)


@function.command()
def invoke(
    name: Name,
    payload: Annotated[str, typer.Option(help="JSON, or @FILE.")] = "{}",
    event: Annotated[
        bool, typer.Option("--event", help="Asynchronously: return when it is on the disk.")
    ] = False,
    log: Annotated[bool, typer.Option("--log", help="Print the end of its log to standard error.")] = False,
    home: Home = None,
) -> None:
    """Run the function and print what it returns; the exit status is 1 where that is an error."""
    try:
        body = Path(payload[1:]).read_bytes() if payload.startswith("@") else payload.encode()
    except OSError as error:
        _stop(str(error))
    with _lambda(home, read_timeout=960) as (client, _):
        kind = "Event" if event else "RequestResponse"
        tail = {} if event else {"LogType": "Tail"}
        answer = client.invoke(FunctionName=name, Payload=body, InvocationType=kind, **tail)
        text = answer["Payload"].read().decode()
    if log and "LogResult" in answer:
        print(base64.b64decode(answer["LogResult"]).decode(), end="", file=sys.stderr)
    if text:
        print(text)
    raise typer.Exit(1 if "FunctionError" in answer else 0)


@function.command()
def logs(
    name: Name,
    lines: Annotated[int, typer.Option(help="How many of the newest lines.")] = 100,
    home: Home = None,
) -> None:
    """Print what the function logged."""
    from nextpick.functions.logs import log_dir, read

    where = _settings(home).home
    for line in read(log_dir(where, _found(where, name)), lines):
        print(line)


@function.command()
def delete(name: Name, home: Home = None) -> None:
    """Delete the function."""
    with _lambda(home) as (client, _):
        client.delete_function(FunctionName=name)


@contextmanager
def _lambda(home: Path | None, **config: Any) -> Iterator[tuple[Any, str]]:
    """Give a client of the running server, and the administrator's account; what it raises ends the command."""
    from botocore.exceptions import BotoCoreError, ClientError

    from nextpick import supervisor
    from nextpick.store import keys
    from nextpick.wire.client import http_client

    settings = _settings(home)
    if not supervisor.is_open(settings.home):
        _stop(f"no server runs on {settings.home}; start one with: nextpick serve")
    try:
        url = json.loads((settings.home / "server.json").read_text())["url"]
        pair = keys.read(settings.home / "credentials")[0]
        client = http_client(
            "lambda", url, region=settings.region, access_key=pair.access_key, secret=pair.secret, **config
        )
        yield client, pair.account
    except ClientError as error:
        _stop(str(error).partition(": ")[2])
    except (OSError, BotoCoreError) as error:
        _stop(str(error))


def _found(home: Path, name: str) -> Any:
    from nextpick.functions.client import FunctionMissing, find

    try:
        return find(home, name)
    except FunctionMissing:
        _stop(f"there is no function {name} in {home}")


def _settings(home: Path | None) -> Any:
    from nextpick.settings import Settings

    try:
        return Settings.load(home=home)
    except ValueError as error:
        _stop(str(error))


def _environment(given: list[str], layers: list[Path], runtime: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for pair in given:
        name, sign, made[name] = pair.partition("=")
        if not sign:
            _stop(f"--env {pair} is not of the form K=V")
    is_node = runtime.startswith("nodejs")
    inner = ("nodejs/node_modules", "node_modules") if is_node else ("python",)
    found = []
    for layer in layers:
        if not layer.is_dir():
            _stop(f"--layer {layer} is no directory")
        # A layer that was made for Lambda has its packages below a folder for its runtime.
        found.append(str(next((layer / name for name in inner if (layer / name).is_dir()), layer).resolve()))
    if found:
        variable = "NODE_PATH" if is_node else "PYTHONPATH"
        made[variable] = os.pathsep.join([*found, *filter(None, [made.get(variable)])])
    return made


def _runtime(archive: bytes, handler: str) -> str:
    """Return the runtime of the file that a handler is in."""
    import io
    import zipfile

    stem = handler.rpartition(".")[0].replace(".", "/")
    try:
        names = set(zipfile.ZipFile(io.BytesIO(archive)).namelist())
    except zipfile.BadZipFile as error:
        _stop(str(error))
    for runtime, endings in _FILES:
        if any(stem + ending in names for ending in endings):
            return runtime
    return _stop(f"--code has no {stem}.py, .js, .mjs or .cjs for the handler {handler}")


def _stop(text: str) -> NoReturn:
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(1)

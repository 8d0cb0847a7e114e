"""``nextpick notify``: who is told when something changes."""

import json
import shlex
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from nextpick.settings import Settings

if TYPE_CHECKING:
    from nextpick.store.records import Transaction

app = typer.Typer(no_args_is_help=True, help="Tell webhooks, mailboxes and commands what changes.")
Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]
Name = Annotated[str, typer.Argument(help="Name of the subscription.")]


@app.command()
def add(
    name: Name,
    webhook: Annotated[str | None, typer.Option(help="URL that gets a signed POST.")] = None,
    email: Annotated[list[str] | None, typer.Option(help="Address; may be given several times.")] = None,
    command: Annotated[str | None, typer.Option(help="Command that gets JSON on its standard input.")] = None,
    on: Annotated[
        list[str] | None, typer.Option(help="KIND:STATUS with *, as 'Campaign:*' or '*:*FAILED'.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="What a webhook is signed with; made when not given.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Template of a mail's subject.")] = None,
    body: Annotated[Path | None, typer.Option(help="File with the template of a mail's text.")] = None,
    home: Home = None,
) -> None:
    """Add a subscription, or replace the one of its name."""
    from nextpick.notify import subscriptions
    from nextpick.notify.subscriptions import MARKER, Subscription

    if (webhook is not None) + (bool(email)) + (command is not None) != 1:
        raise typer.BadParameter("give exactly one of --webhook, --email and --command")
    if webhook is not None and not webhook.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{webhook} is no http or https URL", param_hint="--webhook")
    made = Subscription(name, webhook, email or None, shlex.split(command) if command else None)
    made.events = on or made.events
    made.secret = (secret or uuid.uuid4().hex) if webhook else None
    made.subject, made.body = subject or made.subject, body.read_text() if body else made.body
    if wrong := [pattern for pattern in made.events if pattern.count(":") != 1]:
        raise typer.BadParameter(f"{wrong[0]} must be KIND:STATUS", param_hint="--on")
    with _writing(home) as (tx, directory):
        subscriptions.put(tx, made)
        (directory / MARKER).mkdir(exist_ok=True)
    print(f"{name} is told of {', '.join(made.events)}")
    if made.secret and secret is None:
        print(f"secret: {made.secret}")


@app.command("list")
def list_(home: Home = None) -> None:
    """Print the subscriptions, a line each."""
    from nextpick.notify import subscriptions

    with _writing(home) as (tx, _):
        for found in subscriptions.listed(tx):
            told = found.webhook or ", ".join(found.email or ()) or shlex.join(found.command or ())
            print(f"{found.name}  {told}  {', '.join(found.events)}")


@app.command()
def remove(name: Name, home: Home = None) -> None:
    """Remove a subscription."""
    from nextpick.notify import subscriptions

    with _writing(home) as (tx, _):
        is_gone = subscriptions.remove(tx, name)
    if not is_gone:
        _fail(f"there is no subscription {name}")


@app.command("test")
def try_(name: Name, home: Home = None) -> None:
    """Deliver a made state change now, and say whether it was taken."""
    from nextpick.notify import subscriptions
    from nextpick.notify.channels import Undelivered, deliver

    with _writing(home) as (tx, _):
        found = next((s for s in subscriptions.listed(tx) if s.name == name), None)
    if found is None:
        _fail(f"there is no subscription {name}")
    event = {
        "id": uuid.uuid4().hex,
        "time": time.time(),
        "kind": "Campaign",
        "arn": "arn:test",
        "status": "TEST",
    }
    try:
        deliver(found, event, Settings.load(home=home), time.time())
    except Undelivered as error:
        _fail(str(error))
    print("taken")


@app.command()
def failed(home: Home = None) -> None:
    """Print what could not be delivered, as JSON lines."""
    from nextpick.notify import subscriptions

    with _writing(home) as (tx, _):
        for found in subscriptions.failed(tx):
            print(json.dumps(found))


@contextmanager
def _writing(home: Path | None) -> "Iterator[tuple[Transaction, Path]]":
    from nextpick.store import migrate
    from nextpick.store.records import Records

    directory = Settings.load(home=home).home
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    migrate.migrate(directory / "nextpick.db")
    records = Records(directory / "nextpick.db")
    try:
        with records.write() as tx:
            yield tx, directory
    finally:
        records.close()


def _fail(text: str) -> NoReturn:
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(1)

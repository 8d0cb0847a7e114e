"""The ``nextpick`` command."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from nextpick.cli import notify, prepare, schedule, workflow
from nextpick.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The open, self-hosted Amazon Personalize. Settings are NEXTPICK_* variables: see docs/settings.md.",
)

app.command()(prepare.prepare)
app.add_typer(prepare.batch, name="batch")

app.add_typer(notify.app, name="notify")
app.add_typer(schedule.schedule, name="schedule")
app.add_typer(schedule.trigger, name="trigger")
app.add_typer(schedule.job, name="job")
for _command in (workflow.apply, workflow.destroy, workflow.run):
    app.command()(_command)

Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]


@app.command()
def serve(
    home: Home = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 7300,
    workers: Annotated[int, typer.Option(min=1, help="HTTP worker processes.")] = 1,
    no_auth: Annotated[bool, typer.Option(help="Verify no signatures; loopback only.")] = False,
) -> None:
    """Serve the API until interrupted."""
    from nextpick import supervisor
    from nextpick.store.migrate import NewerDatabase
    from nextpick.telemetry import configure_logging

    settings = _settings(home)
    configure_logging(settings.log_level)
    if no_auth and host not in ("127.0.0.1", "::1", "localhost"):
        raise typer.BadParameter("is for loopback addresses only", param_hint="--no-auth")
    try:
        status = supervisor.serve(settings, host=host, port=port, workers=workers, auth=not no_auth)
    except (supervisor.HomeInUse, NewerDatabase, OSError) as error:
        print(f"nextpick: {error}", file=sys.stderr)
        status = 1
    raise typer.Exit(status)


@app.command()
def env(home: Home = None) -> None:
    """Print what a shell evals to point every AWS SDK and the AWS CLI at the running server."""
    from nextpick import supervisor
    from nextpick.store import keys

    settings = _settings(home)
    try:
        if not supervisor.is_open(settings.home):
            raise FileNotFoundError
        url = json.loads((settings.home / "server.json").read_text())["url"]
        pair = keys.read(settings.home / "credentials")[0]
    except (OSError, IndexError):
        print(f"nextpick: no server runs on {settings.home}; start one with: nextpick serve", file=sys.stderr)
        raise typer.Exit(1) from None
    for name in ("", "_PERSONALIZE", "_PERSONALIZE_RUNTIME", "_PERSONALIZE_EVENTS"):
        print(f"export AWS_ENDPOINT_URL{name}={url}")
    if settings.s3_endpoint:
        print(f"export AWS_ENDPOINT_URL_S3={settings.s3_endpoint}")
    else:
        print("unset AWS_ENDPOINT_URL_S3")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        print(f"export {name}={settings.region}")
    print(f"export AWS_ACCESS_KEY_ID={pair.access_key}")
    print(f"export AWS_SECRET_ACCESS_KEY={pair.secret}")
    print("unset AWS_SESSION_TOKEN AWS_PROFILE AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


@app.command()
def sample(directory: Annotated[Path, typer.Argument(help="Where to write; made when missing.")]) -> None:
    """Write the data files of a made bookshop, and their schemas, to try things with."""
    from nextpick.testing.bookshop import bookshop

    shop = bookshop()
    shop.write(directory)
    for kind, schema in shop.schemas.items():
        (directory / f"{kind.lower()}.json").write_text(schema)


@app.command()
def demo(
    stay: Annotated[bool, typer.Option(help="Leave the server running and print its URLs.")] = False,
) -> None:
    """From data to recommendations on a temporary home, through the Personalize API."""
    from nextpick.cli.demo import demo as run

    raise typer.Exit(run(stay))


def _settings(home: Path | None) -> Settings:
    """Read the settings; one that cannot be read ends the command with its name."""
    try:
        return Settings.load(home=home)
    except ValueError as error:
        print(f"nextpick: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    app()


if __name__ == "__main__":
    main()

"""The ``nextpick`` command."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from nextpick.cli import costs, functions, gateway, notify, prepare, schedule, stream, trace, workflow
from nextpick.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The open, self-hosted Amazon Personalize. Settings are NEXTPICK_* variables: see docs/settings.md.",
)
app.add_typer(gateway.app, name="gateway")
app.add_typer(stream.app, name="stream")

app.command()(prepare.prepare)
app.add_typer(prepare.batch, name="batch")
app.add_typer(functions.function, name="function")

app.add_typer(notify.app, name="notify")
app.add_typer(costs.app, name="costs")
app.add_typer(trace.app, name="trace")
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
    gateway_port: Annotated[
        int | None, typer.Option(help="Port on which the gateway is served, and nothing else.")
    ] = None,
    no_auth: Annotated[bool, typer.Option(help="Verify no signatures; loopback only.")] = False,
) -> None:
    """Serve the API until interrupted."""
    from nextpick import supervisor
    from nextpick.store.migrate import NewerDatabase
    from nextpick.telemetry import configure_logging

    settings = _settings(home)
    configure_logging(settings.log_level)
    if no_auth and host not in supervisor.LOOPBACK:
        raise typer.BadParameter("is for loopback addresses only", param_hint="--no-auth")
    try:
        status = supervisor.serve(
            settings, host=host, port=port, workers=workers, auth=not no_auth, gateway_port=gateway_port
        )
    except (supervisor.HomeInUse, NewerDatabase, OSError) as error:
        print(f"nextpick: {error}", file=sys.stderr)
        status = 1
    raise typer.Exit(status)


@app.command()
def env(home: Home = None) -> None:
    """Print what a shell evals to point every AWS SDK and the AWS CLI at the running server."""
    from nextpick.cli.connect import address

    settings = _settings(home)
    url, pair = address(settings)
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
def report(
    arn: Annotated[str, typer.Argument(help="A solution version, solution, recommender or dataset.")],
    output: Annotated[Path, typer.Option(help="File to write; - for standard output.")] = Path("report.html"),
    new: Annotated[bool, typer.Option("--new", help="Make a new report even if there is one.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Write the figures as JSON instead of a page.")
    ] = False,
    home: Home = None,
) -> None:
    """Write how good a version is, or how healthy a dataset, as one HTML page."""
    from nextpick.cli.report import write

    write(_settings(home), arn, output, new=new, as_json=json)


@app.command()
def why(
    campaign: Annotated[str, typer.Option(help="ARN of a campaign or recommender.")],
    user: Annotated[str | None, typer.Option(help="Whom it recommends to.")] = None,
    item: Annotated[
        str | None, typer.Option(help="The item asked about; for related items, the one they are related to.")
    ] = None,
    about: Annotated[str | None, typer.Option(help="The item asked about, for related items.")] = None,
    rank: Annotated[str | None, typer.Option(help="Items to rank, joined by commas, for rankings.")] = None,
    filter: Annotated[str | None, typer.Option(help="ARN of a filter.")] = None,
    values: Annotated[
        list[str] | None, typer.Option(help='A value of the filter, NAME="text"; may be repeated.')
    ] = None,
    results: Annotated[int, typer.Option(help="Items in the answer.", min=1)] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")] = False,
    home: Home = None,
) -> None:
    """Say why items are recommended, or why one is not and what would change that."""
    from nextpick.cli.why import tell

    given = {
        "userId": user,
        "itemId": item,
        "aboutItemId": about,
        "inputList": rank.split(",") if rank else None,
        "filterArn": filter,
        "filterValues": {v.partition("=")[0]: v.partition("=")[2] for v in values} if values else None,
        "numResults": results,
    }
    tell(_settings(home), campaign, given, as_json=json)


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

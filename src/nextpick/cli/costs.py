"""``nextpick costs``: what was used, what that would have cost, what nobody uses."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from nextpick.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Usage, prices and idle resources.")
Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]
Days = Annotated[float, typer.Option(min=0, help="Days without a request.")]
Solutions = Annotated[bool, typer.Option(help="Also solutions without campaigns that are as old.")]


@app.command("report")
def report_(
    days: Annotated[float, typer.Option(min=0.01, help="Days up to now.")] = 30.0,
    tariff: Annotated[
        Path | None, typer.Option(help="TOML file of prices [default: Amazon Personalize's].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    home: Home = None,
) -> None:
    """Print what was used, and what it would have cost in the cloud."""
    from nextpick.cli.engine import engine
    from nextpick.costs import report

    try:
        prices = report.tariff(tariff)
    except report.BadTariff as error:
        print(f"nextpick: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    now = time.time()
    with engine(Settings.load(home=home)) as client:
        used = report.usage(client("nextpick"), now - days * 86_400, now)
    lines = report.bill(used, prices)
    if as_json:
        print(json.dumps({"currency": prices.currency, "lines": [line._asdict() for line in lines]}))
        return
    for line in lines:
        print(f"{line.what:70} {line.quantity:12,.3f} {line.unit:10} {line.amount:10,.2f} {prices.currency}")
    print(f"{'in all':94} {sum(line.amount for line in lines):10,.2f} {prices.currency}")


@app.command("idle")
def idle_(days: Days = 7.0, solutions: Solutions = False, home: Home = None) -> None:
    """List campaigns and recommenders that nobody asks."""
    from nextpick.cli.engine import engine
    from nextpick.costs import idle

    with engine(Settings.load(home=home)) as client:
        found = idle.find(client("personalize"), client("nextpick"), days, time.time(), solutions=solutions)
    for one in found:
        print(f"{one.arn}  since {time.strftime('%F', time.gmtime(one.since))}")


@app.command("clean-up")
def clean_up(
    days: Days = 7.0,
    solutions: Solutions = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    home: Home = None,
) -> None:
    """Delete what nobody asks; to do so by itself: nextpick schedule add NAME --run clean-up:DAYS."""
    from nextpick.cli.engine import engine
    from nextpick.costs import idle

    with engine(Settings.load(home=home)) as client:
        found = idle.find(client("personalize"), client("nextpick"), days, time.time(), solutions=solutions)
        for one in found:
            print(one.arn)
        if not found or not (yes or typer.confirm(f"Delete these {len(found)}?")):
            return
        kept = [(one, reason) for one, reason in idle.remove(client("personalize"), found) if reason]
    for one, reason in kept:
        print(f"nextpick: {one.arn}: {reason}", file=sys.stderr)
    raise typer.Exit(1 if kept else 0)

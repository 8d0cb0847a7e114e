"""``nextpick trace``: what requests went through, how long each part took, where they failed."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from nextpick.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Traces of requests through gateway, functions and engine.")

Home = Annotated[Path | None, typer.Option(help="Directory that holds everything [default: ~/.nextpick].")]
Minutes = Annotated[float, typer.Option(min=0, help="How far back.")]

_BAR = 30  # columns


@app.command(name="list")
def list_(
    minutes: Minutes = 60,
    slow: Annotated[float, typer.Option(min=0, help="Only those that took so many milliseconds.")] = 0,
    failed: Annotated[bool, typer.Option("--failed", help="Only those in which something failed.")] = False,
    most: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 50,
    home: Home = None,
) -> None:
    """Print traces, the newest first: id, time, milliseconds, what failed, what was asked of whom."""
    from nextpick.tracing.report import summaries
    from nextpick.tracing.store import read

    found = summaries(read(Settings.load(home=home).home, time.time() - minutes * 60))
    wanted = [one for one in found if one.seconds * 1000 >= slow and (one.fault or not failed)]
    for one in wanted[:most]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.first.started))
        print(
            f"{one.trace}  {at}  {one.seconds * 1000:.1f} ms  {one.fault or 'ok'}  {one.first.name}  {one.first.told}"
        )


@app.command()
def show(
    trace: Annotated[str, typer.Argument(help="Id of a trace, as X-Amzn-Trace-Id has it.")],
    home: Home = None,
) -> None:
    """Print the timeline of one trace: each part below its caller, when it began, how long it took."""
    from nextpick.tracing.report import tree
    from nextpick.tracing.store import read

    segments = read(Settings.load(home=home).home, trace=trace.removeprefix("Root=").partition(";")[0])
    if not segments:
        print(f"nextpick: there is no trace {trace}", file=sys.stderr)
        raise typer.Exit(1)
    began = min(segment.started for segment in segments)
    whole = max(segment.ended for segment in segments) - began or 1e-9
    for depth, segment in tree(segments):
        start, took = segment.started - began, segment.ended - segment.started
        left = int(start / whole * _BAR)
        bar = " " * left + "█" * max(1, round(took / whole * _BAR))
        words = filter(None, (segment.origin.removeprefix("AWS::"), segment.name, segment.told))
        fault = f"  {segment.fault} {segment.status}" if segment.fault else ""
        told = f"{'  ' * depth}{' '.join(words)}{fault}"
        print(f"{start * 1000:8.1f} {took * 1000:8.1f} ms  {bar:<{_BAR}}  {told}")


@app.command(name="map")
def map_(minutes: Minutes = 60, home: Home = None) -> None:
    """Print the services that requests went through: how many, what failed, how long they took, whom they call."""
    from nextpick.tracing.report import service_map
    from nextpick.tracing.store import read

    for node in service_map(read(Settings.load(home=home).home, time.time() - minutes * 60)):
        print(
            f"{node.origin} {node.name}\t{node.requests}\t{node.errors:.0%} errors\t{node.faults:.0%} faults\t"
            f"{node.throttled:.0%} throttled\t{node.median_ms:.1f} ms\t{node.slow_ms:.1f} ms at 95 %"
        )
        for called in node.calls:
            print(f"  → {called}")

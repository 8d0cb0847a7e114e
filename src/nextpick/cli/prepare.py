"""``nextpick prepare`` and ``nextpick batch``: raw data into imports, batch results into tables."""

import sys
from pathlib import Path
from typing import Annotated

import typer

batch = typer.Typer(no_args_is_help=True, help="Results of batch jobs.")


def prepare(
    job: Annotated[str | None, typer.Argument(help="A ready-made job, or a file of SQL.")] = None,
    source: Annotated[Path | None, typer.Argument(help="Directory of the raw data.")] = None,
    target: Annotated[Path | None, typer.Argument(help="Directory for the CSV files and schemas.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be given several times.")] = None,
) -> None:
    """Turn raw data into the CSV files and schemas of imports; alone it lists the ready-made jobs."""
    from nextpick.prepare import jobs

    if job is None:
        for found in map(jobs.find, jobs.names()):
            print(f"{found.name}: {found.about}")
            for name, default, about in found.options:
                print(f"    --option {name}={default}    {about}")
        return
    if source is None or target is None:
        raise typer.BadParameter("give a job, a source and a target")
    pairs = [text.partition("=") for text in option or []]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise typer.BadParameter(f"{wrong[0]} must be NAME=VALUE", param_hint="--option")
    try:
        made = jobs.run(jobs.find(job), source, target, {name: value for name, _, value in pairs})
    except jobs.Refused as refused:
        _fail(str(refused))
    except ModuleNotFoundError:
        _fail("preparing data needs DuckDB: pip install 'nextpick[prepare]'")
    else:
        for written in made:
            print(f"{written.path}  {written.rows:,} rows")


@batch.command()
def transform(
    results: Annotated[Path, typer.Argument(help="A .out object of a batch inference job.")],
    items: Annotated[Path, typer.Option(help="CSV with ids, titles and categories.")],
    output: Annotated[Path, typer.Option(help="The Parquet file to write.")] = Path("transformed.parquet"),
    top: Annotated[int | None, typer.Option(min=1, help="Items told of each line; all if not given.")] = None,
) -> None:
    """Write the results of a batch inference job as a table with titles."""
    from nextpick.prepare.transform import Unreadable, write
    from nextpick.prepare.transform import transform as table_of

    try:
        with results.open(encoding="utf-8") as lines:
            table = table_of(lines, items, top)
        write(table, output)
    except Unreadable as error:
        _fail(f"{results}: {error}")
    except (OSError, UnicodeDecodeError) as error:
        _fail(str(error))
    else:
        print(f"{output}  {table.num_rows:,} rows")


def _fail(text: str) -> None:
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(1)

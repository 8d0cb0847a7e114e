"""Preparation jobs: SQL that makes the views ``interactions``, ``items``, ``users`` (and others) of a source.

DuckDB runs it, out of core where memory does not suffice; temporary views only serve others. Lines
``-- option NAME = DEFAULT : meaning`` at its head declare what may be given; the SQL reads them, and ``source``, with
``getvariable``. Each view is written as ``NAME.csv``, each dataset's schema as ``NAME.json``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.prepare.schema import schema_of

_SQL = Path(__file__).parent / "sql"
_OPTION = re.compile(r"-- option (\w+) = (.*?)\s*: (.+)")
_DATASETS = ("interactions", "items", "users")


class Refused(Exception):
    """A job that cannot be run as asked; the text says what is wrong."""


class Job(NamedTuple):
    """A preparation job: its name, what it reads, its options as (name, default, meaning), its SQL."""

    name: str
    about: str
    options: tuple[tuple[str, str, str], ...]
    sql: str


class Written(NamedTuple):
    """A view that was written: its file, its rows."""

    path: Path
    rows: int


def names() -> list[str]:
    """Return the names of the ready-made jobs."""
    return sorted(path.stem for path in _SQL.glob("*.sql"))


def find(name: str) -> Job:
    """Return a ready-made job, or that of a file that ends with ``.sql``. Raises Refused when there is none."""
    path = Path(name) if name.endswith(".sql") else _SQL / f"{name}.sql"
    try:
        sql = path.read_text()
    except OSError:
        raise Refused(
            f"There is no job {name}; there are {', '.join(names())}, or a file that ends with .sql."
        ) from None
    lines = sql.splitlines()
    about = lines[0].removeprefix("--").strip() if lines and lines[0].startswith("--") else path.name
    options = tuple(match.groups() for line in lines if (match := _OPTION.fullmatch(line.strip())))
    return Job(path.stem, about, options, sql)  # pyright: ignore[reportArgumentType]  three groups each


def run(job: Job, source: Path, target: Path, options: Mapping[str, str] | None = None) -> list[Written]:
    """Run a job on the directory ``source`` and write what it makes to the directory ``target``.

    A file is there under its name once it is whole. Raises Refused naming the option that is unknown or the file that
    cannot be read, and ModuleNotFoundError without DuckDB.
    """
    import duckdb

    values = {name: default for name, default, _ in job.options}
    for name, value in (options or {}).items():
        if name not in values:
            has = ", ".join(values) or "none"
            raise Refused(f"{job.name} has no option {name}; it has {has}.")
        values[name] = value
    if not source.is_dir():
        raise Refused(f"{source} is no directory.")
    target.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as database:
        database.execute(f"SET temp_directory = {_text(str(target / '.spill'))}")
        for name, value in {**values, "source": str(source)}.items():
            database.execute(f"SET VARIABLE {name} = {_text(value)}")
        try:
            database.execute(job.sql)
            made = database.execute(
                "SELECT view_name FROM duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY view_name"
            ).fetchall()
            return [_write(database, view, target) for (view,) in made]
        except duckdb.Error as error:
            raise Refused(f"{job.name}: {str(error).splitlines()[0]}") from None


def _write(database: Any, view: str, target: Path) -> Written:
    """Write a view and, where it is a dataset, its schema; columns without any value are left out."""
    found = database.execute(f"SELECT * FROM {view} LIMIT 0").description
    counts = ", ".join(f'count("{name}")' for name, *_ in found)
    rows, *filled = database.execute(f"SELECT count(*), {counts} FROM {view}").fetchone()
    columns = {name: n for (name, *_), n in zip(found, filled, strict=True) if n or not rows}
    selected = f"SELECT {', '.join(columns)} FROM {view}"
    partial = target / f".{view}.csv.partial"
    database.execute(f"COPY ({selected}) TO {_text(str(partial))} (FORMAT csv, HEADER)")
    if view in _DATASETS:
        nullable = {name for name, n in columns.items() if n < rows}
        (target / f"{view}.json").write_text(schema_of(database, selected, view, nullable))
    return Written(partial.replace(target / f"{view}.csv"), rows)


def _text(value: str) -> str:
    """Return a text as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"

"""The tables of the reference pages, made from the code; `make docs` writes them into the pages."""

from dataclasses import Field, fields

from nextpick.api import table
from nextpick.functions.api import app, common  # noqa: F401  app has all handlers entered
from nextpick.neighbours import assemble, sts  # noqa: F401  assemble has all handlers entered
from nextpick.neighbours.iam import common as iam
from nextpick.neighbours.s3 import context as s3
from nextpick.neighbours.s3.app import UPLOADS
from nextpick.notify import eventbus, topics
from nextpick.recipes import catalogue
from nextpick.settings import Settings
from nextpick.stream import kinesis
from nextpick.wire.dispatch import NEIGHBOURS, SERVICES
from nextpick.wire.shapes import service
from nextpick.workflow import door


def settings() -> str:
    """Return every setting with its default and meaning."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for field in fields(Settings):
        default = "(empty)" if field.default == "" else f"`{_text(field.default)}`"
        rows.append(f"| `NEXTPICK_{field.name.upper()}` | {default} | {field.metadata['help']} |")
    return "\n".join(rows)


def coverage() -> str:
    """Return every operation of every service, and whether nextpick speaks it."""
    spoken = table.implemented()
    parts = []
    for name in SERVICES:
        operations = sorted(service(name).operations)
        n = sum((name, operation) in spoken for operation in operations)
        parts += [f"## {name}: {n} of {len(operations)}", ""]
        parts += ["| operation | |", "| --- | --- |"]
        parts += [f"| {o} | {'yes' if (name, o) in spoken else 'not yet'} |" for o in operations]
        parts.append("")
    return "\n".join(parts).rstrip()


def neighbours() -> str:
    """Return the operations of the services around Personalize that nextpick speaks."""
    spoken = {
        "s3": [*s3.HANDLERS, *UPLOADS],
        "sts": list(sts.HANDLERS),
        "iam": list(iam.HANDLERS),
        "lambda": list(common.HANDLERS),
        "kinesis": list(kinesis.OPERATIONS),
        "stepfunctions": list(door.OPERATIONS),
        "sns": list(topics.OPERATIONS),
        "events": list(eventbus.OPERATIONS),
    }
    parts = []
    for name in NEIGHBOURS:
        parts += [f"## {name}: {len(spoken[name])} of {len(service(name).operations)}", ""]
        parts += [", ".join(f"`{operation}`" for operation in sorted(spoken[name])) + ".", ""]
    return "\n".join(parts).rstrip()


def recipes() -> str:
    """Return every recipe with its type and description."""
    rows = ["| recipe | type | what it does |", "| --- | --- | --- |"]
    rows += [f"| `{info.name}` | {info.type} | {info.description} |" for info in catalogue.RECIPES]
    return "\n".join(rows)


def hyperparameters() -> str:
    """Return each recipe's hyperparameters, recipes with the same ones together."""
    by_params: dict[tuple, list[str]] = {}
    for info in catalogue.RECIPES:
        params = fields(catalogue.load(info).Params)
        told = tuple((f.name, _text(f.default), _range(f), f.metadata["help"]) for f in params)
        by_params.setdefault(told, []).append(info.name)
    parts = []
    for told, names in by_params.items():
        parts += ["### " + ", ".join(names), ""]
        if told:
            parts += ["| name | default | range | meaning |", "| --- | --- | --- | --- |"]
            parts += [f"| `{n}` | {default} | {limits} | {help} |" for n, default, limits, help in told]
        else:
            parts.append("None.")
        parts.append("")
    return "\n".join(parts).rstrip()


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _range(field: Field) -> str:
    low, high = field.metadata["low"], field.metadata["high"]
    if low is not None:
        return f"{low} to {high}"
    return "true, false" if isinstance(field.default, bool) else ", ".join(field.metadata["choices"])

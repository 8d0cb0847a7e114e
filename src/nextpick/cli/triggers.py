"""What invokes a function: APIs, buckets, schedules, streams, other functions' destinations."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextpick.functions.registry import Function
    from nextpick.settings import Settings


def triggers_of(settings: "Settings", function: "Function") -> Iterator[tuple[str, str, str]]:
    """Yield (kind, what sets it off, version or alias)."""
    home = settings.home
    yield from _apis(settings, function)
    yield from _workflow(home, function)
    yield from _streams(home, function)
    yield from _destinations(home, function)


def _names(function: "Function", text: str) -> tuple[bool, str]:
    """Tell whether a name or an ARN is the function's, and its qualifier."""
    from nextpick.functions.registry import parse_name

    named = parse_name(text)
    is_it = named is not None and named.name == function.name
    return is_it, named.qualifier if named is not None else ""


def _apis(settings: "Settings", function: "Function") -> Iterator[tuple[str, str, str]]:
    from nextpick.cli.gateway import stage_url
    from nextpick.gateway import store, triggers

    if not store.exists(settings.home):
        return
    opened = store.GatewayStore(settings.home)
    try:
        for stage in opened.stages():
            base = stage_url(settings, stage.api, stage.name)
            for each in triggers.triggers_of(stage, opened.document(stage.deployment)):
                if each.function == function.name:
                    yield "API", f"{stage.api_name}  {each.verb} {base}{each.resource}", each.qualifier
    finally:
        opened.close()


def _workflow(home: Path, function: "Function") -> Iterator[tuple[str, str, str]]:
    if not (home / "workflow" / "workflow.db").exists():
        return
    from nextpick.workflow import schedules, watches
    from nextpick.workflow.database import Database

    database = Database(home)
    try:
        with database.read() as db:
            found: list[tuple[str, str, dict[str, Any]]] = [
                ("bucket", f"{one.name}  s3://{one.bucket}/{one.prefix}*{one.suffix}", one.action)
                for one in watches.find(db)
            ]
            found += [
                ("schedule", f"{one.name}  {one.expression}", one.action) for one in schedules.all_of(db)
            ]
    finally:
        database.close()
    for kind, told, action in found:
        is_it, qualifier = _names(function, action.get("name", ""))
        if action["kind"] == "function" and is_it:
            yield kind, told, qualifier


def _streams(home: Path, function: "Function") -> Iterator[tuple[str, str, str]]:
    if not (home / "streams").exists():
        return
    from nextpick.stream.registry import Streams

    streams = Streams(home)
    try:
        for stream in streams.all():
            for consumer in stream.config.consumers:
                is_it, qualifier = _names(function, consumer.get("function", ""))
                if is_it:
                    yield "stream", f"{stream.config.name}  consumer {consumer['name']}", qualifier
    finally:
        streams.close()


def _destinations(home: Path, function: "Function") -> Iterator[tuple[str, str, str]]:
    from nextpick.functions.registry import LATEST, Registry

    for other in Registry(home).list():
        for of, retries in {LATEST: other.retries, **other.other_retries}.items():
            for when, arn in (
                (("success", retries.on_success), ("failure", retries.on_failure)) if retries else ()
            ):
                is_it, qualifier = _names(function, arn)
                if is_it:
                    yield "destination", f"{when} of {other.name}:{of}", qualifier

"""What a training reads: the datasets of a group, with what was put since they were written."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from nextpick.data import snapshot
from nextpick.data.avro import parse_schema
from nextpick.data.terms import text_columns
from nextpick.jobs.folding import stream_of
from nextpick.jobs.work import JobFailure, Work, datasets_dir
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.resources.kinds import DATASET
from nextpick.store import log as event_log
from nextpick.store.log import EventRow
from nextpick.store.records import Resource


class Sources(NamedTuple):
    """What a training reads: the snapshot's sources; the dataset of the events, None without one; the dataset whose
    news are a reason to train again; the path of the view of the items."""

    sources: dict[str, Any]
    events: Resource | None
    news: Resource
    items_view: str


def find_sources(work: Work, group: str, positions: dict[str, int], info: RecipeInfo | None) -> Sources:
    """Return what a recipe (None: any) trains on, records put up to ``positions`` of the log included.

    Raises JobFailure naming the dataset, or the field of it, that is not there.
    """
    items, events = info.datasets if info else ("ITEMS", "INTERACTIONS")
    needed = info.learns_from if info else "INTERACTIONS"
    log_dir = work.settings.home / "log"
    held: dict[str, Resource] = {}
    sources: dict[str, Any] = {}
    with work.records.read() as tx:
        for dataset in tx.find(DATASET.arn_kind, parent=group):
            type_, schema = dataset.body["datasetType"], tx.get(dataset.body["schemaArn"])
            if schema is None or type_ not in (items, events, "USERS"):
                continue
            directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
            parts = [directory / part for part in dataset.internal["parts"]]
            put = event_log.read_records(log_dir, dataset.arn, dataset.internal.get("folded", {}), positions)
            held[type_] = dataset
            sources[type_] = snapshot.Source(parse_schema(schema.body["schema"]), parts, put)
    if needed not in held:
        raise JobFailure(_lacking(needed, info, work))
    if info is not None and info.reads_texts and None in text_columns(sources[items].schema):
        raise JobFailure(
            f"{info.name} reads an itemName field and a textual one; the schema of {held[items].arn} lacks one."
        )
    view = held[items].internal.get("view") if items in held else None
    return Sources(
        {
            "interactions": sources.get(events) or snapshot.Source(sources[needed].schema, []),
            "items": sources.get(items),
            "users": sources.get("USERS"),
        },
        held.get(events),
        held[events] if needed == "ACTIONS" and events in held else held[needed],
        f"{held[items].internal['dir']}/{view['dir']}" if view else "",
    )


def _lacking(needed: str, info: RecipeInfo | None, work: Work) -> str:
    if needed == "INTERACTIONS" or info is None:
        least = work.settings.min_interactions
        return f"Dataset has fewer than {least} interactions: there is no Interactions dataset."
    return f"There is no {needed.capitalize()} dataset, which {info.name} learns from."


def events_of(work: Work, dataset: Resource | None, positions: dict[str, int]) -> Iterable[EventRow]:
    """Return the streamed events up to ``positions`` that are in no part of their dataset."""
    if dataset is None:
        return ()
    folded = dataset.internal.get("folded", {})
    return event_log.read_between(work.settings.home / "log", stream_of(dataset), folded, positions)

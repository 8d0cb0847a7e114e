"""Views of datasets, written by the jobs that change the data or first need to look at it."""

from typing import Any

from nextpick.data import kinds, snapshot
from nextpick.data.avro import Schema
from nextpick.data.dataset import Source
from nextpick.data.filters.resolve import EVENTS
from nextpick.data.view_build import build_view
from nextpick.durable import sync
from nextpick.jobs.folding import stream_of
from nextpick.jobs.work import Work, datasets_dir, results
from nextpick.store import log as event_log
from nextpick.store.records import Resource


def make(
    work: Work,
    dataset: Resource,
    schema: Schema,
    parts: list[str],
    folded: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Write a view of a dataset's parts beside them and return what the record keeps of it.

    folded: up to where of the log the parts go, by default what the dataset's record says.

    Raises DataFailure when a part cannot be read.
    """
    home, type_ = work.settings.home, dataset.body["datasetType"]
    directory = datasets_dir(home) / dataset.internal["dir"]
    name = f"{work.job.id}.{work.job.fence}.view.{type_}"
    source = Source(schema, [directory / part for part in parts])
    after: dict[str, int] = dataset.internal.get("folded", {}) if folded is None else folded
    positions = after
    with results(directory / name) as out:
        if type_ in EVENTS:
            positions = event_log.positions(home / "log")
            events = event_log.read_between(home / "log", stream_of(dataset), after, positions)
            snapshot.build_snapshot(
                out, source, None, None, events, work.run, about_actions=type_ == "ACTION_INTERACTIONS"
            )
        else:
            kind = kinds.find(type_, None)
            assert kind is not None
            build_view(out, source, kind)
        sync(directory)
    return {"dir": name, "parts": parts, "positions": positions}

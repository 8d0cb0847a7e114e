"""Health job: what a dataset's data would mislead a training by. It changes nothing; what it finds is its report."""

import json
import shutil
import time
from typing import Any

from nextpick.data import health, health_records, snapshot
from nextpick.data.avro import parse_schema
from nextpick.data.dataset import Source, open_snapshot
from nextpick.data.failure import DataFailure
from nextpick.data.filters.resolve import EVENTS
from nextpick.data.part import MANIFEST
from nextpick.data.view import open_view
from nextpick.jobs.folding import stream_of
from nextpick.jobs.work import JobFailure, Outcome, Work, datasets_dir
from nextpick.resources.kinds import DATASET
from nextpick.store import log as event_log
from nextpick.store.records import Resource, Transaction

_RECORDS = {"INTERACTIONS": "ITEMS", "ACTION_INTERACTIONS": "ACTIONS"}


def perform(work: Work) -> Outcome:
    """Look at a dataset. Raises JobFailure when it has no data, DataFailure when that cannot be read."""
    started = time.perf_counter()
    while True:
        with work.records.read() as tx:
            found = tx.find(DATASET.arn_kind, parent=work.resource.parent)
        datasets = {dataset.body["datasetType"]: dataset for dataset in found}
        dataset = datasets.get(work.resource.body["datasetType"])
        if dataset is None or not (dataset.internal["parts"] or _is_streamed(work, dataset)):
            raise JobFailure(f"{work.resource.arn} has no data yet; import some first.")
        try:
            report = (_events if _type(dataset) in EVENTS else _records)(work, dataset, datasets)
            break
        except DataFailure:
            with work.records.read() as tx:
                fresh = tx.get(dataset.arn)
            if fresh is None or fresh.internal["parts"] == dataset.internal["parts"]:
                raise
    report |= {"resourceArn": dataset.arn, "seconds": round(time.perf_counter() - started, 3)}
    return Outcome(_nothing, report)


def _nothing(tx: Transaction, resource: Resource, now: float) -> None:
    """Leave the dataset as it is."""


def _type(dataset: Resource) -> str:
    return dataset.body["datasetType"]


def _is_streamed(work: Work, dataset: Resource) -> bool:
    return _type(dataset) in EVENTS and event_log.has_events(
        work.settings.home / "log", stream_of(dataset), {}
    )


def _events(work: Work, dataset: Resource, datasets: dict[str, Resource]) -> dict[str, Any]:
    """Look at events as a training would see them, those that were streamed included."""
    log_dir = work.settings.home / "log"
    positions = event_log.positions(log_dir)
    folded = dataset.internal.get("folded", {})
    streamed = list(event_log.read_between(log_dir, stream_of(dataset), folded, positions))
    out = (
        datasets_dir(work.settings.home) / dataset.internal["dir"] / f"{work.job.id}.{work.job.fence}.health"
    )
    try:
        snapshot.build_snapshot(
            out,
            _source(work, dataset),
            _source(work, datasets[kind]) if (kind := _RECORDS[_type(dataset)]) in datasets else None,
            _source(work, datasets["USERS"]) if "USERS" in datasets else None,
            streamed,
            work.run.share(0.0, 0.8),
            about_actions=_type(dataset) == "ACTION_INTERACTIONS",
        )
        data = open_snapshot(out)
        written, dropped = _counted(work, dataset)
        repeated = dropped + written + len(streamed) - len(data.interactions.item)
        work.run.checkpoint(0.8, "looking at interactions")
        return health.of_interactions(data, max(repeated, 0), work.clock.now())
    finally:
        shutil.rmtree(out, ignore_errors=True)


def _records(work: Work, dataset: Resource, datasets: dict[str, Resource]) -> dict[str, Any]:
    """Look at records as filters see them."""
    directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
    view = dataset.internal.get("view")
    if view is None:
        raise JobFailure(f"{dataset.arn} has no data yet; import some first.")
    replaced = _counted(work, dataset)[1]
    return health_records.of_records(open_view(directory / view["dir"]), replaced, work.clock.now())


def _source(work: Work, dataset: Resource) -> Source:
    with work.records.read() as tx:
        schema = tx.get(dataset.body["schemaArn"])
    if schema is None:
        raise JobFailure(f"The schema of {dataset.arn} is gone.")
    directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
    return Source(
        parse_schema(schema.body["schema"]), [directory / part for part in dataset.internal["parts"]]
    )


def _counted(work: Work, dataset: Resource) -> tuple[int, int]:
    """Return the rows of a dataset's parts, and those that imports left out because another one said the same."""
    directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
    written = dropped = 0
    for part in dataset.internal["parts"]:
        try:
            manifest = json.loads((directory / part / MANIFEST).read_text())
        except OSError as error:
            raise DataFailure(f"The part {part} cannot be read: {error}.") from None
        written += sum(file["rows"] for file in manifest["files"])
        dropped += manifest["report"]["duplicates"]
    return written, dropped

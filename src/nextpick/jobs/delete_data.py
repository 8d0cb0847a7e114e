"""Data deletion job: users go from the data, the log, and the snapshots of what was trained on them.

What the log has goes first; then what is new is written beside what is there, one transaction points the records at
it, what was there is removed, and all is looked through once more. A job that follows a killed one begins anew: what
is gone is not found again.
Source: developer guide, "Deleting users and their data".
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv

from nextpick.data import forget, health
from nextpick.data.avro import parse_schema
from nextpick.data.filters.resolve import EVENTS
from nextpick.data.view import open_view
from nextpick.jobs import queue, views
from nextpick.jobs.folding import stream_of
from nextpick.jobs.objects import inputs
from nextpick.jobs.work import JobFailure, Outcome, Work, datasets_dir
from nextpick.models import artifact
from nextpick.recipes import catalogue
from nextpick.resources import lifecycle, reports, trained
from nextpick.resources.kinds import DATASET, DATASET_IMPORT_JOB, EVENT_TRACKER
from nextpick.store import erase, erase_streams
from nextpick.store.records import Resource, Transaction

_MOST_BYTES = 100 * 1024 * 1024


class _Overtaken(Exception):
    """A dataset was imported into while it was written anew."""


class _Changed(NamedTuple):
    """What was written anew: the change to the records, and what is then no longer needed."""

    apply: Callable[[Transaction], None]
    old: list[Path]
    rows: int


def perform(work: Work) -> Outcome:
    """Delete the users that the CSV files name. Raises JobFailure for input that is none."""
    users = _users(work)
    gone = pa.array(users, pa.string())
    deleted = {"rows_in_parts": 0, "rows_in_log": 0, "records_in_streams": 0, "versions": 0}
    streams = work.settings.home / "streams"
    halted = _halt_reports(work)
    while True:
        group = work.resource.parent or ""
        busy = _others(work, group)
        with work.records.read() as tx:
            datasets = tx.find(DATASET.arn_kind, parent=group)
            versions = trained.directories(tx, group)
            trackers = _trackers(tx, group, datasets)
        deleted["records_in_streams"] += erase_streams.remove_users(streams, trackers, set(users))
        log_dir = work.settings.home / "log"
        for dataset in datasets:
            deleted["rows_in_log"] += erase.remove_users(log_dir, stream_of(dataset), users)
            if dataset.body["datasetType"] == "USERS":
                deleted["rows_in_log"] += erase.remove_ids(log_dir, dataset.arn, users)
        changed = [_dataset(work, dataset, gone) for dataset in datasets]
        changed += [_version(work, name, number, users) for number, name in enumerate(versions)]
        made = [change for change in changed if change is not None]
        try:
            with work.records.write() as tx:
                queue.require_held(tx, work.job)
                for change in made:
                    change.apply(tx)
                _clear_reports(tx, datasets, set(users))
        except _Overtaken:
            continue
        for path in (path for change in made for path in change.old):
            shutil.rmtree(path, ignore_errors=True)
        deleted["rows_in_parts"] += sum(change.rows for change in made)
        deleted["versions"] += sum(change is not None for change in changed[len(datasets) :])
        if not busy:  # else something that began before may yet end with these users in it
            break
        _wait(work, busy)
    found = _scan(work, datasets, users, gone) + erase_streams.count_users(streams, trackers, set(users))
    if found:
        raise JobFailure(f"After the deletion there are still {found} of the users' records; run it again.")
    total = deleted["rows_in_parts"] + deleted["rows_in_log"] + deleted["records_in_streams"]

    def commit(tx: Transaction, resource: Resource, now: float) -> None:
        resource.body = {**resource.body, "numDeleted": total}
        lifecycle.move(tx, resource, lifecycle.COMPLETED, now)
        for told_of in filter(None, map(tx.get, halted)):
            if told_of.deleted_at is None:
                reports.queue(tx, told_of, now)

    return Outcome(commit, {"users": len(users), "deleted": deleted, "found_afterwards": found})


def _trackers(tx: Transaction, group: str, datasets: list[Resource]) -> set[str]:
    """Return the tracking ids by which events come to a dataset group."""
    trackers = tx.find(EVENT_TRACKER.arn_kind, parent=group)
    return {held.body["trackingId"] for held in (*trackers, *datasets) if "trackingId" in held.body}


def _halt_reports(work: Work) -> list[str]:
    """Stop the group's reports, so that the deletion need not wait for them; return what they are of."""
    halted = []
    with work.records.write() as tx:
        for job in tx.find_jobs(states=("QUEUED", "RUNNING")):
            if job.kind in reports.KINDS and trained.group_of(tx, job.arn) == work.resource.parent:
                reports.end(tx, job, work.clock.now())
                halted.append(job.arn)
    return halted


def _users(work: Work) -> list[str]:
    location = work.resource.body["dataSource"].get("dataLocation", "")
    objects = inputs(work.access(), location, work.settings)
    if sum(found.size for found in objects) > _MOST_BYTES:
        raise JobFailure(f"The files have more than {_MOST_BYTES >> 20} MB.")
    users: dict[str, None] = {}
    for found in objects:
        with found.open() as file:
            try:
                options = pyarrow.csv.ConvertOptions(column_types={"USER_ID": pa.string()})
                table = pyarrow.csv.read_csv(file, convert_options=options)
            except pa.ArrowException as error:
                raise JobFailure(f"{found.name} is not CSV: {error}.") from None
        if table.column_names != ["USER_ID"]:
            raise JobFailure(
                f"{found.name} has the columns {', '.join(table.column_names)}; it needs one, USER_ID."
            )
        users |= dict.fromkeys(user for user in table.column("USER_ID").to_pylist() if user)
    if not users:
        raise JobFailure(f"{location} names no users.")
    return list(users)


def _dataset(work: Work, dataset: Resource, gone: pa.Array) -> _Changed | None:
    """Write the parts of a dataset that have rows of the users anew, and its view."""
    directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
    renamed: dict[str, str] = {}
    rows = 0
    for part in dataset.internal["parts"]:
        count = forget.count_in_part(directory / part, gone)
        work.run.check()
        if count:
            rows += count
            prefix = "put." if part.startswith("put.") else ""
            renamed[part] = f"{prefix}{work.job.id}.{work.job.fence}.{len(renamed)}"
            shutil.rmtree(directory / renamed[part], ignore_errors=True)
            forget.copy_part(directory / part, directory / renamed[part], gone)
    is_seen = "view" in dataset.internal and _is_seen(
        dataset, directory / dataset.internal["view"]["dir"], gone
    )
    if not renamed and not is_seen:
        return None
    held: list[str] = dataset.internal["parts"]
    parts = [renamed.get(part, part) for part in held]
    old = [directory / part for part in renamed]
    view = None
    if "view" in dataset.internal:
        with work.records.read() as tx:
            schema = tx.get(dataset.body["schemaArn"])
        assert schema is not None
        view = views.make(work, dataset, parse_schema(schema.body["schema"]), parts)
        old.append(directory / dataset.internal["view"]["dir"])

    def apply(tx: Transaction) -> None:
        fresh = tx.get(dataset.arn)
        if fresh is None or fresh.internal["parts"] != dataset.internal["parts"]:
            raise _Overtaken
        fresh.internal = {**fresh.internal, "parts": parts, "rows": fresh.internal.get("rows", 0) - rows}
        if view is not None:
            fresh.internal = {**fresh.internal, "view": view}
        tx.save(fresh)

    return _Changed(apply, old, rows)


def _is_seen(dataset: Resource, view: Path, gone: pa.Array) -> bool:
    """Tell whether a view of a dataset knows some of the users."""
    if dataset.body["datasetType"] in EVENTS:
        return len(forget.rows_in_snapshot(view, gone.to_pylist())) > 0
    return dataset.body["datasetType"] == "USERS" and bool(
        (open_view(view).ids.rows(gone.to_pylist()) >= 0).any()
    )


def _version(work: Work, name: str, number: int, users: list[str]) -> _Changed | None:
    """Write a version whose snapshot knows the users anew, without them."""
    old = work.versions / name
    rows = forget.rows_in_snapshot(old / "snapshot", users)
    work.run.check()
    if not len(rows):
        return None
    new = work.versions / f"{work.job.id}.{work.job.fence}.{number}"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(old, new)
    forget.empty_rows(new / "snapshot", rows)
    (new / "snapshot" / artifact.MANIFEST).unlink()
    artifact.seal(new / "snapshot", {})
    state, manifest = artifact.load(new / "model")
    info = catalogue.find(manifest["recipe"])
    assert info is not None
    without = getattr(catalogue.load(info), "forget", None)
    if without is not None:
        state = {key: array.copy() for key, array in state.items()}
        shutil.rmtree(new / "model")
        artifact.save(new / "model", without(state, rows), {"recipe": info.name})
    return _Changed(lambda tx: trained.point_at(tx, name, new.name), [old], 0)


def _clear_reports(tx: Transaction, datasets: list[Resource], users: set[str]) -> None:
    """Take the users out of the examples that reports of imports and of health show."""
    for dataset in datasets:
        for job in tx.find_jobs(arn=dataset.arn):
            if job.kind == reports.HEALTH and job.report is not None:
                job.report = health.without_users(job.report, users)
                tx.save_job(job)
        for imported in tx.find(DATASET_IMPORT_JOB.arn_kind, parent=dataset.arn):
            for job in tx.find_jobs(arn=imported.arn):
                problems = (job.report or {}).get("problems", [])
                kept = [
                    {**p, "examples": [e for e in p["examples"] if e["value"] not in users]} for p in problems
                ]
                if kept != problems:
                    job.report = {**(job.report or {}), "problems": kept}
                    tx.save_job(job)


def _others(work: Work, group: str) -> list[str]:
    """Return the jobs that run now on the group's data."""
    with work.records.read() as tx:
        running = tx.find_jobs(states=queue.LIVE)
        return [job.id for job in running if job.id != work.job.id and trained.group_of(tx, job.arn) == group]


def _wait(work: Work, jobs: list[str]) -> None:
    while True:
        with work.records.read() as tx:
            if not {job.id for job in tx.find_jobs(states=queue.LIVE)} & set(jobs):
                return
        work.run.checkpoint(0.5, "waiting for jobs that began earlier")
        time.sleep(0.2)


def _scan(work: Work, datasets: list[Resource], users: list[str], gone: pa.Array) -> int:
    """Look everywhere once more and return how much of the users there is."""
    found = 0
    with work.records.read() as tx:
        fresh = [tx.get(dataset.arn) for dataset in datasets]
        versions = trained.directories(tx, work.resource.parent or "")
    for dataset in (held for held in fresh if held is not None):
        directory = datasets_dir(work.settings.home) / dataset.internal["dir"]
        found += sum(forget.count_in_part(directory / part, gone) for part in dataset.internal["parts"])
        found += erase.count_users(work.settings.home / "log", stream_of(dataset), users)
    return found + sum(
        len(forget.rows_in_snapshot(work.versions / name / "snapshot", users)) for name in versions
    )

"""Removing what nothing refers to: parts of failed imports, versions of deleted solutions, tombstones.

Nothing here is needed for correctness: records say what exists, directories without a record are waste.
"""

import logging
import shutil
from pathlib import Path

from nextpick.jobs.work import batches_dir, datasets_dir, versions_dir
from nextpick.resources import datasets as datasets_
from nextpick.resources.kinds import DATASET, KINDS, RECOMMENDER, SOLUTION_VERSION
from nextpick.store.records import Records

log = logging.getLogger(__name__)


def sweep(records: Records, home: Path) -> None:
    """Remove directories under ``home`` that no record and no running job refers to."""
    with records.read() as tx:
        running = tx.find_jobs(states=("RUNNING", "STOPPING"))
        waiting = tx.find_jobs(states=("QUEUED",))
        versions = {v.internal.get("dir") for v in tx.find(SOLUTION_VERSION.arn_kind)}
        versions |= {
            r.internal["serving"]["dir"] for r in tx.find(RECOMMENDER.arn_kind) if "serving" in r.internal
        }
        datasets = {d.internal["dir"]: datasets_.kept(d) for d in tx.find(DATASET.arn_kind)}
    holders = {job.id for job in running}
    for path in _children(versions_dir(home)):
        if path.name not in versions and path.name.partition(".")[0] not in holders:
            _remove(path)
    wanted = holders | {job.id for job in waiting}
    for path in _children(batches_dir(home)):
        if path.name not in wanted:
            _remove(path)
    if running:
        return  # one may be reading parts that an import has just replaced
    for dataset in _children(datasets_dir(home)):
        if dataset.name not in datasets:
            _remove(dataset)
            continue
        for part in _children(dataset):
            if part.name not in datasets[dataset.name]:
                _remove(part)


def bury_the_dead(records: Records, before: float) -> None:
    """Remove the tombstones of resources deleted before that time."""
    with records.read() as tx:
        dead = [r for kind in KINDS for r in tx.find(kind, deleted=True) if (r.deleted_at or 0) < before]
    if dead:
        with records.write() as tx:
            for resource in dead:
                tx.remove(resource)


def _children(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else []


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        log.warning("could not remove %s: %s", path, error)

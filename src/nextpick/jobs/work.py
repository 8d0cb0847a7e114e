"""What a job's code is given, and what it gives back."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from nextpick.access.audit import Audit
from nextpick.access.guard import Guard
from nextpick.access.job import JobAccess, Refused
from nextpick.clock import Clock
from nextpick.data.run import Run
from nextpick.durable import make_dirs
from nextpick.jobs.queue import Commit, Fenced
from nextpick.settings import Settings
from nextpick.store.buckets import Buckets
from nextpick.store.records import Job, Records, Resource


class JobFailure(Exception):
    """The job cannot succeed; the text becomes the resource's failureReason."""


class Outcome(NamedTuple):
    """What a job has made: ``commit`` writes it to the records, in the transaction that ends the job."""

    commit: Commit
    report: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One claimed job and the means to do it."""

    job: Job
    resource: Resource
    records: Records
    settings: Settings
    clock: Clock
    run: Run

    def access(self, resource: Resource | None = None) -> JobAccess:
        """Return what judges the reading and writing of objects for the job's resource, or for another one that has
        a role. Raises JobFailure when the role cannot be taken."""
        home, external = self.settings.home, bool(self.settings.s3_endpoint)
        guard = Guard(
            self.records,
            Audit(home / "audit", "jobs", rotates=False),
            self.clock,
            strict=self.settings.strict_access,
        )
        buckets = None if external else Buckets(home / "buckets", owner=f"job-{self.job.id}")
        try:
            return JobAccess(self.records, buckets, guard, resource or self.resource)
        except Refused as refused:
            raise JobFailure(str(refused)) from None

    @property
    def versions(self) -> Path:
        """Directory of all solution versions."""
        return versions_dir(self.settings.home)


@contextmanager
def results(directory: Path) -> Iterator[Path]:
    """Give a job the directory for what it makes; nothing is left of it when the job fails."""
    make_dirs(directory.parent)
    try:
        yield directory
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


@contextmanager
def training(work: Work) -> Iterator[tuple[Work, Path]]:
    """Give a job that trains a version what it needs: itself, ``resumable``, and the directory of its ``results``."""
    directory = work.versions / f"{work.job.id}.{work.job.fence}"
    with results(directory) as out, resumable(work) as kept:
        yield kept, out


@contextmanager
def resumable(work: Work) -> Iterator[Work]:
    """Give a job a ``scratch`` that its next process finds if this one is killed; nothing is left of it when the job
    ends, well or badly."""
    scratch = batches_dir(work.settings.home) / work.job.id
    try:
        yield replace(work, run=work.run._replace(scratch=scratch))
    except Fenced:  # another process is at it, in the same place
        raise
    except Exception:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)


Perform = Callable[[Work], Outcome]


def versions_dir(home: Path) -> Path:
    """Return the directory whose subdirectories are solution versions."""
    return home / "blobs" / "versions"


def datasets_dir(home: Path) -> Path:
    """Return the directory whose subdirectories are datasets, each of immutable parts."""
    return home / "blobs" / "datasets"


def batches_dir(home: Path) -> Path:
    """Return the directory whose subdirectories are the work of batch jobs and trainings that are not done."""
    return home / "blobs" / "batches"

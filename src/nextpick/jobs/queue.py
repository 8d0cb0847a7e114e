"""The queue: claim with a fencing number, report, finish.

A job's ``fence`` grows with each claim. Whoever writes for a job says which fence it holds; an older holder,
say a process that was believed dead, finds that its fence is not the newest and writes nothing.
"""

from collections.abc import Callable
from typing import Any

from nextpick.resources import lifecycle, recommenders, reports, updates, usage, versions
from nextpick.resources.kinds import CAMPAIGN, RECOMMENDER, SOLUTION_VERSION
from nextpick.store.records import Job, Records, Resource, Transaction

Commit = Callable[[Transaction, Resource, float], None]

LIVE = ("RUNNING", "STOPPING")


class Fenced(Exception):
    """The job is no longer this process's to write."""


def claim(records: Records, job_id: str, now: float) -> Job | None:
    """Take a QUEUED job and mark its resource as in progress; None when it is no longer queued."""
    with records.write() as tx:
        job = tx.get_job(job_id)
        if job is None or job.state != "QUEUED":
            return None
        resource = tx.get(job.arn)
        if resource is None or resource.deleted_at is not None:
            _end(tx, job, "FAILED", now, "The resource was deleted.")
            return None
        job.state, job.fence, job.attempts = "RUNNING", job.fence + 1, job.attempts + 1
        job.progress, job.stage, job.started_at, job.heartbeat_at = 0.0, "starting", now, now
        tx.save_job(job)
        if job.kind not in reports.KINDS:
            _begin(tx, resource, now)
        return job


def heartbeat(records: Records, job: Job, now: float, progress: float, stage: str) -> str:
    """Report progress; return the job's state (STOPPING asks the holder to end). Raises Fenced."""
    with records.write() as tx:
        held = _held(tx, job)
        held.progress, held.stage, held.heartbeat_at = progress, stage, now
        tx.save_job(held)
        return held.state


def finish(records: Records, job: Job, now: float, commit: Commit, report: dict[str, Any] | None) -> None:
    """End a job well: its results and its end become visible in one transaction. Raises Fenced."""
    with records.write() as tx:
        held = _held(tx, job)
        resource = tx.get(job.arn)
        if held.state == "STOPPING" and _can_stop(held, resource):
            _stop(tx, held, resource, now)
            return
        if resource is None or resource.deleted_at is not None:
            _end(tx, held, "FAILED", now, "The resource was deleted.")
            return
        commit(tx, resource, now)
        held.report, held.progress = report, 1.0
        _end(tx, held, "DONE", now, None)


def fail(records: Records, job: Job, now: float, reason: str, report: dict[str, Any] | None = None) -> None:
    """End a job badly: its resource gets the reason. Raises Fenced."""
    with records.write() as tx:
        held = _held(tx, job)
        held.report = report
        _fail(tx, held, now, reason)


def stopped(records: Records, job: Job, now: float) -> None:
    """End a job that was told to stop. Raises Fenced."""
    with records.write() as tx:
        held = _held(tx, job)
        resource = tx.get(job.arn)
        if _can_stop(held, resource):
            _stop(tx, held, resource, now)


def release(records: Records, job: Job, now: float, why: str, attempts: int) -> None:
    """Deal with a job whose process is gone: stopped if it was to stop, else queued again, or failed when it
    has had its ``attempts``."""
    with records.write() as tx:
        held = tx.get_job(job.id)
        if held is None or held.fence != job.fence or held.state not in LIVE:
            return
        resource = tx.get(held.arn)
        if held.state == "STOPPING" and _can_stop(held, resource):
            _stop(tx, held, resource, now)
        elif held.attempts >= attempts:
            _fail(
                tx,
                held,
                now,
                f"The job's process ended {held.attempts} times before it was done, last: {why}.",
            )
        else:
            held.state, held.pid, held.message = "QUEUED", None, why
            tx.save_job(held)


def recover(records: Records, now: float, attempts: int) -> None:
    """After a start: no job of an earlier server is still running; release them all."""
    with records.read() as tx:
        orphans = tx.find_jobs(states=LIVE)
    for job in orphans:
        release(records, job, now, "the server stopped", attempts)


def ask_to_stop(tx: Transaction, job: Job, now: float) -> None:
    """Stop a job that waits, or ask the process of one that runs to end."""
    resource = tx.get(job.arn)
    if job.kind in reports.KINDS:
        reports.end(tx, job, now)
    elif resource is not None and resource.kind == SOLUTION_VERSION.arn_kind:
        versions.stop(tx, resource, now)
    elif job.state == "QUEUED" and resource is not None:
        _stop(tx, job, resource, now)
    else:
        job.state = "STOPPING"
        tx.save_job(job)


def require_held(tx: Transaction, job: Job) -> None:
    """Raise Fenced when the job was given to another process, which must not be written over."""
    _held(tx, job)


def _held(tx: Transaction, job: Job) -> Job:
    held = tx.get_job(job.id)
    if held is None or held.fence != job.fence or held.state not in LIVE:
        raise Fenced(f"job {job.id} is not held with fence {job.fence}")
    return held


def _begin(tx: Transaction, resource: Resource, now: float) -> None:
    if resource.kind == RECOMMENDER.arn_kind:
        recommenders.begin(tx, resource, now)
    elif resource.kind == CAMPAIGN.arn_kind:
        updates.begin(tx, resource, now)
    else:
        lifecycle.begin(tx, resource, now)


def _fail(tx: Transaction, job: Job, now: float, reason: str) -> None:
    resource = tx.get(job.arn)
    if resource is not None and resource.deleted_at is None and job.kind not in reports.KINDS:
        if resource.kind == RECOMMENDER.arn_kind:
            recommenders.fail(tx, resource, now, reason)
        elif resource.kind == CAMPAIGN.arn_kind:
            updates.fail(tx, resource, now, reason)
        else:
            lifecycle.fail(tx, resource, now, reason)
    _end(tx, job, "FAILED", now, reason)


def _can_stop(job: Job, resource: Resource | None) -> bool:
    return resource is not None or job.kind in reports.KINDS


def _stop(tx: Transaction, job: Job, resource: Resource | None, now: float) -> None:
    if resource is None or job.kind in reports.KINDS:
        pass  # a report leaves its resource as it is
    elif resource.status == lifecycle.CREATE_STOPPING:
        lifecycle.move(tx, resource, lifecycle.CREATE_STOPPED, now)
        if job.started_at is not None:  # a stopped training is charged up to its stop
            hours = round((now - job.started_at) / 3600, 3)
            usage.use(tx, resource, usage.TRAINING_HOURS, hours, now)
    elif resource.kind == RECOMMENDER.arn_kind:
        recommenders.fail(tx, resource, now, "The job was stopped.")
    elif resource.kind == CAMPAIGN.arn_kind:
        updates.fail(tx, resource, now, "The job was stopped.")
    else:
        lifecycle.fail(tx, resource, now, "The job was stopped.")
    _end(tx, job, "STOPPED", now, None)


def _end(tx: Transaction, job: Job, state: str, now: float, message: str | None) -> None:
    job.state, job.pid, job.finished_at, job.message = state, None, now, message
    tx.save_job(job)

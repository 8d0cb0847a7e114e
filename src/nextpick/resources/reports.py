"""Reports: jobs that look at a resource and leave it as it is.

``evaluate`` of a solution version or recommender, ``health`` of a dataset. What they find is the job's report, written
in the transaction that ends the job.
"""

from nextpick.resources import lifecycle
from nextpick.resources.kinds import DATASET, RECOMMENDER, SOLUTION_VERSION
from nextpick.store.records import Job, Resource, Transaction

EVALUATE, HEALTH = "evaluate", "health"
KINDS = (EVALUATE, HEALTH)

_OF = {SOLUTION_VERSION.arn_kind: EVALUATE, RECOMMENDER.arn_kind: EVALUATE, DATASET.arn_kind: HEALTH}
_NOT_ENDED = ("QUEUED", "RUNNING", "STOPPING")


def kind_of(resource: Resource) -> str | None:
    """Return the kind of report there is of a resource, None where there is none."""
    return _OF.get(resource.kind)


def queue(tx: Transaction, resource: Resource, now: float) -> Job:
    """Queue a report of a resource, unless one waits already; return its job."""
    kind = kind_of(resource)
    assert kind is not None
    waiting = [job for job in tx.find_jobs(arn=resource.arn, states=("QUEUED",)) if job.kind == kind]
    return waiting[0] if waiting else lifecycle.queue_job(tx, kind, resource, now)


def newest(tx: Transaction, resource: Resource) -> tuple[Job | None, Job | None]:
    """Return the newest job that reports of a resource, and the newest of them that is DONE."""
    kind = kind_of(resource)
    jobs = [
        job
        for job in tx.find_jobs(arn=resource.arn)
        if job.kind == kind and job.created_at >= resource.created_at
    ]
    done = [job for job in jobs if job.state == "DONE"]
    return jobs[-1] if jobs else None, done[-1] if done else None


def without(jobs: list[Job]) -> list[Job]:
    """Return the jobs that do something to their resource."""
    return [job for job in jobs if job.kind not in KINDS]


def stop(tx: Transaction, arn: str, now: float) -> None:
    """Stop the reports of a resource that is being deleted: nobody will read them."""
    for job in tx.find_jobs(arn=arn, states=_NOT_ENDED):
        if job.kind in KINDS:
            end(tx, job, now)


def end(tx: Transaction, job: Job, now: float) -> None:
    """Stop a report: one that waits at once, one that runs at its next safe point."""
    if job.state == "QUEUED":
        job.state, job.finished_at = "STOPPED", now
    else:
        job.state = "STOPPING"
    tx.save_job(job)

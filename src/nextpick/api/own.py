"""nextpick's own operations: what Personalize has no words for."""

import json
from collections import Counter
from typing import Any

import nextpick
from nextpick.api.context import Answer, Context, Request, operation
from nextpick.errors import InvalidInput, ResourceNotFound
from nextpick.jobs import queue
from nextpick.resources import reports
from nextpick.store.records import Job, Transaction
from nextpick.wire import paging

_LISTED_AT_MOST = 100


@operation("DescribeJob", "nextpick")
def describe_job(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        return {"job": job_view(_find(ctx, tx, request))}


@operation("ListJobs", "nextpick")
def list_jobs(ctx: Context, request: Request) -> Answer:
    arn, state = request.get("resourceArn"), request.get("state")
    scope = f"ListJobs {ctx.call.account} {ctx.call.region} {arn or ''} {state or ''}"
    secret, size = ctx.services.page_secret, request.get("maxResults", _LISTED_AT_MOST)
    before = paging.position(request.get("nextToken"), scope=scope, secret=secret) or None
    with ctx.records.read() as tx:
        states = (state,) if state else None
        jobs = tx.newest_jobs(**ctx.owner, arn=arn, states=states, before=before, limit=size + 1)
    answer: dict[str, Any] = {"jobs": [job_view(job) for job in jobs[:size]]}
    if len(jobs) > size:
        answer["nextToken"] = paging.token(jobs[size - 1].seq, scope=scope, secret=secret)
    return answer


@operation("GetJobReport", "nextpick")
def get_job_report(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        job = _find(ctx, tx, request)
    return {"job": job_view(job), "report": json.dumps(job.report or {})}


@operation("StopJob", "nextpick")
def stop_job(ctx: Context, request: Request) -> Answer:
    """A training is stopped as StopSolutionVersionCreation does; an import ends as CREATE FAILED."""
    with ctx.records.write() as tx:
        job = _find(ctx, tx, request)
        if job.state not in ("QUEUED", "RUNNING"):
            raise InvalidInput(f"Job {job.id} is {job.state}; only a queued or running job can be stopped.")
        queue.ask_to_stop(tx, job, ctx.now())
        return {"job": job_view(tx.get_job(job.id) or job)}


@operation("GetHealth", "nextpick")
def get_health(ctx: Context, request: Request) -> Answer:
    with ctx.records.read() as tx:
        jobs = Counter(job.state for job in tx.find_jobs(states=("QUEUED", "RUNNING", "STOPPING")))
    uptime = round(ctx.now() - ctx.services.started_at, 3)
    return {"status": "OK", "version": nextpick.__version__, "uptime": uptime, "jobs": dict(jobs)}


def _find(ctx: Context, tx: Transaction, request: Request) -> Job:
    """Return the job of an id, or the newest of a resource, reports aside: they have operations of their own."""
    if ("jobId" in request) == ("resourceArn" in request):
        raise InvalidInput("Give either jobId or resourceArn.")
    if "jobId" in request:
        job = tx.get_job(request["jobId"])
    else:
        jobs = reports.without(tx.find_jobs(arn=request["resourceArn"]))
        job = jobs[-1] if jobs else None
    if job is None or (job.account, job.region) != (ctx.call.account, ctx.call.region):
        raise ResourceNotFound(f"There is no job for {request.get('jobId') or request['resourceArn']}.")
    return job


def job_view(job: Job) -> dict[str, Any]:
    """Return a job as the service tells it."""
    view = {
        "jobId": job.id,
        "kind": job.kind,
        "resourceArn": job.arn,
        "state": job.state,
        "attempts": job.attempts,
        "progress": round(job.progress, 4),
        "stage": job.stage,
        "message": job.message,
        "createdAt": job.created_at,
        "startedAt": job.started_at,
        "finishedAt": job.finished_at,
    }
    return {name: value for name, value in view.items() if value is not None}

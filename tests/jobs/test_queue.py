"""Jobs are claimed by one, ended once, and never left running: seen on the records alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nextpick.jobs import queue
from nextpick.resources import lifecycle
from nextpick.resources.kinds import DATASET_IMPORT_JOB
from nextpick.store import migrate
from nextpick.store.records import Job, Records, Resource, Transaction

ARN = "arn:aws:personalize:r:111111111111:dataset-import-job/j"


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    migrate.migrate(tmp_path / "nextpick.db")
    made = Records(tmp_path / "nextpick.db")
    yield made
    made.close()


@pytest.fixture
def queued(records: Records) -> Job:
    """A job that waits, with its resource."""
    with records.write() as tx:
        lifecycle.create(
            tx,
            DATASET_IMPORT_JOB,
            account="111111111111",
            region="r",
            name="j",
            body={},
            now=1.0,
            job="import",
        )
        (job,) = tx.find_jobs(states=("QUEUED",))
    return job


def claimed(records: Records, queued: Job, now: float = 2.0) -> Job:
    job = queue.claim(records, queued.id, now)
    assert job is not None
    return job


def state(records: Records, job: Job) -> tuple[str, str | None, str | None]:
    """Return the job's state, its resource's status, and the reason of a failure."""
    with records.read() as tx:
        held, resource = tx.get_job(job.id), tx.get(ARN)
        assert held is not None
        assert resource is not None
        return held.state, resource.status, resource.body.get("failureReason")


def mark(tx: Transaction, resource: Resource, now: float) -> None:
    """Commit a result."""
    resource.body = {**resource.body, "result": now}
    lifecycle.move(tx, resource, lifecycle.ACTIVE, now)


def test_a_job_is_claimed_by_one(records: Records, queued: Job) -> None:
    job = claimed(records, queued)
    assert (job.fence, job.attempts, job.state) == (1, 1, "RUNNING")
    assert queue.claim(records, queued.id, 3.0) is None
    assert state(records, job) == ("RUNNING", "CREATE IN_PROGRESS", None)


def test_its_result_and_its_end_are_one_transaction(records: Records, queued: Job) -> None:
    job = claimed(records, queued)

    def fails(tx: Transaction, resource: Resource, now: float) -> None:
        mark(tx, resource, now)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        queue.finish(records, job, 4.0, fails, None)
    assert state(records, job) == ("RUNNING", "CREATE IN_PROGRESS", None)
    queue.finish(records, job, 5.0, mark, {"rows": 7})
    assert state(records, job) == ("DONE", "ACTIVE", None)
    with records.read() as tx:
        ended = tx.get_job(job.id)
    assert ended is not None
    assert (ended.report, ended.progress, ended.finished_at) == ({"rows": 7}, 1.0, 5.0)


def test_an_old_holder_writes_nothing_once_another_has_claimed(records: Records, queued: Job) -> None:
    old = claimed(records, queued)
    queue.release(records, old, 3.0, "signal SIGKILL", 3)
    new = claimed(records, queued, 4.0)
    assert new.fence > old.fence
    for write in (
        lambda: queue.finish(records, old, 5.0, mark, None),
        lambda: queue.fail(records, old, 5.0, "no"),
        lambda: queue.stopped(records, old, 5.0),
        lambda: queue.heartbeat(records, old, 5.0, 0.9, "far"),
    ):
        with pytest.raises(queue.Fenced):
            write()
    queue.release(records, old, 5.0, "late news", 3)
    assert state(records, new) == ("RUNNING", "CREATE IN_PROGRESS", None)
    queue.finish(records, new, 6.0, mark, None)
    with pytest.raises(queue.Fenced):
        queue.finish(records, new, 7.0, mark, None)


def test_a_job_that_always_dies_fails_with_the_reason(records: Records, queued: Job) -> None:
    for attempt in range(3):
        job = claimed(records, queued)
        assert job.attempts == attempt + 1
        queue.release(records, job, 3.0, "signal SIGKILL", 3)
    held, status, reason = state(records, queued)
    assert (held, status) == ("FAILED", "CREATE FAILED")
    assert reason == "The job's process ended 3 times before it was done, last: signal SIGKILL."


def test_after_a_start_no_job_is_still_running(records: Records, queued: Job) -> None:
    job = claimed(records, queued)
    queue.recover(records, 9.0, 3)
    assert state(records, job)[0] == "QUEUED"
    job = claimed(records, queued)
    with records.write() as tx:
        held = tx.get_job(job.id)
        assert held is not None
        queue.ask_to_stop(tx, held, 10.0)
    queue.recover(records, 11.0, 3)
    assert state(records, job) == ("STOPPED", "CREATE FAILED", "The job was stopped.")


def test_a_job_asked_to_stop_learns_of_it_and_its_result_is_dropped(records: Records, queued: Job) -> None:
    job = claimed(records, queued)
    assert queue.heartbeat(records, job, 3.0, 0.5, "half") == "RUNNING"
    with records.write() as tx:
        held = tx.get_job(job.id)
        assert held is not None
        queue.ask_to_stop(tx, held, 4.0)
    assert queue.heartbeat(records, job, 5.0, 0.6, "more") == "STOPPING"
    queue.finish(records, job, 6.0, mark, None)
    assert state(records, job) == ("STOPPED", "CREATE FAILED", "The job was stopped.")


def test_a_waiting_job_stops_at_once(records: Records, queued: Job) -> None:
    with records.write() as tx:
        queue.ask_to_stop(tx, queued, 4.0)
    assert state(records, queued)[0] == "STOPPED"
    assert queue.claim(records, queued.id, 5.0) is None


@pytest.mark.parametrize("when", ["before the claim", "before the end"])
def test_a_job_of_a_deleted_resource_ends(records: Records, queued: Job, when: str) -> None:
    job = claimed(records, queued) if when == "before the end" else queued
    with records.write() as tx:
        resource = tx.get(ARN)
        assert resource is not None
        lifecycle.bury(tx, resource, 3.0)
    if when == "before the end":
        queue.finish(records, job, 4.0, mark, None)
    else:
        assert queue.claim(records, queued.id, 4.0) is None
    with records.read() as tx:
        ended = tx.get_job(queued.id)
    assert ended is not None
    assert (ended.state, ended.message) == ("FAILED", "The resource was deleted.")


def test_no_status_follows_one_it_cannot_follow(records: Records, queued: Job) -> None:
    with records.write() as tx:
        resource = tx.get(ARN)
        assert resource is not None
        with pytest.raises(ValueError, match="cannot go from CREATE PENDING to ACTIVE"):
            lifecycle.move(tx, resource, lifecycle.ACTIVE, 2.0)

"""Jobs are claimed by one, ended once, and never left running: seen on the records alone."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpick.jobs import queue
from nextpick.resources import campaigns, lifecycle
from nextpick.resources.kinds import CAMPAIGN, DATASET_IMPORT_JOB, SOLUTION_VERSION, Kind
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
    return put(records, DATASET_IMPORT_JOB, "import")


def put(records: Records, kind: Kind, work: str) -> Job:
    """Create a resource that needs a job, and return the job."""
    with records.write() as tx:
        made = lifecycle.create(
            tx, kind, account="111111111111", region="r", name="j", body={}, now=1.0, job=work
        )
        (job,) = tx.find_jobs(arn=made.arn)
    return job


def claimed(records: Records, queued: Job, now: float = 2.0) -> Job:
    job = queue.claim(records, queued.id, now)
    assert job is not None
    return job


def ask_to_stop(records: Records, job: Job, now: float) -> None:
    with records.write() as tx:
        held = tx.get_job(job.id)
        assert held is not None
        queue.ask_to_stop(tx, held, now)


def state(records: Records, job: Job) -> tuple[str, str | None, str | None]:
    """Return the job's state, its resource's status, and the reason of a failure."""
    with records.read() as tx:
        held, resource = tx.get_job(job.id), tx.get(job.arn)
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


def test_of_many_who_claim_at_once_one_gets_it(records: Records, queued: Job) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: queue.claim(records, queued.id, 2.0), range(8)))
    assert len([job for job in got if job is not None]) == 1


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
    with records.read() as tx:
        assert tx.get_job(new.id) == new
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
    ask_to_stop(records, job, 10.0)
    queue.recover(records, 11.0, 3)
    assert state(records, job) == ("STOPPED", "CREATE FAILED", "The job was stopped.")


def test_a_job_asked_to_stop_learns_of_it_and_its_result_is_dropped(records: Records, queued: Job) -> None:
    job = claimed(records, queued)
    assert queue.heartbeat(records, job, 3.0, 0.5, "half") == "RUNNING"
    ask_to_stop(records, job, 4.0)
    assert queue.heartbeat(records, job, 5.0, 0.6, "more") == "STOPPING"
    queue.finish(records, job, 6.0, mark, None)
    assert state(records, job) == ("STOPPED", "CREATE FAILED", "The job was stopped.")


def test_a_waiting_job_stops_at_once(records: Records, queued: Job) -> None:
    ask_to_stop(records, queued, 4.0)
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


@pytest.mark.parametrize("end", ["a failure", "a stop"])
def test_a_campaign_whose_update_does_not_end_well_serves_what_it_served(records: Records, end: str) -> None:
    creation = claimed(records, put(records, CAMPAIGN, "deploy"))
    old, new = {"version": "s/old"}, "s/new"
    queue.finish(records, creation, 3.0, lambda tx, c, now: campaigns.finish(tx, c, now, serving=old), None)
    with records.write() as tx:
        campaign = tx.get(creation.arn)
        assert campaign is not None
        campaigns.request_update(tx, campaign, {"solutionVersionArn": new}, 4.0, deploys=True)
        (update,) = tx.find_jobs(states=("QUEUED",))
    update = claimed(records, update)
    if end == "a failure":
        queue.fail(records, update, 5.0, "no room")
    else:
        queue.stopped(records, update, 5.0)
    with records.read() as tx:
        campaign = tx.get(creation.arn)
    assert campaign is not None
    assert (campaign.status, campaign.internal["serving"]) == ("ACTIVE", old)
    told = campaign.body["latestCampaignUpdate"]
    reason = "no room" if end == "a failure" else "The job was stopped."
    assert (told["status"], told["failureReason"], told["solutionVersionArn"]) == (
        "CREATE FAILED",
        reason,
        new,
    )


class Model:
    """What the queue must do with one job, in so many words."""

    def __init__(self, kind: Kind) -> None:
        self.state, self.claims, self.results = "QUEUED", 0, 0
        self.stops = kind is SOLUTION_VERSION

    def does(self, action: str, fence: int, attempts: int) -> bool:
        """Take an action of the holder of that fence; tell whether it is allowed to."""
        held = self.state in ("RUNNING", "STOPPING") and fence == self.claims
        match action:
            case "claim" if self.state == "QUEUED":
                self.state, self.claims = "RUNNING", self.claims + 1
            case "ask to stop" if self.state in ("QUEUED", "RUNNING"):
                self.state = "STOPPED" if self.state == "QUEUED" else "STOPPING"
            case "finish" if held:
                self.results += self.state == "RUNNING"
                self.state = "DONE" if self.state == "RUNNING" else "STOPPED"
            case "fail" if held:
                self.state = "FAILED"
            case "stopped" if held:
                self.state = "STOPPED"
            case "release" if held:
                again = "FAILED" if self.claims >= attempts else "QUEUED"
                self.state = "STOPPED" if self.state == "STOPPING" else again
        return held

    @property
    def status(self) -> str:
        """What the resource is to be then."""
        return {
            "QUEUED": "CREATE IN_PROGRESS" if self.claims else "CREATE PENDING",
            "RUNNING": "CREATE IN_PROGRESS",
            "STOPPING": "CREATE STOPPING" if self.stops else "CREATE IN_PROGRESS",
            "STOPPED": "CREATE STOPPED" if self.stops else "CREATE FAILED",
            "DONE": "ACTIVE",
            "FAILED": "CREATE FAILED",
        }[self.state]


ATTEMPTS = 3
ACTIONS = ["claim", "claim", "finish", "fail", "stopped", "release", "release", "ask to stop", "heartbeat"]
MAKERS = {"imports": (DATASET_IMPORT_JOB, "import"), "trainings": (SOLUTION_VERSION, "train")}


@pytest.mark.parametrize("of", MAKERS)
@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 3)), max_size=14))
def test_whatever_happens_in_whatever_order_is_what_the_model_says(
    of: str, happens: list[tuple[str, int]]
) -> None:
    kind, work = MAKERS[of]
    with tempfile.TemporaryDirectory() as scratch:
        migrate.migrate(Path(scratch) / "nextpick.db")
        with closing(Records(Path(scratch) / "nextpick.db")) as records:
            job, model, holders = put(records, kind, work), Model(kind), dict[int, Job]()
            results: list[float] = []

            def commit(tx: Transaction, resource: Resource, now: float) -> None:
                results.append(now)
                mark(tx, resource, now)

            for now, (action, which) in enumerate(happens):
                was = model.state
                if action == "claim":
                    got = queue.claim(records, job.id, now)
                    assert (got is not None) == (was == "QUEUED")
                    holders |= {got.fence: got} if got is not None else {}
                    model.does(action, which, ATTEMPTS)
                elif action == "ask to stop":
                    if was in ("QUEUED", "RUNNING"):
                        ask_to_stop(records, job, now)
                    model.does(action, which, ATTEMPTS)
                elif which in holders and (
                    action != "stopped" or was != "RUNNING"
                ):  # who was not asked goes on
                    allowed = is_allowed(records, action, holders[which], now, commit)
                    assert allowed == model.does(action, which, ATTEMPTS)
                held, status, _ = state(records, job)
                assert (held, status, len(results)) == (model.state, model.status, model.results)
            assert model.claims <= ATTEMPTS


def is_allowed(records: Records, action: str, job: Job, now: float, commit: queue.Commit) -> bool:
    """Do something as the holder of a job; tell whether the queue let it."""
    acts: dict[str, Callable[[], object]] = {
        "release": lambda: queue.release(records, job, now, "gone", ATTEMPTS),
        "finish": lambda: queue.finish(records, job, now, commit, None),
        "fail": lambda: queue.fail(records, job, now, "no"),
        "stopped": lambda: queue.stopped(records, job, now),
        "heartbeat": lambda: queue.heartbeat(records, job, now, 0.5, "half"),
    }
    before = state(records, job)
    try:
        acts[action]()
    except queue.Fenced:
        return False
    return action != "release" or state(records, job) != before  # it is silent when it comes too late

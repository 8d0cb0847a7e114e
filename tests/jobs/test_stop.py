"""What is asked to stop stops, says so, and leaves everything as it was: seen through the API."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from nextpick.jobs import runner
from served import command_of, jobs_of
from worlds import Api, Shop, checkerboard, open_api

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")


@pytest.fixture
def shop(api: Api) -> Shop:
    """A shop with data."""
    made = Shop(api)
    assert made.imported(made.start_import("first", checkerboard()))["status"] == "ACTIVE"
    return made


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Shop]:
    """A shop in which every job waits for ever."""
    api = open_api(tmp_path / "home", job_slots=0)
    yield Shop(api)
    api.library.close()


Freeze = Callable[[Api, str], int]


@pytest.fixture
def freeze() -> Iterator[Freeze]:
    """Halt the process of a resource's job, at its start; it is let go at the end of the test."""
    frozen: list[int] = []

    def halt(api: Api, arn: str) -> int:
        job_id = api.nextpick.describe_job(resourceArn=arn)["job"]["jobId"]
        wait_until(lambda: any(job_id in command_of(pid) for pid in jobs_of(os.getpid())))
        (pid,) = (pid for pid in jobs_of(os.getpid()) if job_id in command_of(pid))
        os.kill(pid, signal.SIGSTOP)
        frozen.append(pid)
        return pid

    yield halt
    for pid in frozen:
        resume(pid)


def resume(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def big() -> str:
    """Data whose import takes long enough to be stopped on its way."""
    return checkerboard(users=16_000, items=500, per_user=60)


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return raised.value.response["Error"]["Code"]


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def holds(directory: Path, wanted: dict[str, bytes]) -> bool:
    """Tell whether a directory holds these files and no others, while a job's are being removed."""
    try:
        return files(directory) == wanted
    except FileNotFoundError:
        return False


def wait_until(happened: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_import_stopped_on_its_way_leaves_the_dataset_as_before(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTPICK_IMPORT_BLOCK_BYTES", "20000")  # so that it reports and looks often
    nextpick, personalize = shop.api.nextpick, shop.api.personalize
    blobs = shop.api.library.home / "blobs" / "datasets"
    before, described = files(blobs), personalize.describe_dataset(datasetArn=shop.dataset)["dataset"]
    arn = shop.start_import("second", big(), importMode="FULL")
    wait_until(lambda: nextpick.describe_job(resourceArn=arn)["job"]["progress"] > 0)
    assert nextpick.stop_job(resourceArn=arn)["job"]["state"] == "STOPPING"
    job = shop.imported(arn)
    assert (job["status"], job["failureReason"]) == ("CREATE FAILED", "The job was stopped.")
    assert nextpick.describe_job(resourceArn=arn)["job"]["state"] == "STOPPED"
    assert personalize.describe_dataset(datasetArn=shop.dataset)["dataset"] == described
    wait_until(lambda: holds(blobs, before))  # a result that came too late goes when its process has ended
    version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
    report = json.loads(nextpick.get_job_report(resourceArn=version)["report"])
    assert (report["interactions"], report["users"]) == (1200, 60)


def test_after_a_stopped_import_the_next_one_is_done(shop: Shop, freeze: Freeze) -> None:
    arn = shop.start_import("second", checkerboard(users=90))
    pid = freeze(shop.api, arn)
    shop.api.nextpick.stop_job(resourceArn=arn)
    resume(pid)
    assert shop.imported(arn)["status"] == "CREATE FAILED"
    assert shop.imported(shop.start_import("third", checkerboard(users=90)))["status"] == "ACTIVE"


def test_an_import_that_waits_is_stopped_at_once_and_never_runs(tmp_path: Path) -> None:
    with contextlib.closing(open_api(tmp_path / "home", job_slots=0).library) as library:
        waiting = Shop(Api(library))
        arn = waiting.start_import("j", checkerboard())
        assert waiting.api.nextpick.stop_job(resourceArn=arn)["job"]["state"] == "STOPPED"
        job = waiting.imported(arn)
        assert (job["status"], job["failureReason"]) == ("CREATE FAILED", "The job was stopped.")
    with contextlib.closing(open_api(tmp_path / "home").library) as library:
        other = Shop(Api(library), "other")
        other.imported(other.start_import("j2", checkerboard()))  # by now the first would have run
        (told,) = other.api.nextpick.list_jobs(resourceArn=arn)["jobs"]
        assert (told["state"], told["attempts"]) == ("STOPPED", 0)


def test_a_training_that_waits_is_stopped_at_once(waiting: Shop) -> None:
    version = waiting.train(waiting.solution())
    waiting.api.personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert waiting.trained(version)["status"] == "CREATE STOPPED"
    (job,) = waiting.api.nextpick.list_jobs(resourceArn=version, state="STOPPED")["jobs"]
    assert (job["kind"], job["attempts"]) == ("train", 0)


@pytest.mark.parametrize("how", ["StopSolutionVersionCreation", "StopJob"])
def test_a_training_that_runs_is_stopping_until_its_process_has_ended(
    shop: Shop, freeze: Freeze, how: str
) -> None:
    personalize, nextpick = shop.api.personalize, shop.api.nextpick
    version = shop.train(shop.solution())
    pid = freeze(shop.api, version)
    if how == "StopJob":
        nextpick.stop_job(jobId=nextpick.describe_job(resourceArn=version)["job"]["jobId"])
    else:
        personalize.stop_solution_version_creation(solutionVersionArn=version)
    (listed,) = personalize.list_solution_versions()["solutionVersions"]
    assert listed["status"] == "CREATE STOPPING"
    with pytest.raises(ClientError) as raised:
        personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert code(raised) == "ResourceInUseException"
    resume(pid)
    assert shop.trained(version)["status"] == "CREATE STOPPED"
    with pytest.raises(ClientError) as raised:
        personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert code(raised) == "InvalidInputException"


def test_a_stopped_version_leaves_no_files_and_is_not_deployed_and_the_next_is_trained(
    shop: Shop, freeze: Freeze
) -> None:
    personalize, solution = shop.api.personalize, shop.solution()
    version = shop.train(solution)
    pid = freeze(shop.api, version)
    personalize.stop_solution_version_creation(solutionVersionArn=version)
    resume(pid)
    assert shop.trained(version)["status"] == "CREATE STOPPED"
    wait_until(lambda: holds(shop.api.library.home / "blobs" / "versions", {}))
    for refused in (
        lambda: personalize.create_campaign(name="c", solutionVersionArn=version),
        lambda: personalize.get_solution_metrics(solutionVersionArn=version),
    ):
        with pytest.raises(ClientError) as raised:
            refused()
        assert code(raised) in ("InvalidInputException", "ResourceInUseException")
    assert shop.trained(shop.train(solution))["status"] == "ACTIVE"


def test_a_process_that_does_not_listen_is_killed(
    shop: Shop, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_STOP_GRACE_S", 0.2)
    version = shop.train(shop.solution())
    pid = freeze(shop.api, version)
    shop.api.personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert (
        shop.trained(
            version,
        )["status"]
        == "CREATE STOPPED"
    )
    assert not Path(f"/proc/{pid}").exists()


def test_a_stop_outlives_a_restart(api: Api, tmp_path: Path, freeze: Freeze) -> None:
    first = Shop(api)
    arn = first.start_import("j", checkerboard())
    freeze(api, arn)
    assert api.nextpick.stop_job(resourceArn=arn)["job"]["state"] == "STOPPING"
    api.library.close()
    api.library = open_api(tmp_path / "home").library  # what the fixture closes
    again = Api(api.library)
    (job,) = again.nextpick.list_jobs(resourceArn=arn)["jobs"]
    assert (job["state"], job["attempts"]) == ("STOPPED", 1)
    import_job = again.personalize.describe_dataset_import_job(datasetImportJobArn=arn)["datasetImportJob"]
    assert import_job["status"] == "CREATE FAILED"


def test_what_has_ended_is_not_stopped(shop: Shop) -> None:
    (job,) = shop.api.nextpick.list_jobs(state="DONE")["jobs"]
    with pytest.raises(
        ClientError, match=f"Job {job['jobId']} is DONE; only a queued or running job"
    ) as raised:
        shop.api.nextpick.stop_job(jobId=job["jobId"])
    assert code(raised) == "InvalidInputException"
    assert shop.imported(job["resourceArn"])["status"] == "ACTIVE"


def test_a_job_is_named_by_its_id_or_its_resource_and_must_exist(waiting: Shop) -> None:
    arn, stop = waiting.start_import("j", checkerboard()), waiting.api.nextpick.stop_job
    (job,) = waiting.api.nextpick.list_jobs(resourceArn=arn)["jobs"]
    for request, wanted in (
        ({}, "InvalidInputException"),
        ({"jobId": job["jobId"], "resourceArn": arn}, "InvalidInputException"),
        ({"jobId": "0" * 32}, "ResourceNotFoundException"),
        ({"resourceArn": waiting.dataset}, "ResourceNotFoundException"),
    ):
        with pytest.raises(ClientError) as raised:
            stop(**request)
        assert code(raised) == wanted
    elsewhere = waiting.api.library.client("nextpick", region="eu-west-1")
    with pytest.raises(ClientError) as raised:
        elsewhere.stop_job(jobId=job["jobId"])
    assert code(raised) == "ResourceNotFoundException"
    assert waiting.api.nextpick.describe_job(jobId=job["jobId"])["job"]["state"] == "QUEUED"

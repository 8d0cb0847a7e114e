"""After kill -9 of any process every job ends with a result or a reason, and nothing acknowledged is lost."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from nextpick.store import log as event_log
from nextpick.testing.server import ServerFailed
from served import Server, children_of, command_of, is_running, jobs_of, wait_for_job_process, workers_of
from worlds import Shop, checkerboard

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "home", workers=2)
    served.start()
    yield served
    served.stop()


def big() -> str:
    """Data whose import and training take long enough to be interrupted."""
    return checkerboard(users=4000, items=500, per_user=60)


def test_an_import_whose_process_is_killed_is_done_again(server: Server) -> None:
    shop = Shop(server)
    arn = shop.start_import("j", big())
    os.kill(wait_for_job_process(server.pid), signal.SIGKILL)
    job = shop.imported(arn)
    assert job["status"] == "ACTIVE"
    told = server.nextpick.describe_job(resourceArn=arn)["job"]
    assert (told["state"], told["attempts"]) == ("DONE", 2)


def test_a_job_whose_fork_server_is_killed_is_done_again(server: Server) -> None:
    shop = Shop(server)
    arn = shop.start_import("j", big())
    job = wait_for_job_process(server.pid)
    (forks,) = (pid for pid in children_of(server.pid) if "nextpick.jobs.forkserver" in command_of(pid))
    os.kill(forks, signal.SIGKILL)
    assert shop.imported(arn)["status"] == "ACTIVE"
    assert not is_running(job)
    told = server.nextpick.describe_job(resourceArn=arn)["job"]
    assert (told["state"], told["attempts"]) == ("DONE", 2)


def test_a_job_whose_process_is_always_killed_fails_with_the_reason(server: Server) -> None:
    shop = Shop(server)
    arn = shop.start_import("j", big())
    ended = threading.Event()

    def kill_each() -> None:
        while not ended.is_set():
            for pid in jobs_of(server.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    killer = threading.Thread(target=kill_each)
    killer.start()
    try:
        job = shop.imported(arn)
    finally:
        ended.set()
        killer.join()
    assert job["status"] == "CREATE FAILED"
    assert "SIGKILL" in job["failureReason"]
    assert list((server.home / "blobs" / "datasets").glob("*/*")) == []


@pytest.mark.parametrize("stage", ["import", "train"])
def test_after_kill_9_of_the_supervisor_a_restart_finishes_the_job(server: Server, stage: str) -> None:
    shop = Shop(server)
    arn = shop.start_import("j", big())
    if stage == "train":
        shop.imported(arn)
        arn = shop.train(shop.solution())
    wait_for_job_process(server.pid)
    server.kill()
    server.start()
    shop.api = server
    ended = shop.imported(arn) if stage == "import" else shop.trained(arn)
    assert ended["status"] == "ACTIVE"


def test_a_killed_worker_is_replaced_and_answers_again(server: Server) -> None:
    workers = workers_of(server.pid)
    assert len(workers) == 2
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:
        try:
            assert server.personalize.list_schemas()["schemas"] == []
            break
        except BotoCoreError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_events_acknowledged_before_kill_9_are_in_the_log(server: Server) -> None:
    shop = Shop(server)
    tracker = server.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]
    acknowledged: list[str] = []
    killed = threading.Event()

    def send(sender: int) -> None:
        for i in range(100_000):
            event_id = f"{sender}-{i}"
            event = {"eventType": "click", "sentAt": 1_700_000_000 + i, "itemId": "i1", "eventId": event_id}
            try:
                server.events.put_events(trackingId=tracker, sessionId="s", userId="u", eventList=[event])
            except (BotoCoreError, ClientError):
                if killed.is_set():
                    return
                raise
            acknowledged.append(event_id)

    senders = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in senders:
        thread.start()
    deadline = time.monotonic() + 20
    while len(acknowledged) < 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.set()
    for pid in reversed(server.family()):
        os.kill(pid, signal.SIGKILL)
    server.kill()
    for thread in senders:
        thread.join()
    log_dir = server.home / "log"
    kept = {row.event_id for row in event_log.read_group(log_dir, shop.group, event_log.positions(log_dir))}
    assert set(acknowledged) <= kept
    assert len(list(log_dir.glob("*.db"))) == 2


def test_a_second_server_on_the_same_home_is_refused_by_pid(server: Server) -> None:
    second = Server(server.home, workers=1)
    with pytest.raises(ServerFailed, match=f"in use by the nextpick with pid {server.pid}"):
        second.start()


def test_a_server_told_to_end_ends_and_takes_its_address_away(server: Server) -> None:
    family = server.family()
    assert server.stop() == 0
    assert not (server.home / "server.json").exists()
    assert not [pid for pid in family if command_of(pid)]

"""A full disk fails the job with that reason, and leaves the data as it was; room made again is used again."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from nextpick.store import log as event_log
from served import Server, descendants_of, jobs_of, wait_for_job_process, workers_of
from worlds import INTERACTIONS_SCHEMA, Shop, checkerboard

SIZE_MB = 64


class Disk:
    """A small disk of its own, mounted on a directory."""

    def __init__(self, path: Path) -> None:
        """Mount it; skip the test where that is not allowed."""
        path.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(path)]
        try:
            tried = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"a small disk cannot be mounted here: {error}")
        if tried.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {tried.stderr.strip()}")
        self.path, self._ballast = path, path / "ballast"

    def unmount(self) -> None:
        """Take it away, with all that is on it."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)

    def fill(self, room: int = 0) -> None:
        """Leave that many bytes free."""
        with self._ballast.open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(1 << 16)):
                    pass
            file.truncate(file.tell() - room)

    def free(self) -> None:
        """Take away what fills it."""
        self._ballast.unlink()

    def contents(self) -> dict[str, bytes]:
        """Return all files but the one that fills it."""
        return {name: held for name, held in contents(self.path).items() if name != self._ballast.name}


def contents(directory: Path) -> dict[str, bytes]:
    """Return every file under a directory."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Disk]:
    """A disk for datasets and versions."""
    disk = Disk(tmp_path / "home" / "blobs")
    yield disk
    disk.unmount()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Disk]:
    """A disk for everything."""
    disk = Disk(tmp_path / "home")
    yield disk
    disk.unmount()


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    for disk in {"blobs", "home"} & set(request.fixturenames):
        request.getfixturevalue(disk)  # there before the server is, and until it has ended
    served = Server(tmp_path / "home", workers=1)
    served.log = tmp_path / "server.log"
    served.start()
    yield served
    served.stop()


def big() -> str:
    """Data that a small room does not hold."""
    return checkerboard(users=4000, items=500, per_user=60)


def described(shop: Shop) -> dict[str, Any]:
    return shop.api.personalize.describe_dataset(datasetArn=shop.dataset)["dataset"]


def becomes(wanted: Any, look: Callable[[], Any], timeout_s: float = 30) -> None:
    """Look until it is as wanted."""
    deadline = time.monotonic() + timeout_s
    while (found := look()) != wanted:
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(0.02)


@pytest.mark.parametrize(("room", "mode"), [(0, "FULL"), (1 << 20, "INCREMENTAL")])
def test_an_import_on_a_full_disk_leaves_the_dataset_as_it_was(
    server: Server, blobs: Disk, room: int, mode: str
) -> None:
    shop = Shop(server)
    assert shop.imported(shop.start_import("first", checkerboard()))["status"] == "ACTIVE"
    before, dataset = blobs.contents(), described(shop)
    assert before
    blobs.fill(room)
    job = shop.imported(shop.start_import("second", big(), importMode=mode))
    assert job["status"] == "CREATE FAILED"
    assert job["failureReason"].startswith("The machine refused: ")
    assert "No space left on device" in job["failureReason"]
    assert blobs.contents() == before
    assert described(shop) == dataset
    blobs.free()
    assert shop.imported(shop.start_import("third", key="second.csv", importMode=mode))["status"] == "ACTIVE"


def test_a_first_import_on_a_full_disk_leaves_an_empty_dataset(server: Server, blobs: Disk) -> None:
    shop = Shop(server)
    blobs.fill()
    assert shop.imported(shop.start_import("j", checkerboard()))["status"] == "CREATE FAILED"
    assert blobs.contents() == {}
    blobs.free()
    version = shop.trained(shop.train(shop.solution()))
    assert version["status"] == "CREATE FAILED"
    assert "Dataset has fewer than 1000 interactions" in version["failureReason"]


@pytest.mark.parametrize("room", [0, 2 << 20])
def test_a_training_on_a_full_disk_leaves_the_version_that_serves(
    server: Server, blobs: Disk, room: int
) -> None:
    shop = Shop(server)
    assert shop.imported(shop.start_import("first", big()))["status"] == "ACTIVE"
    solution = shop.solution()
    greedy = {"itemExplorationConfig": {"explorationWeight": "0"}}
    version = shop.trained(shop.train(solution))["solutionVersionArn"]
    campaign = shop.deployed("c", version, campaignConfig=greedy)
    before, answer = blobs.contents(), shop.recommend(campaign, userId="u1")["itemList"]
    blobs.fill(room)
    failed = shop.trained(shop.train(solution))
    assert failed["status"] == "CREATE FAILED"
    assert failed["failureReason"] == "The machine refused: No space left on device."
    assert blobs.contents() == before
    assert shop.recommend(campaign, userId="u1")["itemList"] == answer
    blobs.free()
    assert shop.trained(shop.train(solution))["status"] == "ACTIVE"


def test_an_import_whose_files_may_not_grow_leaves_the_dataset_as_it_was(server: Server) -> None:
    shop = Shop(server)
    assert shop.imported(shop.start_import("first", checkerboard()))["status"] == "ACTIVE"
    before, dataset = contents(server.home / "blobs"), described(shop)
    for pid in {server.pid, *descendants_of(server.pid)} - set(workers_of(server.pid)):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    job = shop.imported(shop.start_import("second", big()))
    assert job["status"] == "CREATE FAILED"
    assert "File too large" in job["failureReason"]
    assert contents(server.home / "blobs") == before
    assert described(shop) == dataset


def test_a_call_that_a_full_disk_refuses_has_done_nothing(server: Server, home: Disk) -> None:
    shop = Shop(server)
    tracking_id = server.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]

    def put(event_id: str) -> None:
        event = {"eventType": "click", "sentAt": 1_700_000_000, "itemId": "i1", "eventId": event_id}
        server.events.put_events(trackingId=tracking_id, sessionId="s", userId="u", eventList=[event])

    def create(name: str) -> None:
        server.personalize.create_schema(name=name, schema=INTERACTIONS_SCHEMA)

    put("before")
    home.fill()
    for _ in range(3):
        for call in (put, create):
            with pytest.raises(ClientError, match=r"ServiceUnavailable.*could not be written.*disk is full"):
                call("refused")
    names = [schema["name"] for schema in server.personalize.list_schemas()["schemas"]]
    assert names == ["shop-schema"]
    home.free()
    put("after")
    create("refused")
    log_dir = server.home / "log"
    rows = event_log.read_group(log_dir, shop.group, event_log.positions(log_dir))
    assert [row.event_id for row in rows] == ["before", "after"]


def test_a_job_whose_end_could_not_be_written_ends_once_there_is_room(server: Server, home: Disk) -> None:
    shop = Shop(server)
    arn = shop.start_import("j", big())
    process = wait_for_job_process(server.pid)
    os.kill(process, signal.SIGSTOP)
    home.fill()
    os.kill(process, signal.SIGCONT)
    becomes(False, lambda: process in jobs_of(server.pid))
    time.sleep(1)  # the supervisor, too, finds that it cannot write
    home.free()
    ends = ("DONE", "FAILED")
    becomes(True, lambda: server.nextpick.describe_job(resourceArn=arn)["job"]["state"] in ends, 15)


def test_a_stamp_that_has_no_room_is_refused_and_ends_no_process(home: Disk) -> None:
    home.fill()
    change = (
        "import sys, pathlib, nextpick.store.stamp as s\n"
        "try: s.Stamp(pathlib.Path(sys.argv[1])).change()\n"
        "except OSError as error: sys.exit(error.errno)"
    )
    ended = subprocess.run([sys.executable, "-c", change, str(home.path / "a.stamp")], check=False)
    assert ended.returncode == errno.ENOSPC

"""A full disk fails the job with that reason, and leaves the data as it was; room made again is used again."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from served import Server
from worlds import Shop, checkerboard

SIZE_MB = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server whose datasets and versions lie on a disk of few megabytes."""
    blobs = tmp_path / "home" / "blobs"
    blobs.mkdir(parents=True)
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(blobs)],
        capture_output=True,
        check=False,
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    served = Server(tmp_path / "home", workers=1).start()
    yield served
    served.stop()
    subprocess.run(["umount", str(blobs)], check=True)


def test_jobs_on_a_full_disk_fail_and_leave_everything_as_it_was(server: Server) -> None:
    shop = Shop(server)
    blobs = server.home / "blobs"
    assert shop.imported(shop.start_import("first", checkerboard()))["status"] == "ACTIVE"
    version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
    campaign = shop.deployed(
        "c", version, campaignConfig={"itemExplorationConfig": {"explorationWeight": "0"}}
    )
    before = shop.recommend(campaign, userId="u1")["itemList"]
    files = sorted(blobs.rglob("*"))

    ballast = blobs / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    job = shop.imported(shop.start_import("second", checkerboard(users=600), importMode="INCREMENTAL"))
    assert job["status"] == "CREATE FAILED"
    assert "No space left on device" in job["failureReason"]
    failed = shop.trained(shop.train(shop.solution("again")))
    assert failed["status"] == "CREATE FAILED"
    assert "No space left on device" in failed["failureReason"]
    assert sorted(set(blobs.rglob("*")) - {ballast}) == files
    assert shop.recommend(campaign, userId="u1")["itemList"] == before

    ballast.unlink()
    assert (
        shop.imported(shop.start_import("third", checkerboard(), importMode="INCREMENTAL"))["status"]
        == "ACTIVE"
    )
    assert shop.trained(shop.train(shop.solution("once-more")))["status"] == "ACTIVE"

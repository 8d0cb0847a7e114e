"""What each process holds in memory: a worker serves, and imports nothing that only jobs need."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from served import Server, workers_of
from worlds import HEADER, Shop, checkerboard, open_api

# SciPy is not here: where it is installed, numba itself takes its BLAS; nextpick does not depend on it.
HEAVY = ("torch", "onnx", "onnxruntime", "ray", "pyarrow", "pandas", "alembic", "altair")


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh process has after a statement."""
    script = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["worker", "app", "supervisor", "cli.main"])
def test_what_serves_imports_nothing_heavy(module: str) -> None:
    assert modules_after(f"import nextpick.{module}") & set(HEAVY) == set()


def test_the_check_sees_what_a_training_imports() -> None:
    assert {"pyarrow", "numba"} <= modules_after("import nextpick.jobs.train")


def test_importing_nextpick_alone_costs_nothing() -> None:
    added = modules_after("import nextpick") - modules_after("pass") - set(sys.stdlib_module_names)
    assert added == {"nextpick"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "home", workers=1).start()
    yield served
    served.stop()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at processes through /proc")
def test_a_worker_that_has_served_has_mapped_none_of_it(server: Server) -> None:
    shop = Shop(server)
    shop.imported(shop.start_import("j", checkerboard()))
    version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
    campaign = shop.deployed("c", version)
    assert len(shop.recommend(campaign, userId="u1")["itemList"]) == 25
    tracker = server.personalize.create_event_tracker(name="t", datasetGroupArn=shop.group)["trackingId"]
    event = {"eventType": "click", "sentAt": 1_700_000_000, "itemId": "i1"}
    server.events.put_events(trackingId=tracker, sessionId="s", userId="u1", eventList=[event])
    (worker,) = workers_of(server.pid)
    mapped = Path(f"/proc/{worker}/maps").read_text()
    assert "numba" in mapped  # it does show what is imported
    assert [name for name in HEAVY if f"/{name}/" in mapped] == []


def test_a_job_goes_by_the_settings_its_home_was_opened_with(tmp_path: Path) -> None:
    api = open_api(tmp_path / "home", min_interactions=10)
    try:
        shop = Shop(api)
        job = shop.imported(shop.start_import("j", HEADER + "".join(f"u{n},i{n},{n}\n" for n in range(20))))
        assert job["status"] == "ACTIVE", job["failureReason"]
    finally:
        api.library.close()

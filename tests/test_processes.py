"""What each process holds in memory: a worker serves, and imports nothing that only jobs need."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from served import Server, children_of, command_of
from worlds import Shop, checkerboard

# SciPy is not here: where it is installed, numba itself takes its BLAS; nextpick does not depend on it.
HEAVY = ("torch", "ray", "pyarrow", "pandas", "alembic", "altair")


def test_the_modules_of_a_worker_import_nothing_heavy() -> None:
    script = "import nextpick.worker, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & set(HEAVY) == set()


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
    (worker,) = (pid for pid in children_of(server.pid) if "nextpick.worker" in command_of(pid))
    mapped = Path(f"/proc/{worker}/maps").read_text()
    assert "numba" in mapped  # it does show what is imported
    assert [name for name in HEAVY if f"/{name}/" in mapped] == []

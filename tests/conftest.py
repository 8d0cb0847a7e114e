"""Fixtures every test may use: an engine in this process, and clients that check nothing before sending."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from worlds import Api, open_api

# as jobs have it, before anything reads it: threads that spin make a busy machine ten times slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "2")

# nothing is timed: a machine may be busy
settings.register_profile(
    "the same each time",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("the same each time")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than there are processors: tests often wait for the server and the jobs they start."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An empty engine of the test's own."""
    opened = open_api(tmp_path / "home")
    yield opened
    opened.library.close()


@pytest.fixture
def group(api: Api) -> str:
    """The ARN of an empty dataset group."""
    return api.personalize.create_dataset_group(name="shop")["datasetGroupArn"]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; tests that need it are skipped without it."""
    return Path(os.environ.get("NEXTPICK_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))

"""What is compiled ahead of the first training."""

import os
import subprocess
from pathlib import Path

import pytest

from nextpick.jobs import warm
from nextpick.models import blend

INDEX = "blend.predict-1.py311.nbi"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    (tmp_path / "models_1").mkdir()
    return tmp_path / "models_1"


def started() -> subprocess.Popen | None:
    """Start with a pipe whose other end is closed at once."""
    ours, theirs = os.pipe()
    try:
        return warm.start(ours)
    finally:
        os.close(theirs)
        os.close(ours)


def test_nothing_is_compiled_twice(cache: Path) -> None:
    (cache / INDEX).touch()
    assert started() is None


def test_code_older_than_its_source_is_compiled_again_by_a_process_that_ends_with_its_parent(
    cache: Path,
) -> None:
    (cache / INDEX).touch()
    before = Path(blend.__file__).stat().st_mtime - 1
    os.utime(cache / INDEX, (before, before))
    process = started()
    assert process is not None
    assert process.wait(timeout=60) == 1

"""What is compiled ahead of the first training."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from nextpick.jobs import warm

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


def test_nothing_is_compiled_twice() -> None:
    warm.run()
    assert warm.is_compiled()
    assert started() is None


def test_code_of_another_source_is_compiled_again_by_a_process_that_ends_with_its_parent(cache: Path) -> None:
    (cache / INDEX).write_bytes(sha256(b"another").digest())
    process = started()
    assert process is not None
    assert process.wait(timeout=60) == 1

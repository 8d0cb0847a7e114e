"""Fixtures of workflows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from states_world import Hall


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    made = Hall(tmp_path / "home")
    yield made
    made.close()

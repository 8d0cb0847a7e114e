"""Fixtures of workflows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from states_world import Hall
from workshop import Workshop, by_hand


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    """State machines without an engine."""
    made = Hall(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """An engine with its workflows."""
    by_hand(monkeypatch)
    made = Workshop(tmp_path / "home")
    yield made
    made.close()

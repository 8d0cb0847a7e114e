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


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """An engine with its workflows, for the tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        by_hand(patch)
        made = Workshop(tmp_path_factory.mktemp("workshop") / "home")
        yield made
        made.close()


@pytest.fixture
def shop(opened: Workshop) -> Workshop:
    """That engine, without functions, state machines, schedules and triggers of earlier tests."""
    opened.clear()
    return opened

"""One engine with functions for the tests of a file: a process of a function takes a while to start."""

from collections.abc import Iterator

import pytest
from functions_world import Functions

import nextpick


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    """The functions of an engine in this process; a failed asynchronous invocation is tried again at once."""
    home = tmp_path_factory.mktemp("functions") / "home"
    with nextpick.open(home, function_retry_s=0.05, function_concurrency=20) as opened:
        yield Functions(opened, parameter_validation=False)

"""Fixtures every test may use: an engine in this process, and clients that check nothing before sending."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nextpick
from worlds import settle


class Api:
    """The clients of one engine, with client-side validation off so that bad input reaches the server."""

    def __init__(self, library: Any) -> None:
        self.library = library
        unchecked = {"parameter_validation": False}
        self.personalize = library.client("personalize", **unchecked)
        self.runtime = library.client("personalize-runtime", **unchecked)
        self.events = library.client("personalize-events", **unchecked)
        self.nextpick = library.client("nextpick", **unchecked)

    def put_object(self, bucket: str, key: str, text: str) -> str:
        """Write an object into the bucket directory and return its location."""
        path = self.library.home / "buckets" / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return f"s3://{bucket}/{key}"

    settle = staticmethod(settle)


def open_api(home: Path, **settings: Any) -> Api:
    """Open a home and return its clients."""
    return Api(nextpick.open(home, **settings))


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

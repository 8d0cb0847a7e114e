"""One estate for all of these tests."""

from collections.abc import Iterator

import pytest
from estate import Estate

from worlds import open_api


@pytest.fixture(scope="session")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    api = open_api(tmp_path_factory.mktemp("estate"), count_quotas=False, min_interactions=10, min_users=2)
    yield Estate(api)
    api.library.close()

"""aws-trending-now finds what is on the rise, in the window that was asked for."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from botocore.exceptions import ClientError

from nextpick.models import trend
from worlds import HEADER, Shop, open_api

START, HOUR = 1_700_000_000, 3600


def rows() -> str:
    """Return events of ten days: i0 is always popular, i1 was, i2 is since the last hour, i3 since the last day."""
    rng = np.random.default_rng(5)
    latest = START + 240 * HOUR
    times = {
        "i0": rng.integers(START, latest, 4000),
        "i1": rng.integers(START, START + 120 * HOUR, 4000),
        "i2": rng.integers(latest - HOUR, latest, 120),
        "i3": rng.integers(latest - 24 * HOUR, latest, 400),
    }
    times |= {f"i{i}": rng.integers(START, latest, 40) for i in range(4, 30)}
    lines = [f"u{rng.integers(0, 300)},{item},{time}" for item, found in times.items() for time in found]
    return HEADER + "\n".join([*lines, f"u1,i0,{latest}"]) + "\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    api = open_api(Path(tmp_path_factory.mktemp("trending")))
    made = Shop(api)
    assert made.imported(made.start_import("all", rows()))["status"] == "ACTIVE"
    yield made
    api.library.close()


@pytest.mark.parametrize(("frequency", "first"), [("1 hour", "i2"), ("1 day", "i3"), (None, "i2")])
def test_what_rises_in_the_window_comes_first(shop: Shop, frequency: str | None, first: str) -> None:
    features = (
        {"featureTransformationParameters": {"trend_discovery_frequency": frequency}} if frequency else {}
    )
    name = (frequency or "default").replace(" ", "-")
    version = shop.train(shop.solution(name, "aws-trending-now", solutionConfig=features))
    assert shop.trained(version)["status"] == "ACTIVE"
    items = shop.recommend(shop.deployed(name, version))["itemList"]
    assert items[0] == {"itemId": first}
    assert "i1" not in [item["itemId"] for item in items[:10]]
    metrics = shop.api.personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
    assert list(metrics) == ["trend_prediction_accuracy"]
    assert 0 <= metrics["trend_prediction_accuracy"] <= 1


def test_another_window_is_refused(shop: Shop) -> None:
    features = {"featureTransformationParameters": {"trend_discovery_frequency": "5 minutes"}}
    with pytest.raises(ClientError, match="must be one of 30 minutes, 1 hour, 2 hours, 3 hours, 1 day"):
        shop.solution("refused", "aws-trending-now", solutionConfig=features)


def test_a_window_with_few_events_is_doubled() -> None:
    time = np.arange(0, 1_000_000, 1000)
    assert trend.window(time, 1_000_000, 7200.0) == 7200.0 * 16
    assert trend.window(time, 1_000_000, 86_400.0 * 2) == 86_400.0 * 2

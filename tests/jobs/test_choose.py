"""AutoML says by how much the best recipe is better than the second, and how sure that is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.jobs import choose as choosing
from nextpick.jobs.choice import METRIC, Choice
from nextpick.recipes.evaluate import Measured
from nextpick.testing.worlds import made_data

NAMES = ("aws-popularity-count", "aws-user-personalization", "aws-hrnn")
VALUES = {NAMES[0]: (0.1, 0.2, 0.3, 0.4), NAMES[1]: (0.5, 0.6, 0.7, 0.2), NAMES[2]: (0.3, 0.6, 0.3, 0.4)}


def told(monkeypatch: pytest.MonkeyPatch, metric: str, n: int, recipes: tuple[str, ...]) -> dict[str, Any]:
    """Return what AutoML tells of recipes whose metric is VALUES for ``n`` users."""
    draws: list[int] = []

    def measured(choice: Choice, data: Data, run: Run) -> Measured:
        draws.append(int(run.rng.integers(1 << 30)))
        values = np.array(VALUES[choice.info.name][:n])
        metrics = {METRIC: float(values.mean()), "coverage": 0.5}
        return Measured(metrics, {"much": np.zeros(1)}, {METRIC: values})

    monkeypatch.setattr(choosing, "measure", measured)
    listed = [f"arn:aws:personalize:::recipe/{name}" for name in recipes]
    config = {"autoMLConfig": {"recipeList": listed, "metricName": metric}}
    notes: dict[str, Any] = {}
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    body = {"performAutoML": True, "solutionConfig": config}
    choice = choosing.choose(body, Path(), made_data(), run, notes.__setitem__, 0.0)
    assert len(set(draws)) == 1  # the same users for all
    assert choice.info.name == notes["auto_ml"]["best"]
    return notes["auto_ml"]


def test_the_lead_over_the_second_has_its_error_user_by_user(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, METRIC, 4, NAMES)
    differences = np.array([0.2, 0.0, 0.4, -0.2])
    assert found == {
        "metric": METRIC,
        "recipes": pytest.approx({NAMES[0]: 0.25, NAMES[1]: 0.5, NAMES[2]: 0.4}),
        "best": NAMES[1],
        "ahead_by": 0.1,
        "error": round(float(differences.std(ddof=1)) / 2, 4),
    }


def test_where_no_error_can_be_told_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    coverage = told(monkeypatch, "coverage", 4, NAMES)
    assert (coverage["best"], coverage["ahead_by"], coverage["error"]) == (NAMES[0], 0.0, None)
    assert told(monkeypatch, METRIC, 1, NAMES)["error"] is None
    assert not {"ahead_by", "error"} & told(monkeypatch, METRIC, 4, NAMES[:1]).keys()

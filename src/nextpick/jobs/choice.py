"""One way to train: a recipe and its parameters, and how good it is on users held out."""

from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nextpick.data import featurize, objective
from nextpick.data.dataset import Data, open_snapshot
from nextpick.data.run import Run
from nextpick.recipes import catalogue, evaluate, segments
from nextpick.recipes.catalogue import RecipeInfo

METRIC = "normalized_discounted_cumulative_gain_at_25"
SEGMENT_METRIC = "recall_at_1_percent"


class Choice(NamedTuple):
    """A recipe, its hyperparameters as the API writes them, whether HPO has chosen them, and the
    featureTransformationParameters."""

    info: RecipeInfo
    hyperparameters: dict[str, str]
    is_tuned: bool = False
    features: dict[str, str] = {}  # noqa: RUF012

    def load(self) -> tuple[ModuleType, Any]:
        """Return the recipe's module and its Params."""
        module = catalogue.load(self.info)
        return module, catalogue.parse_params(module, self.hyperparameters, self.features)


def prepared(snapshot: Path, config: dict[str, Any], event_type: str | None) -> Data:
    """Return a snapshot as a solutionConfig wants it: events weighed, items valued, outliers left out."""
    data = open_snapshot(snapshot)
    if config.get("eventsConfig", {}).get("eventParametersList"):
        data = objective.weighed(data, objective.event_rules(config, event_type))
    data = objective.with_objective(data, config.get("optimizationObjective"))
    features = config.get("featureTransformationParameters", {})
    percentiles = {name: float(text) for name, text in features.items() if name.endswith("_percentile")}
    return featurize.without_outliers(data, percentiles)


def measure(choice: Choice, data: Data, run: Run) -> dict[str, float]:
    """Return the hold-out metrics of a choice."""
    module, params = choice.load()
    if choice.info.type == "USER_SEGMENTATION":
        return segments.evaluate(module, params, data, run)
    if hasattr(module, "evaluate"):
        return module.evaluate(params, data, run)
    return evaluate.evaluate(module, params, data, run)

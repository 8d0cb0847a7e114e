"""One way to train: a recipe and its parameters, and how good it is on users held out."""

from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nextpick.data import featurize, objective
from nextpick.data.dataset import Data, open_snapshot
from nextpick.data.run import Run
from nextpick.recipes import catalogue, evaluate, segments
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.recipes.evaluate import Measured

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

    def featurized(self, data: Data) -> Data:
        """Return the data as the recipe's feature transformation leaves it: without unusual users and items."""
        others = catalogue.features_of(catalogue.load(self.info))
        percentiles = featurize.parse(self.features, self.info.percentiles, self.info.name, others)
        return featurize.without_outliers(data, percentiles)


def prepared(snapshot: Path, config: dict[str, Any], event_type: str | None) -> Data:
    """Return a snapshot as a solutionConfig wants it: events weighed, items valued."""
    data = open_snapshot(snapshot)
    if config.get("eventsConfig", {}).get("eventParametersList"):
        data = objective.weighed(data, objective.event_rules(config, event_type))
    return objective.with_objective(data, config.get("optimizationObjective"))


def measure(choice: Choice, data: Data, run: Run) -> Measured:
    """Return the hold-out metrics of a choice on data that is not featurized yet.

    Where recipes are measured alike, users are held out of all the data, whatever a recipe leaves out of what it learns
    from: one ``run.rng`` asks the same users of all.
    """
    module, params = choice.load()
    if choice.info.type == "USER_SEGMENTATION":
        return Measured(segments.evaluate(module, params, choice.featurized(data), run))
    if hasattr(module, "evaluate"):
        return Measured(module.evaluate(params, choice.featurized(data), run))
    return evaluate.evaluate(module, params, data, run, choice.featurized)

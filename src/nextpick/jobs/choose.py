"""What to train: the recipe and hyperparameters asked for, or those that AutoML or HPO find best.

Both judge by the hold-out metrics; what is then reported is measured anew, on another draw of held-out users,
so that it does not flatter the choice. Source: developer guide, "Hyperparameters and HPO", "Using AutoML".
"""

from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.jobs.work import JobFailure
from nextpick.recipes import catalogue, evaluate, segments
from nextpick.recipes.catalogue import RecipeInfo

_AUTO_ML_RECIPES = ("aws-user-personalization", "aws-popularity-count")
_METRIC = "normalized_discounted_cumulative_gain_at_25"
_TRIALS = 8
MOST_TRIALS = 40


class Choice(NamedTuple):
    """A recipe, its hyperparameters as the API writes them, whether HPO has chosen them, and the
    featureTransformationParameters."""

    info: RecipeInfo
    hyperparameters: dict[str, str]
    is_tuned: bool = False
    features: dict[str, str] = {}  # noqa: RUF012


def choose(body: dict[str, Any], data: Data, run: Run) -> Choice:
    """Return what a solution version (``body`` of its record) trains."""
    config = body.get("solutionConfig", {})
    given = config.get("algorithmHyperParameters", {})
    if body.get("performAutoML"):
        return _best_recipe(config.get("autoMLConfig", {}), data, run)
    info = _find(body["recipeArn"].rpartition("/")[2])
    if body.get("performHPO"):
        return _best_hyperparameters(info, given, config.get("hpoConfig", {}), data, run)
    return Choice(info, given, features=config.get("featureTransformationParameters", {}))


def measure(choice: Choice, data: Data, run: Run) -> dict[str, float]:
    """Return the hold-out metrics of a choice."""
    module = catalogue.load(choice.info)
    params = catalogue.parse_params(module, choice.hyperparameters, choice.features)
    if choice.info.type == "USER_SEGMENTATION":
        return segments.evaluate(module, params, data, run)
    if hasattr(module, "evaluate"):
        return module.evaluate(params, data, run)
    return evaluate.evaluate(module, params, data, run)


def _best_recipe(config: dict[str, Any], data: Data, run: Run) -> Choice:
    names = [arn.rpartition("/")[2] for arn in config.get("recipeList", [])] or _AUTO_ML_RECIPES
    choices = [Choice(_find(name), {}) for name in names]
    return _best(choices, config.get("metricName", _METRIC), data, run)


def _best_hyperparameters(
    info: RecipeInfo, given: dict[str, str], config: dict[str, Any], data: Data, run: Run
) -> Choice:
    """Try the given hyperparameters and random draws from the ranges."""
    asked = config.get("hpoResourceConfig", {}).get("maxNumberOfTrainingJobs", _TRIALS)
    trials = min(int(asked), MOST_TRIALS)
    ranges = config.get("algorithmHyperParameterRanges") or default_ranges(info)
    draws = [given | _draw(ranges, run.rng) for _ in range(trials - 1)]
    distinct = {
        tuple(sorted(draw.items())): draw for draw in [catalogue.default_params(info) | given, *draws]
    }
    choices = [Choice(info, hyperparameters, True) for hyperparameters in distinct.values()]
    return _best(choices, config.get("hpoObjective", {}).get("metricName", _METRIC), data, run)


def _best(choices: list[Choice], metric: str, data: Data, run: Run) -> Choice:
    results = []
    for i, choice in enumerate(choices):
        share = run.share(i / len(choices), (i + 1) / len(choices))
        results.append(measure(choice, data, share).get(metric, 0.0))
    return choices[int(np.argmax(results))]


def default_ranges(info: RecipeInfo) -> dict[str, list[dict[str, Any]]]:
    """Return the ranges of a recipe's tunable hyperparameters, as the service model groups them."""
    ranges: dict[str, list[dict[str, Any]]] = {
        "integerHyperParameterRanges": [],
        "continuousHyperParameterRanges": [],
        "categoricalHyperParameterRanges": [],
    }
    for field in fields(catalogue.load(info).Params):
        if not field.metadata["hpo"]:
            continue
        if isinstance(field.default, bool):
            ranges["categoricalHyperParameterRanges"].append(
                {"name": field.name, "values": ["true", "false"]}
            )
            continue
        kind = "integer" if isinstance(field.default, int) else "continuous"
        low, high = field.metadata["low"], field.metadata["high"]
        ranges[f"{kind}HyperParameterRanges"].append({"name": field.name, "minValue": low, "maxValue": high})
    return ranges


def _draw(ranges: dict[str, list[dict[str, Any]]], rng: np.random.Generator) -> dict[str, str]:
    drawn = {}
    for given in ranges.get("integerHyperParameterRanges", []):
        drawn[given["name"]] = str(int(rng.integers(given["minValue"], given["maxValue"] + 1)))
    for given in ranges.get("continuousHyperParameterRanges", []):
        drawn[given["name"]] = f"{rng.uniform(given['minValue'], given['maxValue']):.4f}"
    for given in ranges.get("categoricalHyperParameterRanges", []):
        drawn[given["name"]] = given["values"][int(rng.integers(len(given["values"])))]
    return drawn


def _find(name: str) -> RecipeInfo:
    info = catalogue.find(name)
    if info is None:
        raise JobFailure(f"This nextpick has no recipe {name}.")
    return info

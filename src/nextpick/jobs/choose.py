"""What to train: the recipe and hyperparameters asked for, or those that AutoML or HPO find best.

Both judge by the hold-out metrics, every candidate on the same users; what is then reported is measured anew, on
another draw, so that it does not flatter the choice. What was tried, and by how much the best is better, is noted for
the version's report; of recipes with the standard error of that, of the differences user by user. Sources: developer
guide, "Hyperparameters and HPO", "Using AutoML".
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nextpick.data.dataset import Data
from nextpick.data.run import Run
from nextpick.jobs.choice import METRIC, Choice, measure
from nextpick.jobs.tune import Trials, tune
from nextpick.jobs.work import JobFailure
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.recipes.evaluate import Measured

_AUTO_ML_RECIPES = ("aws-user-personalization", "aws-popularity-count")
_DECIMALS = 4

Note = Callable[[str, Any], None]


def choose(body: dict[str, Any], snapshot: Path, data: Data, run: Run, note: Note, tuning_s: float) -> Choice:
    """Return what a solution version (``body`` of its record) trains; ``data`` is the prepared ``snapshot``.

    ``note`` takes what was tried, by name; ``tuning_s`` is how long HPO may begin trials.
    """
    config = body.get("solutionConfig", {})
    given = config.get("algorithmHyperParameters", {})
    if body.get("performAutoML"):
        return _best_recipe(candidates(body), config.get("autoMLConfig", {}), data, run, note)
    info = _find(body["recipeArn"].rpartition("/")[2])
    features = config.get("featureTransformationParameters", {})
    if body.get("performHPO"):
        trials = Trials(info, features, snapshot, config, body.get("eventType"), tuning_s)
        return Choice(info, tune(trials, given, data, run._replace(note=note)), True, features)
    return Choice(info, given, features=features)


def chosen(body: dict[str, Any]) -> Choice:
    """Return what a version that is ACTIVE was trained with."""
    config = body.get("solutionConfig", {})
    tuned = body.get("tunedHPOParams", {}).get("algorithmHyperParameters")
    given = tuned or config.get("algorithmHyperParameters", {})
    features = config.get("featureTransformationParameters", {})
    return Choice(_find(body["recipeArn"].rpartition("/")[2]), given, tuned is not None, features)


def candidates(body: dict[str, Any]) -> list[RecipeInfo]:
    """Return the recipes that a solution version or a recommender may be trained with."""
    if not body.get("performAutoML"):
        return [_find(body["recipeArn"].rpartition("/")[2])]
    listed = body.get("solutionConfig", {}).get("autoMLConfig", {}).get("recipeList", [])
    return [_find(name) for name in [arn.rpartition("/")[2] for arn in listed] or _AUTO_ML_RECIPES]


def _best_recipe(infos: list[RecipeInfo], config: dict[str, Any], data: Data, run: Run, note: Note) -> Choice:
    choices, names = [Choice(info, {}) for info in infos], [info.name for info in infos]
    metric = config.get("metricName", METRIC)
    seed, results = int(run.rng.integers(1 << 63)), list[Measured]()
    for i, choice in enumerate(choices):
        share = run.share(i / len(choices), (i + 1) / len(choices))._replace(rng=np.random.default_rng(seed))
        results.append(measure(choice, data, share)._replace(state=None))
    worth = [result.metrics.get(metric, 0.0) for result in results]
    best, *others = sorted(range(len(worth)), key=lambda i: -worth[i])
    told = {"metric": metric, "recipes": dict(zip(names, worth, strict=True)), "best": names[best]}
    if others:
        told["ahead_by"] = round(worth[best] - worth[others[0]], _DECIMALS)
        told["error"] = _error(results[best], results[others[0]], metric)
    note("auto_ml", told)
    return choices[best]


def _error(one: Measured, other: Measured, metric: str) -> float | None:
    """Return the standard error of the difference of a metric on the same users, None where it is no mean over users or
    there are fewer than two."""
    if metric not in one.by_user or len(one.by_user[metric]) < 2:
        return None
    differences = one.by_user[metric] - other.by_user[metric]
    return round(float(differences.std(ddof=1) / np.sqrt(len(differences))), _DECIMALS)


def _find(name: str) -> RecipeInfo:
    info = catalogue.find(name)
    if info is None:
        raise JobFailure(f"This nextpick has no recipe {name}.")
    return info

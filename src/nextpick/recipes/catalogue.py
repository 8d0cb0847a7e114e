"""Which recipes there are: exactly those that can be trained. Listing them imports none of them."""

from dataclasses import fields
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from nextpick.data import featurize
from nextpick.errors import InvalidInput


class RecipeInfo(NamedTuple):
    """What is known of a recipe without loading it.

    ``is_scored``: answers carry scores. ``explores``: new items are tried out; by campaign settings, or by
    itself (``explores_by_itself``). ``is_live``: events after the training count. ``tunes``: HPO has something
    to choose.
    """

    name: str
    type: str
    feature_transformation: str
    description: str
    is_scored: bool = True
    is_live: bool = True
    explores: bool = False
    explores_by_itself: bool = False
    domain: str | None = None
    tunes: bool = True

    @property
    def percentiles(self) -> tuple[str, ...]:
        """The featureTransformationParameters that the recipe takes."""
        return (
            (*featurize.USERS, *featurize.ITEMS) if self.feature_transformation == "sims" else featurize.USERS
        )


_ENGINE = "Order of events, recent popularity, and metadata of items and users, mixed by weights chosen at training."
_ALIAS = "The engine of aws-user-personalization under the name of a legacy recipe. " + _ENGINE

RECIPES = (
    RecipeInfo("aws-hrnn", "USER_PERSONALIZATION", "JSON-percentile-filtering", _ALIAS),
    RecipeInfo("aws-hrnn-coldstart", "USER_PERSONALIZATION", "featurize_coldstart", _ALIAS, explores=True),
    RecipeInfo("aws-hrnn-metadata", "USER_PERSONALIZATION", "featurize_metadata", _ALIAS),
    RecipeInfo(
        "aws-personalized-ranking",
        "PERSONALIZED_RANKING",
        "JSON-percentile-filtering",
        "Orders a list of items for a user. " + _ENGINE,
    ),
    RecipeInfo(
        "aws-personalized-ranking-v2",
        "PERSONALIZED_RANKING",
        "JSON-percentile-filtering",
        "Orders a list of items for a user; the engine of aws-personalized-ranking. " + _ENGINE,
        tunes=False,
    ),
    RecipeInfo(
        "aws-popularity-count",
        "USER_PERSONALIZATION",
        "JSON-percentile-filtering",
        "The items with most distinct users, the same for everyone.",
        is_scored=False,
        is_live=False,
    ),
    RecipeInfo(
        "aws-similar-items",
        "RELATED_ITEMS",
        "JSON-percentile-filtering",
        "Items like the given one, by shared users and shared metadata.",
        is_scored=False,
        is_live=False,
    ),
    RecipeInfo(
        "aws-sims",
        "RELATED_ITEMS",
        "sims",
        "Items that share users with the given one (item-to-item cosine).",
        is_scored=False,
        is_live=False,
    ),
    RecipeInfo(
        "aws-user-personalization",
        "USER_PERSONALIZATION",
        "JSON-percentile-filtering",
        "The items a user is likely to take next, new items tried out. " + _ENGINE,
        explores=True,
    ),
    RecipeInfo(
        "aws-user-personalization-v2",
        "USER_PERSONALIZATION",
        "JSON-percentile-filtering",
        "The items a user is likely to take next, new items tried out by themselves; the engine of "
        "aws-user-personalization. " + _ENGINE,
        explores=True,
        explores_by_itself=True,
        tunes=False,
    ),
)
_BY_NAME = {info.name: info for info in RECIPES}


def find(name: str) -> RecipeInfo | None:
    """Return a recipe by its name."""
    return _BY_NAME.get(name)


def load(info: RecipeInfo) -> ModuleType:
    """Return the recipe's module, whose file is named as the recipe."""
    return import_module(f"nextpick.recipes.{info.name.replace('-', '_')}")


def default_params(info: RecipeInfo) -> dict[str, str]:
    """Return a recipe's hyperparameters as the API writes them: strings."""
    return {field.name: _text(field.default) for field in fields(load(info).Params)}


def parse_params(module: ModuleType, given: dict[str, str]) -> Any:
    """Return the recipe's Params. Raises InvalidInput naming a parameter that is unknown, or out of its range.

    Names may carry the prefix that Personalize echoes them with (``training.bptt``).
    """
    known = {field.name: field for field in fields(module.Params)}
    values = {}
    for full_name, text in given.items():
        name = full_name.rpartition(".")[2]
        if name not in known:
            has = ", ".join(known) or "none"
            raise InvalidInput(f"{module.NAME} has no hyperparameter {full_name}; it has {has}.")
        values[name] = _parse(full_name, text, known[name].default, known[name].metadata)
    return module.Params(**values)


def _parse(name: str, text: str, default: Any, limits: Any) -> Any:
    kind = type(default)
    try:
        value = {"true": True, "false": False}[text.strip().lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise InvalidInput(f"The hyperparameter {name} is {text!r}; it must be a {kind.__name__}.") from None
    low, high = limits["low"], limits["high"]
    if low is not None and not low <= value <= high:
        raise InvalidInput(f"The hyperparameter {name} is {text}; it must be from {low} to {high}.")
    return value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

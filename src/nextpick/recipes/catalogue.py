"""Which recipes there are: exactly those that can be trained. Listing them imports none of them."""

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from nextpick.data import featurize
from nextpick.errors import InvalidInput


class RecipeInfo(NamedTuple):
    """What is known of a recipe without loading it.

    ``is_scored``: answers carry scores. ``explores``: new items are tried out; by campaign settings, or by itself
    (``explores_by_itself``). ``optimizes``: takes an optimizationObjective. ``weighs_events``: takes an eventsConfig.
    ``reads_times``: queries tell when events happened and of which type, and when it is asked.
    ``reads_context``: learns from contextual columns of interactions, and takes a request's context.
    ``uses_texts``: learns from the items' texts where there are any. ``reads_texts``: from nothing else, and needs no
    interactions. ``refreshes``: what is served is trained
    anew when there are news. ``is_live``: events after the training count. ``tunes``: HPO has something to choose.
    ``domain``: of recommenders in dataset groups of that domain, not of solutions. ``event_type``: all that is trained
    on; ``drops``: items the user has such events with are left out of answers; ``asks``: members a request must have,
    None those of the type.
    """

    name: str
    type: str
    feature_transformation: str
    description: str
    is_scored: bool = True
    is_live: bool = True
    explores: bool = False
    explores_by_itself: bool = False
    optimizes: bool = False
    weighs_events: bool = False
    reads_context: bool = False
    reads_times: bool = False
    uses_texts: bool = False
    reads_texts: bool = False
    refreshes: bool = False
    domain: str | None = None
    tunes: bool = True
    event_type: str | None = None
    drops: str | None = None
    asks: tuple[str, ...] | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The members that a request for recommendations must have."""
        if self.asks is not None:
            return self.asks
        if self.type == "RELATED_ITEMS":
            return ("itemId",)
        return ("userId",) if self.is_live else ()

    @property
    def datasets(self) -> tuple[str, str]:
        """The types of dataset whose records are recommended, and whose events are learnt from."""
        about_actions = self.type == "PERSONALIZED_ACTIONS"
        return ("ACTIONS", "ACTION_INTERACTIONS") if about_actions else ("ITEMS", "INTERACTIONS")

    @property
    def learns_from(self) -> str:
        """The type of dataset without which there is nothing to learn, and whose news are a reason to train again."""
        if self.reads_texts:
            return "ITEMS"
        return "ACTIONS" if self.type == "PERSONALIZED_ACTIONS" else "INTERACTIONS"

    @property
    def percentiles(self) -> Mapping[str, float]:
        """The featureTransformationParameters that leave out users or items, with their defaults."""
        if self.name == "aws-sims":
            return featurize.OF_PAIRS
        learns_histories = self.type in ("USER_PERSONALIZATION", "PERSONALIZED_RANKING") and self.is_scored
        return featurize.OF_HISTORIES if learns_histories else {}


_ENGINE = "Order of events, a linear model, popularity, and metadata, blended by weights chosen at training."
_BLEND = "A transformer over the history (extra torch), blended with the engine of aws-user-personalization."
_ALIAS = "The engine of aws-user-personalization under the name of a legacy recipe. " + _ENGINE

_BOTH = ("userId", "itemId")


def _of_domain(name: str, type_: str, description: str, **more: Any) -> RecipeInfo:
    """Return a use case of a domain: without scores or hyperparameters, not live, unless ``more`` says so."""
    domain = "ECOMMERCE" if name.startswith("aws-ecomm-") else "VIDEO_ON_DEMAND"
    defaults: dict[str, Any] = {"is_live": False, "tunes": False, "domain": domain}
    return RecipeInfo(name, type_, "JSON-percentile-filtering", description, False, **{**defaults, **more})


RECIPES = (
    _of_domain(
        "aws-ecomm-customers-who-viewed-x-also-viewed",
        "RELATED_ITEMS",
        "Items that users who viewed the given one viewed too, but what the user has bought.",
        event_type="View",
        drops="Purchase",
        asks=_BOTH,
    ),
    _of_domain(
        "aws-ecomm-frequently-bought-together",
        "RELATED_ITEMS",
        "Items that are bought with the given one: in the same basket first.",
        event_type="Purchase",
    ),
    _of_domain(
        "aws-ecomm-popular-items-by-purchases",
        "USER_PERSONALIZATION",
        "The items that most users have bought.",
        event_type="Purchase",
        asks=("userId",),
    ),
    _of_domain(
        "aws-ecomm-popular-items-by-views",
        "USER_PERSONALIZATION",
        "The items that most users have viewed.",
        event_type="View",
        asks=("userId",),
    ),
    _of_domain(
        "aws-ecomm-recommended-for-you",
        "USER_PERSONALIZATION",
        "The items a user is likely to take next, but what the user has bought; new items tried out. "
        + _ENGINE,
        is_live=True,
        explores=True,
        drops="Purchase",
        reads_context=True,
    ),
    RecipeInfo("aws-hrnn", "USER_PERSONALIZATION", "JSON-percentile-filtering", _ALIAS),
    RecipeInfo(
        "aws-hrnn-coldstart",
        "USER_PERSONALIZATION",
        "featurize_coldstart",
        _ALIAS + " Tries out the items that are cold.",
        explores=True,
    ),
    RecipeInfo("aws-hrnn-metadata", "USER_PERSONALIZATION", "featurize_metadata", _ALIAS, reads_context=True),
    RecipeInfo(
        "aws-item-affinity",
        "USER_SEGMENTATION",
        "item-affinity",
        "The users most drawn to an item, for segment jobs.",
        is_scored=False,
        is_live=False,
    ),
    RecipeInfo(
        "aws-item-attribute-affinity",
        "USER_SEGMENTATION",
        "item-attribute-affinity",
        "The users most drawn to items with some attributes, for segment jobs.",
        is_scored=False,
        is_live=False,
    ),
    RecipeInfo(
        "aws-next-best-action",
        "PERSONALIZED_ACTIONS",
        "next-best-action",
        "The actions a user is likeliest to take, with the probability of each.",
        explores=True,
        tunes=False,
    ),
    RecipeInfo(
        "aws-personalized-ranking",
        "PERSONALIZED_RANKING",
        "JSON-percentile-filtering",
        "Orders a list of items for a user. " + _ENGINE,
        optimizes=True,
        reads_context=True,
    ),
    RecipeInfo(
        "aws-personalized-ranking-v2",
        "PERSONALIZED_RANKING",
        "JSON-percentile-filtering",
        "Orders a list of items for a user. " + _BLEND,
        tunes=False,
        weighs_events=True,
        reads_context=True,
        reads_times=True,
        uses_texts=True,
    ),
    RecipeInfo(
        "aws-popularity-count",
        "USER_PERSONALIZATION",
        "sims",
        "The items with most distinct users, the same for everyone.",
        is_scored=False,
        is_live=False,
    ),
    RecipeInfo(
        "aws-semantic-similarity",
        "RELATED_ITEMS",
        "aws-semantic-similarity",
        "Items whose names and descriptions speak of the same things (latent semantic analysis).",
        is_scored=False,
        is_live=False,
        tunes=False,
        reads_texts=True,
        refreshes=True,
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
        "Items that share users with the given one (item-to-item cosine); those with few users by metadata.",
        is_scored=False,
        is_live=False,
    ),
    RecipeInfo(
        "aws-trending-now",
        "POPULAR_ITEMS",
        "trending-now",
        "The items whose popularity grows fastest, the same for everyone.",
        is_scored=False,
        is_live=False,
        tunes=False,
        refreshes=True,
    ),
    RecipeInfo(
        "aws-user-personalization",
        "USER_PERSONALIZATION",
        "JSON-percentile-filtering",
        "The items a user is likely to take next, new items tried out. " + _ENGINE,
        explores=True,
        optimizes=True,
        reads_context=True,
    ),
    RecipeInfo(
        "aws-user-personalization-v2",
        "USER_PERSONALIZATION",
        "JSON-percentile-filtering",
        "The items a user is likely to take next, new items tried out by themselves. " + _BLEND,
        explores=True,
        explores_by_itself=True,
        weighs_events=True,
        tunes=False,
        reads_context=True,
        reads_times=True,
        uses_texts=True,
    ),
    _of_domain(
        "aws-vod-because-you-watched-x",
        "RELATED_ITEMS",
        "Videos that users who watched the given one watched too, but what the user has watched.",
        event_type="Watch",
        drops="Watch",
        asks=_BOTH,
    ),
    _of_domain(
        "aws-vod-more-like-x",
        "RELATED_ITEMS",
        "Videos like the given one, by shared users and metadata, but what the user has watched.",
        drops="Watch",
        asks=_BOTH,
    ),
    _of_domain(
        "aws-vod-most-popular",
        "USER_PERSONALIZATION",
        "The videos that most users have watched.",
        event_type="Watch",
        asks=("userId",),
    ),
    _of_domain(
        "aws-vod-top-picks",
        "USER_PERSONALIZATION",
        "The videos a user is likely to watch next, but what the user has watched; new ones tried out. "
        + _ENGINE,
        is_live=True,
        explores=True,
        drops="Watch",
        reads_context=True,
    ),
    _of_domain(
        "aws-vod-trending-now",
        "USER_PERSONALIZATION",
        "The videos whose popularity grows fastest, the same for everyone.",
        refreshes=True,
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
    params = fields(load(info).Params)
    return {field.name: _text(field.default) for field in params if not field.metadata["feature"]}


def default_features(transformation: str) -> dict[str, str]:
    """Return the parameters of a feature transformation as the API writes them: strings."""
    found: dict[str, str] = {}
    for info in RECIPES:
        if info.feature_transformation == transformation and info.domain is None:
            found |= {name: _text(value) for name, value in info.percentiles.items()}
            params = fields(load(info).Params)
            found |= {field.name: _text(field.default) for field in params if field.metadata["feature"]}
    return found


def tunable_ranges(info: RecipeInfo) -> dict[str, list[dict[str, Any]]]:
    """Return the ranges of a recipe's tunable hyperparameters, as the service model groups them."""
    ranges: dict[str, list[dict[str, Any]]] = {
        "integerHyperParameterRanges": [],
        "continuousHyperParameterRanges": [],
        "categoricalHyperParameterRanges": [],
    }
    for field in fields(load(info).Params):
        if not field.metadata["hpo"]:
            continue
        if isinstance(field.default, bool):
            values = {"name": field.name, "values": ["true", "false"]}
            ranges["categoricalHyperParameterRanges"].append(values)
            continue
        kind = "integer" if isinstance(field.default, int) else "continuous"
        low, high = field.metadata["low"], field.metadata["high"]
        ranges[f"{kind}HyperParameterRanges"].append({"name": field.name, "minValue": low, "maxValue": high})
    return ranges


def plain_names(given: dict[str, str]) -> dict[str, str]:
    """Return hyperparameters by their names without the prefix that Personalize may echo."""
    return {name.rpartition(".")[2]: text for name, text in given.items()}


def tuned_names(info: RecipeInfo, given: dict[str, str]) -> dict[str, str]:
    """Return hyperparameters by the names that Personalize reports tuned ones by, ``training.bptt`` say."""
    prefixes = {field.name: field.metadata["prefix"] for field in fields(load(info).Params)}
    return {prefixes[name] + name: text for name, text in given.items()}


def features_of(module: ModuleType) -> tuple[str, ...]:
    """Return the featureTransformationParameters that are the recipe's own."""
    return tuple(field.name for field in fields(module.Params) if field.metadata["feature"])


def parse_params(module: ModuleType, given: dict[str, str], features: dict[str, str] | None = None) -> Any:
    """Return the recipe's Params. Raises InvalidInput naming a parameter that is unknown, or out of its range.

    Names may carry the prefix that Personalize echoes them with (``training.bptt``). ``features``: the
    featureTransformationParameters, of which only the recipe's own are read.
    """
    known = {field.name: field for field in fields(module.Params) if not field.metadata["feature"]}
    values = {}
    for full_name, text in given.items():
        name = full_name.rpartition(".")[2]
        if name not in known:
            has = ", ".join(known) or "none"
            raise InvalidInput(f"{module.NAME} has no hyperparameter {full_name}; it has {has}.")
        values[name] = _parse(full_name, text, known[name].default, known[name].metadata)
    for field in fields(module.Params):
        text = (features or {}).get(field.name)
        if field.metadata["feature"] and text is not None:
            values[field.name] = _parse(field.name, text, field.default, field.metadata)
    return module.Params(**values)


def _parse(name: str, text: str, default: Any, limits: Any) -> Any:
    kind, choices = type(default), limits["choices"]
    what = f"The {'feature transformation parameter' if limits['feature'] else 'hyperparameter'} {name}"
    if choices and text not in choices:
        raise InvalidInput(f"{what} is {text!r}; it must be one of {', '.join(choices)}.")
    try:
        value = {"true": True, "false": False}[text.strip().lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise InvalidInput(f"{what} is {text!r}; it must be a {kind.__name__}.") from None
    low, high = limits["low"], limits["high"]
    if low is not None and not low <= value <= high:
        raise InvalidInput(f"{what} is {text}; it must be from {low} to {high}.")
    return value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""What the schema of each type of dataset must and may have, by domain.

Sources: developer guide, "Schema requirements" of custom, ECOMMERCE and VIDEO_ON_DEMAND datasets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Rule:
    """What a reserved column must be: one of ``types``; categorical or not (None: either); textual; its numbers within
    ``limits``, both included."""

    types: tuple[str, ...]
    never_null: bool = False
    categorical: bool | None = None
    textual: bool = False
    limits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """The rules of one type of dataset. ``key``: the column whose hash orders the rows of a part."""

    dataset_type: str
    key: str
    required: Mapping[str, Rule]
    reserved: Mapping[str, Rule] = field(default_factory=dict)
    least_metadata: int = 0
    most_metadata: int = 0

    def limits(self, name: str) -> tuple[int, int] | None:
        """Return the least and the greatest number a column may hold, None where there are no such limits."""
        rule = self.reserved.get(name)
        return rule.limits if rule is not None else None

    def is_metadata(self, name: str) -> bool:
        """Tell whether a column counts as metadata: one that is neither an id nor about the event."""
        if name in _NOT_METADATA:
            return False
        about_events = self.dataset_type in ("INTERACTIONS", "ACTION_INTERACTIONS")
        return name not in self.required and not (about_events and name in self.reserved)


_NOT_METADATA = ("CREATION_TIMESTAMP",)
_ID = Rule(("string",), never_null=True, categorical=False)
_LONG = Rule(("long",))
_TEXT = Rule(("string",), categorical=False)
_CATEGORICAL = Rule(("string",), categorical=True)
_NUMBER = Rule(("float", "double"))
_DESCRIPTION = Rule(("string",), textual=True)
_EVENT_TYPE = _TEXT
_IMPRESSION = Rule(("string",))
# The ECOMMERCE guide says float where every other page says long.
_ECOMMERCE_CREATION = Rule(("long", "float", "double"))

INTERACTIONS = Kind(
    "INTERACTIONS",
    "USER_ID",
    required={"USER_ID": _ID, "ITEM_ID": _ID, "TIMESTAMP": Rule(("long",), never_null=True)},
    reserved={
        "EVENT_TYPE": _EVENT_TYPE,
        "EVENT_VALUE": _NUMBER,
        "IMPRESSION": _IMPRESSION,
        "RECOMMENDATION_ID": _IMPRESSION,
        "EVENT_ATTRIBUTION_SOURCE": _IMPRESSION,
    },
    most_metadata=5,
)
ITEMS = Kind(
    "ITEMS",
    "ITEM_ID",
    required={"ITEM_ID": _ID},
    reserved={"CREATION_TIMESTAMP": _LONG},
    least_metadata=1,
    most_metadata=100,
)
USERS = Kind("USERS", "USER_ID", required={"USER_ID": _ID}, least_metadata=1, most_metadata=25)
ACTIONS = Kind(
    "ACTIONS",
    "ACTION_ID",
    required={"ACTION_ID": _ID},
    reserved={
        "CREATION_TIMESTAMP": _LONG,
        "VALUE": Rule(("long",), limits=(1, 10)),
        "TYPE": Rule(("string",)),
        "EXPIRATION_TIMESTAMP": _LONG,
        "ACTION_EXPIRATION_TIMESTAMP": _LONG,
        "REPEAT_FREQUENCY": Rule(("long",), limits=(0, 30)),  # days
    },
    least_metadata=1,
    most_metadata=10,
)
ACTION_INTERACTIONS = Kind(
    "ACTION_INTERACTIONS",
    "USER_ID",
    required={
        "USER_ID": _ID,
        "ACTION_ID": _ID,
        "EVENT_TYPE": Rule(("string",)),
        "TIMESTAMP": Rule(("long",), never_null=True),
    },
    reserved={"IMPRESSION": _IMPRESSION, "RECOMMENDATION_ID": _IMPRESSION},
    most_metadata=5,
)

_DOMAIN_INTERACTIONS = replace(INTERACTIONS, required={**INTERACTIONS.required, "EVENT_TYPE": _EVENT_TYPE})
_ECOMMERCE_ITEMS = replace(
    ITEMS,
    required={"ITEM_ID": _ID, "PRICE": _NUMBER, "CATEGORY_L1": _CATEGORICAL},
    reserved={
        **dict.fromkeys(("CATEGORY_L2", "CATEGORY_L3", "AGE_GROUP", "ADULT", "GENDER"), _CATEGORICAL),
        "PRODUCT_DESCRIPTION": _DESCRIPTION,
        "CREATION_TIMESTAMP": _ECOMMERCE_CREATION,
    },
    least_metadata=0,
)
_VIDEO_ITEMS = replace(
    ITEMS,
    required={"ITEM_ID": _ID, "GENRES": _CATEGORICAL, "CREATION_TIMESTAMP": _LONG},
    reserved={
        **dict.fromkeys(("PRICE", "DURATION", "AVERAGE_RATING"), _NUMBER),
        **dict.fromkeys(("GENRE_L2", "GENRE_L3", "CONTENT_OWNER", "CONTENT_CLASSIFICATION"), _CATEGORICAL),
        "PRODUCT_DESCRIPTION": _DESCRIPTION,
    },
    least_metadata=0,
)

_CUSTOM = {kind.dataset_type: kind for kind in (INTERACTIONS, ITEMS, USERS, ACTIONS, ACTION_INTERACTIONS)}
_BY_DOMAIN: Mapping[str | None, Mapping[str, Kind]] = {
    None: _CUSTOM,
    "ECOMMERCE": {
        "INTERACTIONS": _DOMAIN_INTERACTIONS,
        "ITEMS": _ECOMMERCE_ITEMS,
        "USERS": replace(USERS, reserved={"MEMBERSHIP_STATUS": _CATEGORICAL}),
    },
    "VIDEO_ON_DEMAND": {
        "INTERACTIONS": _DOMAIN_INTERACTIONS,
        "ITEMS": _VIDEO_ITEMS,
        "USERS": replace(USERS, reserved={"SUBSCRIPTION_MODEL": _CATEGORICAL}),
    },
}

BY_RECORD_NAME = {kind.dataset_type.replace("_", ""): kind for kind in _CUSTOM.values()}


def find(dataset_type: str, domain: str | None) -> Kind | None:
    """Return the rules of a type of dataset (upper case) in a domain, None where there is no such type."""
    return _BY_DOMAIN.get(domain, {}).get(dataset_type)

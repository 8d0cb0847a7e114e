"""Columns of items beside the items of an answer.

Source: developer guide, "Returning item metadata with recommendations": values are texts, names of columns
become camelCase (BRAND_NAME is brandName), categories stay joined by ``|``.
"""

from collections.abc import Iterable, Mapping, Sequence

from nextpick.data.view import ViewColumn
from nextpick.errors import InvalidInput
from nextpick.names import camel_case
from nextpick.serving.filtering import Filtering
from nextpick.serving.recommend import PredictedItem
from nextpick.serving.versions import CampaignView, Version
from nextpick.serving.views import Group

MOST_COLUMNS, MOST_RESULTS = 10, 50
_ALWAYS_ON = ("aws-user-personalization-v2", "aws-personalized-ranking-v2", "aws-semantic-similarity")


def columns_asked(
    campaign: CampaignView, asked: Mapping[str, Sequence[str]], results: int
) -> tuple[str, ...]:
    """Return the item columns of ``metadataColumns``, upper case.

    Raises InvalidInput unless the campaign gives metadata, and not too much of it is asked for.
    """
    if not (campaign.config.get("enableMetadataWithRecommendations") or campaign.recipe in _ALWAYS_ON):
        raise InvalidInput(
            f"{campaign.arn} gives no metadata; set enableMetadataWithRecommendations in its configuration."
        )
    if {name.upper() for name in asked} - {"ITEMS"}:
        raise InvalidInput(f"metadataColumns has {', '.join(asked)}; it may have ITEMS.")
    columns = tuple(name.upper() for names in asked.values() for name in names)
    if len(columns) > MOST_COLUMNS:
        raise InvalidInput(f"metadataColumns has {len(columns)} columns; it may have {MOST_COLUMNS}.")
    if results > MOST_RESULTS:
        raise InvalidInput(f"With metadata there are at most {MOST_RESULTS} results, not {results}.")
    return columns


def add(
    filtering: Filtering,
    version: Version,
    group: Group,
    items: Iterable[PredictedItem],
    columns: tuple[str, ...],
    types: Mapping[str, ViewColumn],
) -> None:
    """Give each item its columns; raises InvalidInput naming one that the Items dataset does not have."""
    for name in columns:
        if name not in types:
            raise InvalidInput(f"metadataColumns names {name}, which the Items dataset does not have.")
    for item in items:
        record = filtering.record(version, group, "ITEMS", item.itemId)
        held = {name: _text(record.get(name), types[name].type) for name in columns}
        item.metadata = {camel_case(types[n].name): text for n, text in held.items() if text is not None}


def _text(value: "tuple[str, ...] | float | None", type_: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        return "|".join(value)
    if type_ == "boolean":
        return "true" if value else "false"
    return str(int(value)) if type_ in ("int", "long") else repr(value)

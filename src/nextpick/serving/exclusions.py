"""What a use case leaves out of every answer: a filter of its own.

Source: developer guide, "Choosing a use case": items the user has bought, or watched.
"""

from functools import cache

from nextpick.data.filters.grammar import parse
from nextpick.data.filters.resolve import TEXT, resolve
from nextpick.recipes import catalogue
from nextpick.serving.filtering import FilterView
from nextpick.serving.versions import CampaignView

_COLUMNS = {"INTERACTIONS": {"EVENT_TYPE": TEXT}}


def exclusion_of(campaign: CampaignView) -> FilterView | None:
    """Return what the campaign's or recommender's recipe leaves out; None for most."""
    info = catalogue.find(campaign.recipe)
    return _filter(campaign.group, info.drops) if info is not None and info.drops is not None else None


@cache
def _filter(group: str, event_type: str) -> FilterView:
    expression = f'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("{event_type}")'
    return FilterView(f"what was taken ({event_type})", group, resolve(parse(expression), _COLUMNS), _COLUMNS)

"""The requests of the hot operations as msgspec Structs: decoded and checked in one pass.

They state the same constraints as the service models, which a test compares. A body they do not take goes
through ``shapes.validate``, which is lenient where SDKs need it and else says what is wrong.
"""

from typing import Annotated

from msgspec import Meta, Struct

from nextpick.wire.shapes import EARLIEST, LARGEST_INTEGER, LATEST, python_pattern


def _full(pattern: str) -> str:
    """Return a model's pattern for a search that must match in full."""
    return rf"\A(?:{python_pattern(pattern)})\Z"


Arn = Annotated[str, Meta(max_length=256, pattern=_full(r"arn:([a-z\d-]+):personalize:.*:.*:.+"))]
Id = Annotated[str, Meta(max_length=256)]
NumResults = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
ContextName = Annotated[str, Meta(max_length=150, pattern=_full(r"[A-Za-z\d_]+"))]
ContextValue = Annotated[str, Meta(max_length=1000)]
Context = Annotated[dict[ContextName, ContextValue], Meta(max_length=150)]
FilterName = Annotated[str, Meta(max_length=50, pattern=_full(r"[A-Za-z0-9_]+"))]
FilterValue = Annotated[str, Meta(max_length=1000)]
FilterValues = Annotated[dict[FilterName, FilterValue], Meta(max_length=25)]
Name = Annotated[str, Meta(min_length=1, max_length=63, pattern=_full(r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*"))]
Percent = Annotated[int, Meta(ge=1, le=100)]
DatasetType = Annotated[str, Meta(max_length=256)]
ColumnNames = Annotated[list[Annotated[str, Meta(max_length=150)]], Meta(max_length=99)]
MetadataColumns = Annotated[dict[DatasetType, ColumnNames], Meta(max_length=1)]


class Promotion(Struct):
    """A business rule of a GetRecommendations request: percent of the answer to take from a filter."""

    name: Name | None = None
    percentPromotedItems: Percent | None = None  # noqa: N815
    filterArn: Arn | None = None  # noqa: N815
    filterValues: FilterValues | None = None  # noqa: N815


class GetRecommendations(Struct):
    """personalize-runtime GetRecommendations."""

    campaignArn: Arn | None = None  # noqa: N815
    recommenderArn: Arn | None = None  # noqa: N815
    itemId: Id | None = None  # noqa: N815
    userId: Id | None = None  # noqa: N815
    numResults: NumResults | None = None  # noqa: N815
    context: Context | None = None
    filterArn: Arn | None = None  # noqa: N815
    filterValues: FilterValues | None = None  # noqa: N815
    promotions: Annotated[list[Promotion], Meta(max_length=1)] | None = None
    metadataColumns: MetadataColumns | None = None  # noqa: N815


class GetPersonalizedRanking(Struct):
    """personalize-runtime GetPersonalizedRanking."""

    campaignArn: Arn  # noqa: N815
    inputList: list[Id]  # noqa: N815
    userId: Id  # noqa: N815
    context: Context | None = None
    filterArn: Arn | None = None  # noqa: N815
    filterValues: FilterValues | None = None  # noqa: N815
    metadataColumns: MetadataColumns | None = None  # noqa: N815


class GetActionRecommendations(Struct):
    """personalize-runtime GetActionRecommendations."""

    campaignArn: Arn  # noqa: N815
    userId: Id | None = None  # noqa: N815
    numResults: NumResults | None = None  # noqa: N815
    filterArn: Arn | None = None  # noqa: N815
    filterValues: FilterValues | None = None  # noqa: N815


Text = Annotated[str, Meta(min_length=1, max_length=256)]
ItemId = Annotated[str, Meta(min_length=1, max_length=256)]
RecommendationId = Annotated[str, Meta(min_length=1, max_length=40)]
Properties = Annotated[str, Meta(min_length=1, max_length=1024)]
Time = Annotated[float, Meta(ge=EARLIEST, le=LATEST)]
Source = Annotated[str, Meta(max_length=1024, pattern=_full(r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$"))]


class MetricAttribution(Struct):
    """Where an event came from."""

    eventAttributionSource: Source  # noqa: N815


class Event(Struct):
    """One interaction. ``sentAt`` is in seconds since 1970; None means now. ``properties`` is JSON text."""

    eventType: Text  # noqa: N815
    sentAt: Time | None  # noqa: N815
    eventId: Text | None = None  # noqa: N815
    eventValue: float | None = None  # noqa: N815
    itemId: ItemId | None = None  # noqa: N815
    properties: Properties | None = None
    recommendationId: RecommendationId | None = None  # noqa: N815
    impression: Annotated[list[ItemId], Meta(min_length=1, max_length=25)] | None = None
    metricAttribution: MetricAttribution | None = None  # noqa: N815


class PutEvents(Struct):
    """personalize-events PutEvents."""

    trackingId: Text  # noqa: N815
    sessionId: Text  # noqa: N815
    eventList: Annotated[list[Event], Meta(min_length=1, max_length=10)]  # noqa: N815
    userId: Text | None = None  # noqa: N815

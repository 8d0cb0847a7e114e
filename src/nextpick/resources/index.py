"""What serving looks up at each request, kept in memory until the records change."""

from typing import NamedTuple

from nextpick.data.filters.grammar import parse
from nextpick.data.filters.resolve import resolve
from nextpick.errors import InvalidInput, StillCreating
from nextpick.resources import lifecycle
from nextpick.resources.kinds import CAMPAIGN, DATASET, EVENT_TRACKER, FILTER, RECOMMENDER
from nextpick.serving.filtering import FilterView
from nextpick.serving.live import Positions
from nextpick.serving.versions import CampaignView
from nextpick.serving.views import Group, ViewRef
from nextpick.store.records import Records, Resource

_CONFIGS = {CAMPAIGN.arn_kind: "campaignConfig", RECOMMENDER.arn_kind: "recommenderConfig"}

_Key = tuple[str, str, str]


class _Content(NamedTuple):
    version: bytes
    campaigns: dict[_Key, CampaignView]
    tracked: dict[_Key, str]
    filters: dict[_Key, Resource]
    groups: dict[str, Group]


class Index:
    """Campaigns, recommenders and filters by (ARN, account, region), dataset groups by their ARN, and by
    (tracking id, account, region)."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._content = _Content(b"", {}, {}, {}, {})
        self._filters: dict[tuple[str, int], FilterView] = {}

    def campaign(self, arn: str, account: str, region: str) -> CampaignView | None:
        """Return a campaign or recommender that has something to serve."""
        return self._fresh().campaigns.get((arn, account, region))

    def tracked(self, tracking_id: str, account: str, region: str) -> str | None:
        """Return the ARN of the dataset group of an event tracker, or of the Action_Interactions dataset, of an id."""
        return self._fresh().tracked.get((tracking_id, account, region))

    def filter(self, arn: str, account: str, region: str) -> FilterView | None:
        """Return an ACTIVE filter, read once; None where there is none. Raises StillCreating for one that is on its
        way, InvalidInput for one that failed."""
        resource = self._fresh().filters.get((arn, account, region))
        if resource is None:
            return None
        if resource.status in lifecycle.UNSETTLED:
            raise StillCreating(f"{arn} is {resource.status}; it can be used when it is ACTIVE.")
        if resource.status != lifecycle.ACTIVE:
            raise InvalidInput(f"{arn} is {resource.status}: {resource.body.get('failureReason')}")
        key = arn, resource.seq
        if key not in self._filters:
            columns = resource.internal["columns"]
            filter = resolve(parse(resource.body["filterExpression"]), columns)
            self._filters[key] = FilterView(arn, resource.body["datasetGroupArn"], filter, columns)
        return self._filters[key]

    def group(self, arn: str) -> Group:
        """Return a dataset group: its datasets and their views."""
        return self._fresh().groups.get(arn) or Group(arn, {}, {})

    def campaigns(self) -> list[CampaignView]:
        """Return all campaigns, then all recommenders, that have something to serve, the oldest first."""
        return list(self._fresh().campaigns.values())

    def views(self) -> set[str]:
        """Return the paths of all views that a dataset points at."""
        return {ref.path for group in self._fresh().groups.values() for ref in group.views.values()}

    def _fresh(self) -> _Content:
        version = self._records.version()
        if version != self._content.version:
            # the version was read first: a change during the reading is seen again at the next request
            self._content = self._read(version)
        return self._content

    def _read(self, version: bytes) -> _Content:
        with self._records.read() as tx:
            campaigns = [
                found
                for kind in (CAMPAIGN, RECOMMENDER)
                for found in tx.find(kind.arn_kind, status=(lifecycle.ACTIVE,))
            ]
            trackers = tx.find(EVENT_TRACKER.arn_kind, status=(lifecycle.ACTIVE,))
            filters = tx.find(FILTER.arn_kind)
            datasets = tx.find(DATASET.arn_kind)
        views = {}
        for campaign in campaigns:
            serving = campaign.internal["serving"]
            views[campaign.arn, campaign.account, campaign.region] = CampaignView(
                campaign.arn,
                serving["group"],
                serving["dir"],
                serving["recipe"],
                campaign.body.get(_CONFIGS[campaign.kind], {}),
                campaign.created_at,
            )
        tracked = {(t.body["trackingId"], t.account, t.region): t.body["datasetGroupArn"] for t in trackers}
        tracked |= {
            (d.body["trackingId"], d.account, d.region): d.arn for d in datasets if "trackingId" in d.body
        }
        by_key = {(f.arn, f.account, f.region): f for f in filters}
        return _Content(version, views, tracked, by_key, _groups(datasets))


def _groups(datasets: list[Resource]) -> dict[str, Group]:
    arns: dict[str, dict[str, str]] = {}
    views: dict[str, dict[str, ViewRef]] = {}
    folded: dict[str, dict[str, Positions]] = {}
    for dataset in datasets:
        group, type_ = dataset.parent or "", dataset.body["datasetType"]
        arns.setdefault(group, {})[type_] = dataset.arn
        folded.setdefault(group, {})[type_] = dataset.internal.get("folded", {})
        view = dataset.internal.get("view")
        if view is not None:
            ref = ViewRef(f"{dataset.internal['dir']}/{view['dir']}", view["positions"])
            views.setdefault(group, {})[type_] = ref
    return {group: Group(group, named, views.get(group, {}), folded[group]) for group, named in arns.items()}

"""What serving looks up at each request, kept in memory until the records change."""

from typing import NamedTuple

from nextpick.resources import lifecycle
from nextpick.resources.kinds import CAMPAIGN, EVENT_TRACKER
from nextpick.serving.versions import CampaignView
from nextpick.store.records import Records


class _Content(NamedTuple):
    version: bytes
    campaigns: dict[tuple[str, str, str], CampaignView]
    groups: dict[tuple[str, str, str], str]


class Index:
    """Campaigns by (ARN, account, region), dataset groups by (tracking id, account, region)."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._content = _Content(b"", {}, {})

    def campaign(self, arn: str, account: str, region: str) -> CampaignView | None:
        """Return a campaign that has something to serve."""
        return self._fresh().campaigns.get((arn, account, region))

    def group(self, tracking_id: str, account: str, region: str) -> str | None:
        """Return the ARN of the dataset group an event tracker belongs to."""
        return self._fresh().groups.get((tracking_id, account, region))

    def campaigns(self) -> list[CampaignView]:
        """Return all campaigns that have something to serve, oldest first."""
        return list(self._fresh().campaigns.values())

    def _fresh(self) -> _Content:
        version = self._records.version()
        if version != self._content.version:
            # the version was read first: a change during the reading is seen again at the next request
            self._content = self._read(version)
        return self._content

    def _read(self, version: bytes) -> _Content:
        with self._records.read() as tx:
            campaigns = tx.find(CAMPAIGN.arn_kind, status=(lifecycle.ACTIVE,))
            trackers = tx.find(EVENT_TRACKER.arn_kind, status=(lifecycle.ACTIVE,))
        views = {}
        for campaign in campaigns:
            serving = campaign.internal["serving"]
            views[campaign.arn, campaign.account, campaign.region] = CampaignView(
                campaign.arn,
                serving["group"],
                serving["dir"],
                serving["recipe"],
                campaign.body.get("campaignConfig", {}),
                campaign.created_at,
            )
        groups = {(t.body["trackingId"], t.account, t.region): t.body["datasetGroupArn"] for t in trackers}
        return _Content(version, views, groups)

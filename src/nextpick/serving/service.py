"""What answers requests in one process: campaigns, their versions, live events, the event log's writer."""

from collections.abc import Callable
from typing import NamedTuple

from nextpick.clock import Clock
from nextpick.serving.live import Tails
from nextpick.serving.versions import CampaignView, Versions
from nextpick.store.log import LogWriter

FindCampaign = Callable[[str, str, str], CampaignView | None]
FindGroup = Callable[[str, str, str], str | None]


class Serving(NamedTuple):
    """The parts of serving. ``find_campaign(arn, account, region)`` and ``find_group(tracking_id, account,
    region)`` are asked at each request, so they are look-ups in memory."""

    find_campaign: FindCampaign
    find_group: FindGroup
    versions: Versions
    tails: Tails
    writer: LogWriter
    clock: Clock

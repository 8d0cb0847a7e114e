"""What answers requests in one process: campaigns, their versions, live events, the event log's writer."""

from collections.abc import Callable
from typing import NamedTuple

from nextpick.clock import Clock
from nextpick.serving.filtering import Filtering, FilterView
from nextpick.serving.live import Tails
from nextpick.serving.newcomers import Newcomers
from nextpick.serving.versions import CampaignView, Versions
from nextpick.serving.views import Group
from nextpick.store.log import LogWriter

FindCampaign = Callable[[str, str, str], CampaignView | None]
FindTracked = Callable[[str, str, str], str | None]
FindFilter = Callable[[str, str, str], FilterView | None]
FindGroup = Callable[[str], Group]


class Serving(NamedTuple):
    """The parts of serving. ``find_campaign(arn, account, region)``, ``find_filter`` alike, ``find_tracked(tracking_id,
    account, region)``, which returns a dataset group's ARN, and ``find_group(arn)`` are asked at each request,
    so they are look-ups in memory. ``wait_s``: how long a request waits for a filter that is being created."""

    find_campaign: FindCampaign
    find_filter: FindFilter
    find_tracked: FindTracked
    find_group: FindGroup
    filtering: Filtering
    newcomers: Newcomers
    versions: Versions
    tails: Tails
    writer: LogWriter
    clock: Clock
    wait_s: float

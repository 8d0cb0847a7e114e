"""Versions in memory: mapped, verified, kept while a campaign points at them."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from nextpick.data.dataset import Data, open_snapshot
from nextpick.data.failure import DataFailure
from nextpick.errors import ServiceUnavailable
from nextpick.models import artifact
from nextpick.models.rows import read_only
from nextpick.models.topk import rounded, top_k
from nextpick.recipes import catalogue
from nextpick.recipes.catalogue import RecipeInfo
from nextpick.recipes.interface import Query
from nextpick.serving import explore
from nextpick.serving.live import Positions, Tails

FORMAT = 1

log = logging.getLogger(__name__)


class CampaignView(NamedTuple):
    """What serving knows of a campaign: the version it points at and its campaignConfig as the API has it.

    ``version`` names a directory under the home's versions and nothing else; ``group`` is the dataset group's ARN.
    """

    arn: str
    group: str
    version: str
    recipe: str
    config: dict[str, Any]
    created_at: float


class Version(NamedTuple):
    """A loaded version. ``items_view``: the path of the view of the items it was trained with."""

    name: str
    info: RecipeInfo
    module: ModuleType
    state: dict[str, np.ndarray]
    data: Data
    positions: Positions
    young: "explore.Young"
    items_view: str = ""


def load(directory: Path) -> Version:
    """Return the version in a directory. Raises artifact.Damaged, OSError or ValueError with what is wrong."""
    described = json.loads((directory / "version.json").read_text())
    if described["format"] != FORMAT:
        raise artifact.Damaged(
            f"version.json is of format {described['format']}, this nextpick reads {FORMAT}"
        )
    info = catalogue.find(described["recipe"])
    if info is None:
        raise artifact.Damaged(f"its recipe {described['recipe']} is not one of this nextpick's")
    artifact.verify(directory / "snapshot")
    state, _ = artifact.load(directory / "model")
    data = open_snapshot(directory / "snapshot")
    module = catalogue.load(info)
    try:
        warm(info, module, state)
    except KeyError as missing:
        raise artifact.Damaged(f"its model is one of an earlier nextpick, without {missing}") from None
    young = explore.Young(data, state["item_count"], state.get("cold_start"))
    positions, view = described["log_positions"], described.get("items_view", "")
    return Version(directory.name, info, module, state, data, positions, young, view)


def warm(info: RecipeInfo, module: ModuleType, state: dict[str, np.ndarray]) -> None:
    """Run what a request runs, so that its code is compiled (or read from the cache) before the first one."""
    if info.type == "USER_SEGMENTATION":
        module.rank_users(state, read_only(np.zeros(1, np.int32)))
        return
    scores = module.score(state, [Query(-1, read_only(np.zeros(1, np.int32)), 0)])[0]
    ranked = top_k(scores, 2)
    top_k(scores, 2, np.ones(len(scores), bool))
    rounded(scores, ranked, 7)
    one = read_only(np.zeros(1, np.int32))
    explore.explore(ranked, one, read_only(scores[one]), explore.ALWAYS, 0.5, np.uint64(1))


class Versions:
    """The loaded versions of the campaigns."""

    def __init__(self, directory: Path, tails: Tails, in_use: Callable[[], set[str]]) -> None:
        self._directory, self._tails, self._in_use = directory, tails, in_use
        self._loaded: dict[str, Version] = {}
        self._loading: dict[str, asyncio.Future[Version]] = {}
        self._last: dict[str, Version] = {}  # by campaign, what it last answered with

    def get(self, campaign: CampaignView) -> Version | None:
        """Return the campaign's version if it is loaded."""
        return self._loaded.get(campaign.version)

    async def fetch(self, campaign: CampaignView) -> Version:
        """Return the campaign's version, loading it in a thread if need be.

        One that cannot be loaded is logged, and the version that answered before goes on answering; raises
        ServiceUnavailable with the reason when there is none.
        """
        version = self._loaded.get(campaign.version)
        if version is None:
            try:
                version = await self._load(campaign.version)
            except (artifact.Damaged, DataFailure, OSError, ValueError) as error:
                log.error("%s: version %s cannot be loaded: %s", campaign.arn, campaign.version, error)
                version = self._last.get(campaign.arn)
                if version is None:
                    raise ServiceUnavailable(
                        f"{campaign.arn} cannot answer: its version is damaged ({error}). Retrain it."
                    ) from None
        self._last[campaign.arn] = version
        return version

    async def _load(self, name: str) -> Version:
        if name not in self._loading:
            loop = asyncio.get_running_loop()
            self._loading[name] = loop.run_in_executor(None, load, self._directory / name)
        try:
            version = await asyncio.shield(self._loading[name])
        finally:
            self._loading.pop(name, None)
        if name not in self._loaded:
            self._loaded[name] = version
            self._tails.hold(name, version.positions)
            self._evict()
        return version  # which is not kept if no campaign points at it any more

    def _evict(self) -> None:
        wanted = self._in_use()
        self._last = {arn: v for arn, v in self._last.items() if v.name in self._loaded}
        unused = [name for name in self._loaded if name not in wanted]
        held = {version.name for version in self._last.values()} - wanted
        dropped = [name for name in unused if name not in held]
        for name in dropped:
            del self._loaded[name]
        if dropped:
            self._tails.release(dropped)

"""Splits of users between variations: the same user always sees the same one."""

import functools
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from nextpick.gateway.document import Api
from nextpick.gateway.mapping import with_variables


class Variation(NamedTuple):
    """One side of an experiment. ``upto``: the share of users up to its end, 0 … 1."""

    name: str
    campaign: str
    upto: float


class Experiment(NamedTuple):
    """An experiment of an API's document."""

    name: str
    variations: tuple[Variation, ...]

    def of(self, user: str) -> Variation:
        """Return the variation that a user sees."""
        return _choose(self.name, self.variations, user)

    def source(self, user: str) -> str:
        """Return what an event of a user has as its ``eventAttributionSource``."""
        return f"{self.name}:{self.of(user).name}"


@functools.lru_cache(maxsize=65536)
def _choose(name: str, variations: Sequence[Variation], user: str) -> Variation:
    digest = blake2b(f"{name}\0{user}".encode(), digest_size=8).digest()
    at = int.from_bytes(digest) / 2**64
    return next(variation for variation in variations if at < variation.upto)


def experiment(api: Api, name: str, variables: Mapping[str, str]) -> Experiment:
    """Return an experiment that ``x-nextpick-experiments`` declares. Raises ValueError."""
    declared = api.experiments.get(name)
    if declared is None:
        raise ValueError(f"there is no experiment {name!r} in x-nextpick-experiments")
    given: list[dict[str, Any]] = declared.get("variations", [])
    weights = [float(variation.get("weight", 1)) for variation in given]
    if not given or min(weights) < 0 or sum(weights) <= 0:
        raise ValueError(f"experiment {name!r} needs variations with weights of at least 0")
    variations, sum_ = [], 0.0
    for variation, weight in zip(given, weights, strict=True):
        sum_ += weight
        campaign = with_variables(variation["campaignArn"], variables)
        upto = 1.0 if variation is given[-1] else sum_ / sum(weights)
        variations.append(Variation(str(variation.get("name", campaign)), campaign, upto))
    return Experiment(name, tuple(variations))

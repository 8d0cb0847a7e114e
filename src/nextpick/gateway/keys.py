"""API keys and usage plans: who may call, how often a second, how often a day.

Source: API Gateway developer guide, "Usage plans and API keys for REST APIs", "Throttle requests to your REST APIs".
"""

import time
from pathlib import Path

from nextpick.clock import Clock
from nextpick.gateway.messages import Refusal, Request
from nextpick.gateway.store import GatewayStore, Holder, Plan
from nextpick.gateway.tokens import TokenBuckets

_BLOCKS = (
    1000  # a worker takes a quota in this many blocks: what it has taken and a kill -9 ends counts as used
)
_MOST_HOLDERS = 10_000


class Keys:
    """Judges the keys of requests to one worker."""

    def __init__(self, home: Path, store: GatewayStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._tokens = TokenBuckets(home / "gateway" / "tokens")
        self._holders: dict[tuple[str, str, str], Holder | None] = {}
        self._left: dict[tuple[str, str, str], int] = {}
        self._version = b""

    def admit(self, request: Request) -> None:
        """Let a request with a good key through. Raises Refusal."""
        stage = request.stage
        holder = self._find(request.headers.get("x-api-key", ""), stage.api, stage.name)
        if holder is None or not holder.enabled or holder.plan is None:
            raise Refusal("INVALID_API_KEY")
        request.api_key = holder.id, request.headers["x-api-key"]
        plan = holder.plan
        if plan.rate is not None:
            self.throttle(f"{plan.name} {holder.id}", plan.rate, plan.burst or max(1, int(plan.rate)))
        if plan.quota is not None and not self._spend(plan, holder.id):
            raise Refusal("QUOTA_EXCEEDED")

    def throttle(self, bucket: str, rate: float, burst: int) -> None:
        """Take a token of a bucket that all workers share. Raises Refusal."""
        if not self._tokens.take(bucket, rate, burst, self._clock.now()):
            raise Refusal("THROTTLED")

    def _find(self, value: str, api: str, stage: str) -> Holder | None:
        version = self._store.version()
        if version != self._version or len(self._holders) > _MOST_HOLDERS:
            self._holders, self._version = {}, version
        key = (value, api, stage)
        if key not in self._holders:
            self._holders[key] = self._store.holder(value, api, stage) if value else None
        return self._holders[key]

    def _spend(self, plan: Plan, key: str) -> bool:
        period = period_of(plan.period or "DAY", self._clock.now())
        held = (plan.name, key, period)
        if not self._left.get(held):
            self._left = {k: n for k, n in self._left.items() if k[:2] != held[:2] and n}
            block = max(1, (plan.quota or 0) // _BLOCKS)
            self._left[held] = self._store.reserve(plan, key, period, block)
        if not self._left[held]:
            return False
        self._left[held] -= 1
        return True

    def close(self) -> None:
        """Give back what was taken of quotas and not used."""
        for (plan, key, period), count in self._left.items():
            if count:
                self._store.give_back(plan, key, period, count)
        self._tokens.close()


def period_of(kind: str, now: float) -> str:
    """Return the day, the week (from its Monday) or the month of a moment, in UTC."""
    moment = time.gmtime(now)
    if kind == "MONTH":
        return time.strftime("%Y-%m", moment)
    if kind == "WEEK":
        return time.strftime("week of %Y-%m-%d", time.gmtime(now - moment.tm_wday * 86400))
    return time.strftime("%Y-%m-%d", moment)

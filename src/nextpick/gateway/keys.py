"""API keys and usage plans: who may call, how often a second, how often a day.

Source: API Gateway developer guide, "Usage plans and API keys for REST APIs", "Throttle requests to your REST APIs".
"""

import asyncio
import threading
import time
from collections.abc import Awaitable
from pathlib import Path

from nextpick.clock import Clock
from nextpick.gateway.messages import Refusal, Request, Waits
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
        self._counts, self._writing = GatewayStore(home), threading.Lock()  # written by threads
        self._tokens = TokenBuckets(home / "gateway" / "tokens")
        self._holders: dict[tuple[str, str, str], Holder | None] = {}
        self._left: dict[tuple[str, str, str], int] = {}
        self._version = b""

    def identify(self, request: Request) -> Holder:
        """Return whose key a request has. Raises Refusal; where a quota has to be reserved first and the request is to
        be answered at once, Waits."""
        stage = request.stage
        holder = self._find(request.headers.get("x-api-key", ""), stage.api, stage.name)
        if holder is None or not holder.enabled or holder.plan is None:
            raise Refusal("INVALID_API_KEY")
        request.api_key = holder.id, request.headers["x-api-key"]
        if request.is_quick and holder.plan.quota is not None and not self._left.get(self._held(holder)):
            raise Waits
        return holder

    def charge(self, holder: Holder) -> Awaitable[None] | None:
        """Take a request from the plan of a key, at once or when more of its quota is reserved. Raises Refusal."""
        plan, held = holder.plan, self._held(holder)
        assert plan is not None
        if plan.rate is not None:
            self.throttle(f"{plan.name} {holder.id}", plan.rate, plan.burst or max(1, int(plan.rate)))
        if plan.quota is None:
            return None
        if self._left.get(held):
            self._left[held] -= 1
            return None
        return self._reserve(plan, held)

    def _held(self, holder: Holder) -> tuple[str, str, str]:
        plan = holder.plan or Plan("")
        return plan.name, holder.id, period_of(plan.period or "DAY", self._clock.now())

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

    async def _reserve(self, plan: Plan, held: tuple[str, str, str]) -> None:
        """Reserve more of a quota, on disk, and spend one of it. Raises Refusal."""
        block = max(1, (plan.quota or 0) // _BLOCKS)
        taken = await asyncio.to_thread(self._write, plan, held, block)
        if not taken:
            raise Refusal("QUOTA_EXCEEDED")
        self._left[held] = self._left.get(held, 0) + taken - 1
        for old in [k for k in self._left if k[:2] == held[:2] and k != held]:
            del self._left[old]

    def _write(self, plan: Plan, held: tuple[str, str, str], block: int) -> int:
        with self._writing:
            return self._counts.reserve(plan, held[1], held[2], block)

    def close(self) -> None:
        """Give back what was taken of quotas and not used."""
        for (plan, key, period), count in self._left.items():
            if count:
                self._counts.give_back(plan, key, period, count)
        self._counts.close()
        self._tokens.close()


def period_of(kind: str, now: float) -> str:
    """Return the day, the week (from its Monday) or the month of a moment, in UTC."""
    moment = time.gmtime(now)
    if kind == "MONTH":
        return time.strftime("%Y-%m", moment)
    if kind == "WEEK":
        return time.strftime("week of %Y-%m-%d", time.gmtime(now - moment.tm_wday * 86400))
    return time.strftime("%Y-%m-%d", moment)

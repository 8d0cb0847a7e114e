"""Assembly: settings, stores, serving, routes, HTTP applications. The only place that constructs them."""

import secrets
from typing import Any

import msgspec

from nextpick.access.audit import Audit
from nextpick.access.guard import Guard
from nextpick.access.keys import Keys
from nextpick.api import table
from nextpick.api.context import Services
from nextpick.clock import Clock
from nextpick.gateway.direct import gateway_app
from nextpick.jobs.work import datasets_dir, versions_dir
from nextpick.names import parse_arn, request_id
from nextpick.neighbours.assemble import Neighbours
from nextpick.recipes.catalogue import RECIPES
from nextpick.resources.index import Index
from nextpick.serving.filtering import Filtering
from nextpick.serving.impressions import Answers
from nextpick.serving.live import Tails
from nextpick.serving.newcomers import Newcomers
from nextpick.serving.service import Serving
from nextpick.serving.versions import Versions
from nextpick.serving.views import Views
from nextpick.settings import Settings
from nextpick.store.buckets import Buckets
from nextpick.store.keys import KeyFile
from nextpick.store.log import LogReader, LogWriter
from nextpick.store.rates import Rates
from nextpick.store.records import Records
from nextpick.store.usage import UsageCounter
from nextpick.wire.asgi import ASGIApp
from nextpick.wire.caller import Callers
from nextpick.wire.direct import invoke
from nextpick.wire.dispatch import Call
from nextpick.wire.reading import Bodies
from nextpick.wire.server import asgi_app
from nextpick.workflow.door import StepFunctions
from nextpick.workflow.outbox import Outbox

_RECOMMENDING = {
    info.name
    for info in RECIPES
    if info.type == "USER_PERSONALIZATION" and info.is_live and info.domain is None
}


class Engine:
    """Everything one process answers with. ``worker`` names the process's own event log file."""

    def __init__(self, settings: Settings, clock: Clock, *, worker: str, auth: bool = True) -> None:
        home = settings.home
        self.records = Records(home / "nextpick.db")
        self._audit = Audit(home / "audit", worker)
        guard = Guard(self.records, self._audit, clock, strict=settings.strict_access)
        keys = Keys(KeyFile(home / "credentials"), self.records)
        self._writer = LogWriter(home / "log", worker)
        self._reader = LogReader(home / "log")
        index = Index(self.records)
        tails = Tails(self._reader, Answers())
        in_use = lambda: {c.version for c in index.campaigns()}  # noqa: E731
        versions = Versions(versions_dir(home), tails, in_use)
        views = Views(datasets_dir(home), tails, index.views)
        filtering = Filtering(views, tails, in_use)
        serving = Serving(
            index.campaign,
            index.filter,
            index.tracked,
            index.group,
            filtering,
            Newcomers(views, filtering, tails, in_use),
            versions,
            tails,
            self._writer,
            clock,
        )
        with self.records.write() as tx:
            page_secret = tx.secret("pages", secrets.token_bytes(32))
        self._usage = UsageCounter(home / "usage", worker, clock)
        self._rates = Rates(home / "rates") if settings.rate_quotas else None
        services = Services(self.records, settings, clock, page_secret, clock.now(), self._usage, self._rates)
        mounts: dict[str, ASGIApp] = {
            "/healthz": _plain(b"ok\n"),
            "/readyz": _plain(b"ready\n"),
            "/gateway": gateway_app(self._invoke, self._default_campaign),
        }
        self._index = index
        self._routes = routes = table.routes(services, serving, guard)
        self._neighbours = self._states = self._outbox = None
        if settings.neighbours:
            buckets = Buckets(home / "buckets", owner=worker)
            self._outbox = Outbox(home, buckets, clock)
            self._neighbours = Neighbours(
                self.records, buckets, guard, keys.find, settings, clock, auth, self._outbox
            )
            self._states = StepFunctions(home, self.records, guard, settings, clock)
        neighbours = dict(self._neighbours.apps) if self._neighbours else {}
        if self._states is not None:
            callers = Callers(keys.find, settings, clock, auth, frozenset({"states"}))
            neighbours["states"] = self._states.service.asgi(callers, Bodies(settings))
        self.asgi: ASGIApp = asgi_app(routes, keys.find, settings, clock, mounts, auth, neighbours)

    async def _invoke(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Call the runtime as the owner of the campaign that is named, for doors that are unsigned by design."""
        arn = parse_arn(params.get("campaignArn", ""))
        account, region = (arn.account, arn.region) if arn else ("", "")
        call = Call(account, region, "", request_id(), operation)
        return msgspec.json.decode(await invoke(self._routes, call, "personalize-runtime", params))

    def _default_campaign(self) -> str | None:
        served = (c for c in self._index.campaigns() if c.recipe in _RECOMMENDING)
        newest = max(served, key=lambda campaign: campaign.created_at, default=None)
        return newest.arn if newest else None

    def close(self) -> None:
        """Write what is queued for the log and close the stores."""
        for part in (self._neighbours, self._states, self._outbox):
            if part is not None:
                part.close()
        self._usage.close()
        if self._rates is not None:
            self._rates.close()
        self._writer.close()
        self._reader.close()
        self._audit.close()
        self.records.close()


def _plain(text: bytes) -> ASGIApp:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    return answer

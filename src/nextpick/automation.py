"""What goes on by itself beside requests and jobs: services that run while there is something for them to do.

``SERVICES`` names each service's module and the path in the home whose existence means that it is wanted. A module has
``start(context) -> Service``. ``nextpick serve`` runs them in one process of their own (``python -m
nextpick.automation HOME PARENT_FD``), ``nextpick.open`` in threads of the program. Either may be killed at any
point, so a service keeps on disk what it must not forget.
"""

import importlib
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nextpick.clock import Clock, SystemClock
from nextpick.parent import end_with_parent
from nextpick.settings import Settings

if TYPE_CHECKING:
    from nextpick.store.records import Records

SERVICES: Mapping[str, str] = {
    "nextpick.functions.service": "functions",
    "nextpick.notify.service": "notify",
    "nextpick.stream.service": "streams",
    "nextpick.workflow.service": "workflow",
}

_POLL_S = 0.25
_RETRY_S = 5.0

log = logging.getLogger(__name__)


def _no_address() -> str:
    raise RuntimeError("nothing answers for this home over HTTP")


class Context(NamedTuple):
    """What a service works with. ``client``: takes a service's name and fields of ``botocore.config.Config``, returns a
    boto3 client that acts as the administrator. ``url``: returns where the engine answers other processes."""

    settings: Settings
    clock: Clock
    records: "Records"
    client: Callable[..., Any]
    url: Callable[[], str] = _no_address


class Service(Protocol):
    """A service that was started."""

    def stop(self) -> None:
        """End it; what it had begun is taken up at its next start."""


def any_wanted(home: Path, services: Mapping[str, str] = SERVICES) -> bool:
    """Tell whether there is anything to do for a service."""
    return any((home / path).exists() for path in services.values())


class Automation:
    """Starts services when they are wanted, in a thread, until it is stopped."""

    def __init__(self, context: Context, services: Mapping[str, str] = SERVICES) -> None:
        self._context, self._services = context, services
        self._running: dict[str, Service] = {}
        self._not_before: dict[str, float] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="automation", daemon=True)

    def start(self) -> None:
        """Look for wanted services from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop all services."""
        self._ending.set()
        self._thread.join()
        for name, service in self._running.items():
            try:
                service.stop()
            except Exception:
                log.exception("%s could not be stopped", name)

    def _loop(self) -> None:
        while not self._ending.wait(_POLL_S):
            for name, path in self._services.items():
                is_due = time.monotonic() >= self._not_before.get(name, 0.0)
                if name not in self._running and is_due and (self._context.settings.home / path).exists():
                    self._start(name)

    def _start(self, name: str) -> None:
        try:
            self._running[name] = importlib.import_module(name).start(self._context)
        except Exception:
            log.exception("%s could not be started; it is tried again", name)
            self._not_before[name] = time.monotonic() + _RETRY_S


def main(home: str, parent_fd: str) -> None:
    """Run the services of a home that is served, until told to end or until the supervisor is gone."""
    from nextpick.store.records import Records
    from nextpick.telemetry import configure_logging

    end_with_parent(int(parent_fd))
    settings = Settings.load(home=Path(home))
    configure_logging(settings.log_level)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the supervisor
    records = Records(settings.home / "nextpick.db")
    context = Context(settings, SystemClock(), records, _clients(settings), lambda: _url(settings))
    automation = Automation(context)
    automation.start()
    ended.wait()
    automation.stop()
    records.close()


def _clients(settings: Settings) -> Callable[..., Any]:
    def client(service: str, **config: Any) -> Any:
        from nextpick.store import keys
        from nextpick.wire.client import http_client

        pair = keys.read(settings.home / "credentials")[0]
        return http_client(
            service,
            _url(settings),
            region=settings.region,
            access_key=pair.access_key,
            secret=pair.secret,
            **config,
        )

    return client


def _url(settings: Settings) -> str:
    return json.loads((settings.home / "server.json").read_text())["url"]


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The engine that workflow commands talk to: the server that runs on the home, or the home itself, opened meanwhile."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nextpick.settings import Settings

Clients = Callable[..., Any]
"""Takes the name of a service and fields of ``botocore.config.Config``; returns a boto3 client of the administrator."""


@contextmanager
def engine(settings: Settings) -> Iterator[Clients]:
    """Give clients of a home's engine."""
    from nextpick import supervisor

    if not supervisor.is_open(settings.home):
        import nextpick

        with nextpick.open(settings.home) as library:
            yield library.client
        return
    from nextpick.store import keys
    from nextpick.wire.client import http_client

    url = json.loads((settings.home / "server.json").read_text())["url"]
    pair = keys.read(settings.home / "credentials")[0]

    def client(service: str, **config: Any) -> Any:
        identity = {"region": settings.region, "access_key": pair.access_key, "secret": pair.secret}
        return http_client(service, url, **identity, **{"proxies": {}, **config})

    yield client

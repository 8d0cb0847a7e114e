"""The server that runs on a home, for commands that ask it something."""

import json
import sys
from typing import Any, NamedTuple, NoReturn

import typer

from nextpick.names import Key, parse_arn
from nextpick.settings import Settings


class Address(NamedTuple):
    """Where a server listens, and the administrator's key."""

    url: str
    key: Key


def address(settings: Settings) -> Address:
    """Return the address of the running server; without one the command ends and says how to start it."""
    from nextpick import supervisor
    from nextpick.store import keys

    try:
        if not supervisor.is_open(settings.home):
            raise FileNotFoundError
        url = json.loads((settings.home / "server.json").read_text())["url"]
        return Address(url, keys.read(settings.home / "credentials")[0])
    except (OSError, IndexError):
        end(f"no server runs on {settings.home}; start one with: nextpick serve")


def own_service(settings: Settings, arn: str) -> Any:
    """Return a client of nextpick's own service in the region of an ARN."""
    from nextpick.wire.client import http_client

    found, parts = address(settings), parse_arn(arn)
    if parts is None:
        end(f"{arn} is no ARN")
    return http_client(
        "nextpick",
        found.url,
        region=parts.region or settings.region,
        access_key=found.key.access_key,
        secret=found.key.secret,
        proxies={},
    )


def said(error: Exception) -> str:
    """Return what a server, or the way to it, said in an error."""
    response: dict[str, Any] = getattr(error, "response", {})
    return response.get("Error", {}).get("Message") or str(error)


def end(text: str, status: int = 1) -> NoReturn:
    """End the command with a message."""
    print(f"nextpick: {text}", file=sys.stderr)
    raise typer.Exit(status)

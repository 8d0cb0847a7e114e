"""The access log: a line for each request, by a format of ``$context`` variables, in ``HOME/gateway/logs``.

``API/STAGE/DAY.log``. A thread writes every fifth of a second, each time in one piece, so lines of several workers do
not mix; what a killed worker had not written is lost. Source: API Gateway developer guide, "Set up CloudWatch logging".
"""

import json
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nextpick.gateway.context import time_of
from nextpick.gateway.messages import Reply, Request
from nextpick.later import Later

JSON_FORMAT = json.dumps(
    {
        "requestId": "$context.requestId",
        "ip": "$context.identity.sourceIp",
        "requestTime": "$context.requestTime",
        "httpMethod": "$context.httpMethod",
        "resourcePath": "$context.resourcePath",
        "path": "$context.path",
        "status": "$context.status",
        "responseLength": "$context.responseLength",
        "responseLatency": "$context.responseLatency",
        "cache": "$context.cache",
    }
)
_KEPT_DAYS = 30
_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_.]+)")

log = logging.getLogger(__name__)

Line = Callable[[Request, Reply, float], str]
"""Returns the line of a request: its reply, and how long that took in seconds."""


def line_of(format: str) -> Line:
    """Return what writes lines; a variable that has no value is ``-``, within the quotes of JSON as without."""
    parts = _VARIABLE.split(format)
    reads = [_read(name) for name in parts[1::2]]
    form = "%s".join(part.replace("\n", " ").replace("%", "%%") for part in parts[::2]) + "\n"

    def line(request: Request, reply: Reply, took_s: float) -> str:
        return form % tuple([read(request, reply, took_s) for read in reads])

    return line


def _read(name: str) -> Line:
    quick = _QUICK.get(name)
    if quick is not None:
        return quick
    steps = name.split(".")

    def read(request: Request, reply: Reply, took_s: float) -> str:
        if name in request.noted:
            return _quoted(request.noted[name])
        value: Any = request.context
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return "-" if value is None else _quoted(str(value))

    return read


def _quoted(text: str) -> str:
    """Return a text as it may stand between the quotes of JSON."""
    return json.dumps(text)[1:-1]


_QUICK: dict[str, Line] = {
    "requestId": lambda request, reply, took_s: request.id,
    "identity.sourceIp": lambda request, reply, took_s: request.source_ip,
    "requestTime": lambda request, reply, took_s: time_of(int(request.now)),
    "httpMethod": lambda request, reply, took_s: request.verb,
    "resourcePath": lambda request, reply, took_s: request.resource or "-",
    "path": lambda request, reply, took_s: _quoted(f"/{request.stage.name}{request.path}"),
    "status": lambda request, reply, took_s: str(reply.status),
    "responseLength": lambda request, reply, took_s: str(len(reply.body)),
    "responseLatency": lambda request, reply, took_s: str(int(took_s * 1000)),
    "cache": lambda request, reply, took_s: request.noted.get("cache", "-"),
    "integrationLatency": lambda request, reply, took_s: str(int(took_s * 1000)),
}


class AccessLog:
    """Writes the lines of one worker."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._later = Later("access log", self._write)

    def write(self, api: str, stage: str, line: str) -> None:
        """Queue a line."""
        self._later.put((api, stage, line))

    def close(self) -> None:
        """Write what is queued."""
        self._later.close()

    def _write(self, entries: list[tuple[str, str, str]]) -> None:
        pieces: dict[tuple[str, str], list[str]] = {}
        for api, stage, line in entries:
            pieces.setdefault((api, stage), []).append(line)
        for (api, stage), lines in pieces.items():
            try:
                self._append(self._directory / api / stage, "".join(lines))
            except OSError as error:
                log.warning("the access log of %s/%s cannot be written: %s", api, stage, error)

    def _append(self, directory: Path, text: str) -> None:
        path = directory / time.strftime("%Y-%m-%d.log", time.gmtime())
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            for old in sorted(directory.glob("*.log"))[:-_KEPT_DAYS]:
                old.unlink(missing_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(text.encode())

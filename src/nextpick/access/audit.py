"""The audit log: one line of JSON for each decision about who may do what.

Every worker writes a file of its own below HOME/audit, which it alone rotates; jobs share one, in whole lines.
"""

import json
import logging
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

_FILE_BYTES = 16 * 1024 * 1024
_FILES = 4


class Audit:
    """Writes decisions to ``directory/name.jsonl``; the file is made with the first one."""

    def __init__(self, directory: Path, name: str, *, rotates: bool = True) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        size = _FILE_BYTES if rotates else 0
        path = directory / f"{name}.jsonl"
        self._handler = RotatingFileHandler(path, maxBytes=size, backupCount=_FILES, delay=True)

    def write(
        self,
        *,
        now: float,
        request: str,
        principal: str,
        action: str,
        resource: str,
        outcome: str,
        reason: str,
    ) -> None:
        """Add a line. ``request`` is a request id or a job's ARN, ``reason`` the statement that decided."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "request": request,
            "principal": principal,
            "action": action,
            "resource": resource,
            "outcome": outcome,
            "reason": reason,
        }
        record = logging.LogRecord("audit", logging.INFO, "", 0, json.dumps(line), None, None)
        self._handler.handle(record)

    def close(self) -> None:
        """Close the file."""
        self._handler.close()

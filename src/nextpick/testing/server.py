"""A server in processes of its own, on a home of its own, and boto3 clients that reach it and nothing else."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nextpick.store import keys
from nextpick.wire.client import http_client

_REGION = "us-east-1"
_PATIENCE_S = 60.0


class ServerFailed(Exception):
    """The server ended, or did not say in time where it listens."""


class ServerProcess:
    """``nextpick serve`` on a home and a free port. Its log is server.log in the home.

    ``environ`` adds to an environment without any AWS_* or NEXTPICK_* variable.
    """

    def __init__(self, home: Path, workers: int = 1, **environ: str) -> None:
        self.home, self._workers, self._environ = home, workers, environ
        self.log = home / "server.log"
        self.url = ""
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises ServerFailed; nothing is left running then."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "nextpick", "serve", "--home", str(self.home), "--port", "0"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--workers", str(self._workers)],
                cwd=self.home,
                env={**_environ(), **self._environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal is for the caller, who stops it in order
            )
        try:
            self.url = self._wait_for_address(self._process)
        except BaseException:
            if self.is_running:
                self.stop()
            raise

    def _wait_for_address(self, process: subprocess.Popen) -> str:
        deadline = time.monotonic() + _PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads((self.home / "server.json").read_text())
                if found["pid"] == process.pid:
                    return found["url"]
            time.sleep(0.02)
        ended = (
            f"ended with status {process.returncode}" if process.returncode is not None else "does not start"
        )
        raise ServerFailed(f"The server {ended}.\n{self.log_tail()}")

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """End it, if it runs, wait until it is gone, and return its exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """kill -9 of the supervisor alone: its workers and jobs end with it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client of a Personalize service, or of "nextpick", as the administrator.

        ``config`` is botocore's Config.
        """
        pair = keys.read(self.home / "credentials")[0]
        own = {"proxies": {}, "retries": {"mode": "legacy"}, **config}
        return http_client(
            service, self.url, region=_REGION, access_key=pair.access_key, secret=pair.secret, **own
        )

    def log_tail(self, lines: int = 20) -> str:
        """Return the end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


@contextlib.contextmanager
def without_aws_variables() -> Iterator[None]:
    """Take all AWS_* variables out of the environment meanwhile, so that botocore reads none of them."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
    try:
        yield
    finally:
        os.environ.update(taken)


def _environ() -> dict[str, str]:
    """Return this environment without anything that is for another server, or for AWS."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "NEXTPICK_"))}

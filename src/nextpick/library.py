"""The engine inside a program of yours: ``nextpick.open(dir)``."""

import asyncio
import socket
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from nextpick import supervisor
from nextpick.app import Engine
from nextpick.automation import Automation, Context
from nextpick.clock import SystemClock
from nextpick.settings import Settings
from nextpick.wire import http, inprocess


class Library:
    """A home opened by this process: what ``nextpick serve`` is, without HTTP.

    Jobs still run in processes of their own. Close it, or use it as a context manager; the home is locked
    until then.
    """

    def __init__(self, home: str | Path, **settings: Any) -> None:
        self.settings = Settings.load(home=Path(home), **settings)
        self._home = supervisor.Home(self.settings)
        self._clients: dict[tuple[str, str], Any] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nextpick", daemon=True)
        self._thread.start()
        self.engine = asyncio.run_coroutine_threadsafe(self._assemble(), self._loop).result()
        self._ending = asyncio.Event()
        self._lifespan = asyncio.run_coroutine_threadsafe(self._live(), self._loop)
        self._runner = supervisor.start_jobs(self.settings)
        self._server: tuple[str, Future[None]] | None = None
        self._serving = threading.Lock()
        context = Context(self.settings, SystemClock(), self.engine.records, self.client, self.url)
        self._automation = Automation(context)
        self._automation.start()

    async def _live(self) -> None:
        """Be to the application what an HTTP server is: announce its start and its end."""
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> dict[str, Any]:
            if len(messages) == 1:
                await self._ending.wait()
            return messages.pop(0)

        async def send(message: Any) -> None:
            pass

        await self.engine.asgi({"type": "lifespan", "state": {}}, receive, send)

    async def _assemble(self) -> Engine:
        return Engine(self.settings, SystemClock(), worker="library")

    @property
    def home(self) -> Path:
        """The directory; objects of ``s3://bucket/key`` lie in its ``buckets/bucket/key``."""
        return self.settings.home

    def client(self, service: str, *, region: str | None = None, **config: Any) -> Any:
        """Return a boto3 client of ``personalize``, ``personalize-runtime``, ``personalize-events``, ``nextpick``,
        ``s3``, ``sts`` or ``iam`` that acts as the administrator; ``config`` are fields of
        ``botocore.config.Config``."""
        pair = self._home.administrator
        return inprocess.client(
            self.engine.asgi,
            self._loop,
            service,
            region=region or self.settings.region,
            access_key=pair.access_key,
            secret=pair.secret,
            **config,
        )

    def url(self) -> str:
        """Return where the engine answers other processes, which functions are: on a port of the loopback address that
        is opened when it is first asked for."""
        with self._serving:
            if self._server is None:
                listener = socket.create_server(("127.0.0.1", 0))
                serving = http.serve_here(self.engine.asgi, [listener], self.settings, self._ending.is_set)
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                self._server = url, asyncio.run_coroutine_threadsafe(serving, self._loop)
            return self._server[0]

    def close(self) -> None:
        """End the running jobs (they are taken up at the next opening) and give the home back."""
        self._automation.stop()
        self._runner.stop()
        self._loop.call_soon_threadsafe(self._ending.set)
        self._lifespan.result()
        if self._server is not None:
            self._server[1].result()
        self.engine.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._home.close()

    def __enter__(self) -> "Library":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

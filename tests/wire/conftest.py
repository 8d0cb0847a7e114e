"""An application on a loop of its own, and botocore clients of it."""

import asyncio
import socket
import threading

import pytest
from wire_world import KEY, ROUTES, find_key

from nextpick.clock import SystemClock
from nextpick.settings import Settings
from nextpick.wire.http import run_server
from nextpick.wire.inprocess import client
from nextpick.wire.server import asgi_app


@pytest.fixture(scope="session")
def loop():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def make_app():
    apps = []

    def make(routes, *, mounts=None, auth=True, clock=None, find=find_key, neighbours=None, **settings):
        app = asgi_app(routes, find, Settings(**settings), clock or SystemClock(), mounts, auth, neighbours)
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture
def connect(loop):
    def connect(app, service="personalize", *, key=KEY, region="eu-west-1", **config):
        config.setdefault("parameter_validation", False)
        made = client(
            app, loop, service, region=region, access_key=key.access_key, secret=key.secret, **config
        )
        clients.append(made)
        return made

    clients = []
    yield connect
    for made in clients:
        made.close()


@pytest.fixture
def call(loop):
    """Return a function that sends one raw request to an application: (status, headers, body)."""

    def call(app, method="POST", path="/", headers=(), body=b"", query=b""):
        async def request():
            unread = [body]
            sent = []

            async def receive():
                if unread:
                    return {"type": "http.request", "body": unread.pop(), "more_body": False}
                await asyncio.sleep(3600)
                raise AssertionError

            async def send(message):
                sent.append(message)

            scope = {
                "type": "http",
                "method": method,
                "path": path,
                "raw_path": path.encode(),
                "query_string": query,
                "headers": [(name.lower(), value) for name, value in headers],
                "scheme": "http",
                "root_path": "",
            }
            await app(scope, receive, send)
            return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

        return asyncio.run_coroutine_threadsafe(request(), loop).result(60)

    return call


@pytest.fixture
def serve(make_app):
    """Return a function that serves routes and returns the port and a function that stops the server."""
    stops = []

    def serve(routes=ROUTES, auth=False, **settings):
        app = make_app(routes, auth=auth, **settings)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        asked = threading.Event()
        arguments = (app, [listener], Settings(**settings), asked.is_set)
        thread = threading.Thread(target=run_server, args=arguments)
        thread.start()

        def stop():
            asked.set()
            thread.join(30)
            assert not thread.is_alive()

        stops.append(stop)
        return port, stop

    yield serve
    for stop in stops:
        stop()


@pytest.fixture
def dial():
    """Return a function that opens a connection to a port."""
    opened = []

    def dial(port):
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        opened.append(connection)
        return connection

    yield dial
    for connection in opened:
        connection.close()

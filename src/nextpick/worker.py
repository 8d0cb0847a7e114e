"""One HTTP worker: ``python -m nextpick.worker HOME INDEX SOCKET_FD PARENT_FD auth|no-auth [GATEWAY_FD]``."""

import socket
import sys
from pathlib import Path

from nextpick.app import Engine
from nextpick.clock import SystemClock
from nextpick.parent import end_with_parent
from nextpick.settings import Settings
from nextpick.telemetry import configure_logging
from nextpick.wire.http import run_server


def main(home: str, index: str, socket_fd: str, parent_fd: str, auth: str, gateway_fd: str = "") -> None:
    """Serve on an inherited socket, the gateway alone on another, until told to end or the supervisor is gone."""
    end_with_parent(int(parent_fd))
    settings = Settings.load(home=Path(home))
    configure_logging(settings.log_level)
    engine = Engine(settings, SystemClock(), worker=f"worker-{index}", auth=auth == "auth")
    sockets, alone = [socket.socket(fileno=int(socket_fd))], {}
    if gateway_fd:
        sockets.append(socket.socket(fileno=int(gateway_fd)))
        alone = {sockets[1].getsockname()[1]: engine.gateway_alone}
    try:
        run_server(engine.asgi, sockets, settings, others=alone)
    finally:
        engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

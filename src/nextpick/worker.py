"""One HTTP worker: ``python -m nextpick.worker HOME INDEX SOCKET_FD PARENT_FD auth|no-auth [GATEWAY_FD]``."""

import os
import socket
import sys
import threading
from pathlib import Path

from nextpick.app import Engine
from nextpick.clock import SystemClock
from nextpick.settings import Settings
from nextpick.telemetry import configure_logging
from nextpick.wire.http import run_server


def main(home: str, index: str, socket_fd: str, parent_fd: str, auth: str, gateway_fd: str = "") -> None:
    """Serve on an inherited socket, the gateway alone on another, until told to end or the supervisor is gone."""
    threading.Thread(target=_end_with_parent, args=(int(parent_fd),), daemon=True).start()
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


def _end_with_parent(fd: int) -> None:
    os.read(fd, 1)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])

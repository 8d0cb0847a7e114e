"""Two other servers that speak S3, installed from PyPI into environments of their own and started here."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[2] / ".venv-peers"
USER, SECRET = "test:tester", "testing"

_SERVERS = ("account", "container", "object")
_BASE = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
mount_check = false
fallocate_reserve = 0
swift_dir = {root}
devices = {root}/devices
user = {user}
"""
_PROXY = """
[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""
_STORAGE = """
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""


def installed(name: str, *requirements: str) -> Path:
    """Return the bin directory of an environment with these packages, made when it is missing."""
    home = ENVIRONMENTS / name
    done = home / "done"
    if not done.exists():
        python = home / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", home], check=True)
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile"]
        subprocess.run([*pip, "--disable-pip-version-check", *requirements], check=True)
        done.touch()
    return home / "bin"


def install_moto() -> Path:
    """Install moto's server where it is missing; raises CalledProcessError without a package index."""
    return installed("moto", "moto[server,s3]>=5,<6")


def install_swift() -> Path:
    """Install Swift where it is missing; raises CalledProcessError without a package index."""
    return installed("swift", "swift>=2.35,<3", "setuptools<81")


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's server; give its URL."""
    bin_dir, port = install_moto(), _free_port()
    with _running([bin_dir / "moto_server", "-p", str(port)], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def swift(root: Path) -> Iterator[str]:
    """Run OpenStack Swift's proxy with its S3 API over one copy of everything; give its URL."""
    bin_dir = install_swift()
    ports = {name: _free_port() for name in (*_SERVERS, "proxy")}
    (root / "devices" / "sda").mkdir(parents=True)
    (root / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = s\n[storage-policy:0]\nname = p\ndefault = yes\n"
    )
    commands = []
    for name, port in ports.items():
        rest = _PROXY if name == "proxy" else _STORAGE.format(name=name)
        path = root / f"{name}.conf"
        path.write_text(_BASE.format(port=port, root=root, user=os.environ.get("USER", "root")) + rest)
        commands.append(([bin_dir / f"swift-{name}-server", path], port))
    for name in _SERVERS:
        ring = [bin_dir / "swift-ring-builder", root / f"{name}.builder"]
        for step in (
            ["create", "4", "1", "1"],
            ["add", f"r1z1-127.0.0.1:{ports[name]}/sda", "1"],
            ["rebalance"],
        ):
            subprocess.run([*ring, *step], check=True, stdout=subprocess.DEVNULL)
    with _running(*commands[0]), _running(*commands[1]), _running(*commands[2]), _running(*commands[3]):
        yield f"http://127.0.0.1:{ports['proxy']}"


@contextmanager
def _running(command: list[str | Path], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, f"{command[0]} ended with status {process.returncode}"
                assert time.monotonic() < deadline, f"{command[0]} did not start"
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    """Return a port below those that the system gives to others before the server is there."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port

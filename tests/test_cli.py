"""The commands, as a shell runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nextpick.store import keys
from nextpick.testing.server import ServerProcess


def nextpick(*arguments: str, **environ: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NEXTPICK_", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-m", "nextpick", *arguments],
        env={**env, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_what_env_prints_points_a_shell_at_the_server_and_at_nothing_else(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home")
    server.start()
    try:
        printed = nextpick("env", "--home", str(server.home)).stdout
    finally:
        server.stop()
    before = {"AWS_SESSION_TOKEN": "t", "AWS_PROFILE": "p", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    done = subprocess.run(
        ["sh", "-euc", printed + "env"], env={"PATH": os.environ["PATH"], **before},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    set_to = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("AWS_"))
    pair = keys.read(server.home / "credentials")[0]
    endpoints = ("", "_PERSONALIZE", "_PERSONALIZE_RUNTIME", "_PERSONALIZE_EVENTS")
    assert set_to == {
        **{f"AWS_ENDPOINT_URL{name}": server.url for name in endpoints},
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": pair.access_key,
        "AWS_SECRET_ACCESS_KEY": pair.secret,
    }


def test_without_a_server_env_says_how_to_start_one(tmp_path: Path) -> None:
    done = nextpick("env", "--home", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "start one with: nextpick serve" in done.stderr


def test_serving_without_authentication_is_for_loopback_only(tmp_path: Path) -> None:
    done = nextpick("serve", "--home", str(tmp_path / "home"), "--no-auth", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "loopback" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("name", "text"), [("NEXTPICK_JOB_SLOTS", "two"), ("NEXTPICK_COUNT_QUOTAS", "maybe")]
)
def test_a_setting_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str) -> None:
    done = nextpick("serve", "--home", str(tmp_path / "home"), **{name: text})
    assert done.returncode == 2
    assert f"{name}='{text}' cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_so(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "home")
    server.start()
    try:
        port = server.url.rpartition(":")[2]
        done = nextpick("serve", "--home", str(tmp_path / "other"), "--port", port)
    finally:
        server.stop()
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sample_is_three_files_and_their_schemas(tmp_path: Path) -> None:
    assert nextpick("sample", str(tmp_path / "a" / "b")).returncode == 0
    names = {path.name for path in (tmp_path / "a" / "b").iterdir()}
    kinds = ("interactions", "items", "users")
    assert names == {f"{kind}.{suffix}" for kind in kinds for suffix in ("csv", "json")}

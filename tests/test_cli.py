"""The commands, as a shell runs them."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextpick.store import keys
from nextpick.testing.server import ServerProcess
from served import Server
from worlds import Shop, checkerboard


def nextpick(*arguments: str, **environ: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NEXTPICK_", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-m", "nextpick", *arguments],
        env={**env, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def running(home: Path) -> Iterator[ServerProcess]:
    """Run a server meanwhile."""
    server = ServerProcess(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_what_env_prints_points_a_shell_at_the_server_and_at_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        printed = nextpick("env", "--home", str(server.home)).stdout
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


@pytest.mark.parametrize("ending", ["stopped", "killed"])
def test_env_points_at_no_server_that_has_ended(tmp_path: Path, ending: str) -> None:
    server = ServerProcess(tmp_path / "home")
    server.start()
    server.stop() if ending == "stopped" else server.kill()
    done = nextpick("env", "--home", str(server.home))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no server runs on {server.home}" in done.stderr


def test_env_prints_the_region_that_is_set(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        printed = nextpick("env", "--home", str(server.home), NEXTPICK_REGION="eu-west-1").stdout
    assert "export AWS_REGION=eu-west-1\n" in printed
    assert "export AWS_DEFAULT_REGION=eu-west-1\n" in printed


def test_home_may_be_given_by_its_variable(tmp_path: Path) -> None:
    done = nextpick("env", NEXTPICK_HOME=str(tmp_path / "elsewhere"))
    assert f"no server runs on {tmp_path / 'elsewhere'}" in done.stderr


def test_what_is_no_setting_is_warned_of(tmp_path: Path) -> None:
    done = nextpick("env", "--home", str(tmp_path), NEXTPICK_JOB_SLOT="2")
    assert "NEXTPICK_JOB_SLOT is not a setting of nextpick" in done.stderr


def test_a_home_in_use_is_refused_with_the_pid_of_its_server(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        done = nextpick("serve", "--home", str(server.home), "--port", "0")
        assert nextpick("env", "--home", str(server.home)).returncode == 0  # it goes on
    assert done.returncode == 1
    assert f"in use by the nextpick with pid {server.pid}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.1.example.com"])
def test_serving_without_authentication_is_for_loopback_only(tmp_path: Path, host: str) -> None:
    done = nextpick("serve", "--home", str(tmp_path / "home"), "--no-auth", "--host", host)
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
    with running(tmp_path / "home") as server:
        port = server.url.rpartition(":")[2]
        done = nextpick("serve", "--home", str(tmp_path / "other"), "--port", port)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


ARN = "arn:aws:personalize:us-east-1:000000000000"


@pytest.mark.parametrize(
    "command", [["report", f"{ARN}:solution/s"], ["why", "--campaign", f"{ARN}:campaign/c"]]
)
def test_without_a_server_there_is_nobody_to_ask(tmp_path: Path, command: list[str]) -> None:
    done = nextpick(*command, "--home", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "start one with: nextpick serve" in done.stderr


def test_a_report_is_a_page_and_why_is_text(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", workers=1).start()
    try:
        shop = Shop(server)
        shop.imported(shop.start_import("j", checkerboard()))
        version = shop.trained(shop.train(shop.solution()))["solutionVersionArn"]
        exact = {"itemExplorationConfig": {"explorationWeight": "0"}}
        campaign = shop.deployed("c", version, campaignConfig=exact)
        home, page = ["--home", str(server.home)], tmp_path / "page.html"
        done = nextpick("report", version, "--output", str(page), *home)
        assert done.returncode == 0, done.stderr
        assert "aws-user-personalization" in done.stdout
        assert page.read_text().startswith("<!doctype html>")
        piped = nextpick("report", shop.dataset, "--json", "--output", "-", *home)
        assert json.loads(piped.stdout)["rows"] == 1200
        again = nextpick("report", version, "--output", str(tmp_path / "no" / "page.html"), *home)
        assert (again.returncode, again.stdout) == (1, "")
        assert "cannot be written: No such file or directory" in again.stderr
        told = nextpick(
            "why", "--campaign", campaign, "--user", "u1", "--item", "i2", "--results", "5", *home
        )
        assert "i2: outranked. Its rank is" in told.stdout
        assert "because of i39 ×" in told.stdout
        wrong = nextpick("why", "--campaign", campaign, *home)
        assert (wrong.returncode, wrong.stderr) == (
            1,
            f"nextpick: userId is required: {campaign} serves aws-user-personalization.\n",
        )
        nowhere = nextpick("report", campaign, *home)
        assert "none of the solution versions and recommenders" in nowhere.stderr
        no_arn = nextpick("report", "s", *home)
        assert no_arn.stderr == "nextpick: s is no ARN\n"
    finally:
        server.stop()


def test_a_sample_is_three_files_and_their_schemas(tmp_path: Path) -> None:
    assert nextpick("sample", str(tmp_path / "a" / "b")).returncode == 0
    names = {path.name for path in (tmp_path / "a" / "b").iterdir()}
    kinds = ("interactions", "items", "users")
    assert names == {f"{kind}.{suffix}" for kind in kinds for suffix in ("csv", "json")}

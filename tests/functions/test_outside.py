"""Functions from outside: the AWS CLI, and a server that others can reach."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from functions_world import ROLE, Functions, archive, until

from nextpick.store import keys
from nextpick.wire.client import http_client

CODE = {"lambda_function.py": "def lambda_handler(event, context):\n    print('hello')\n    return event\n"}


@contextlib.contextmanager
def serving(home: Path, host: str, **environ: str) -> Iterator[str]:
    """Serve a home at an address meanwhile, and give the URL."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "NEXTPICK_"))}
    command = [sys.executable, "-m", "nextpick", "serve", "--home", str(home), "--host", host, "--port", "0"]
    process = subprocess.Popen(
        command, env={**clean, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until((home / "server.json").exists)
        yield json.loads((home / "server.json").read_text())["url"]
    finally:
        process.terminate()
        process.wait()


class Remote:
    """The administrator's clients of a URL."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url

    def client(self, service: str):
        pair = keys.read(self.home / "credentials")[0]
        return http_client(
            service, self.url, region="us-east-1", access_key=pair.access_key, secret=pair.secret
        )


def test_functions_are_off_where_others_can_reach_the_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, "0.0.0.0") as url, pytest.raises(ClientError, match="Functions are off"):
        Functions(Remote(home, url)).deploy("f", CODE)
    with serving(home, "0.0.0.0", NEXTPICK_FUNCTIONS="always") as url:
        allowed = Functions(Remote(home, url))
        allowed.deploy("f", CODE)
        assert allowed.invoke("f", 1).payload == 1


def test_the_aws_cli_creates_and_invokes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "code.zip").write_bytes(archive(CODE))
    with serving(home, "127.0.0.1") as url:
        pair = keys.read(home / "credentials")[0]
        environ = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": pair.access_key,
            "AWS_SECRET_ACCESS_KEY": pair.secret,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

        def aws(*words: str) -> dict:
            command = [str(Path(sys.executable).parent / "aws"), "lambda", *words]
            done = subprocess.run(
                command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        made = aws(
            "create-function", "--function-name", "cli", "--runtime", "python3.11", "--role", ROLE,
            "--handler", "lambda_function.lambda_handler", "--zip-file", "fileb://code.zip",
        )  # fmt: skip
        assert made["State"] == "Active"
        told = aws(
            "invoke", "--function-name", "cli", "--payload", '{"a": 1}', "--log-type", "Tail", "answer.json"
        )
    assert told["StatusCode"] == 200
    assert "LogResult" in told
    assert json.loads((tmp_path / "answer.json").read_text()) == {"a": 1}

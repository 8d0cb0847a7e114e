"""One client script, which passes against nextpick, moto's server and OpenStack Swift."""

import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import peers
import pytest
import s3_script
from botocore.config import Config

from served import Server


def client(url: str, access_key: str, secret: str, **config: Any) -> Any:
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def new_bucket() -> str:
    return f"script-{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize("signature", [None, "s3v4"], ids=["default", "s3v4"])
def test_nextpick_does_what_s3_does(tmp_path: Path, signature: str | None) -> None:
    server = Server(tmp_path / "home").start()
    try:
        s3_script.run(server.client("s3", signature_version=signature), new_bucket(), s3_script.over_http)
    finally:
        server.stop()


def test_the_engine_in_a_program_does_what_s3_does(api: Any) -> None:
    s3_script.run(api.library.client("s3"), new_bucket())


def or_skip(start: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return start(*arguments)
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"the peer could not be installed: {error}")


def test_moto_does_what_the_script_asks() -> None:
    or_skip(peers.install_moto)
    with peers.moto() as url:
        s3_script.run(client(url, "any", "any"), new_bucket(), s3_script.over_http)


def test_swift_does_what_the_script_asks(tmp_path: Path) -> None:
    or_skip(peers.install_swift)
    with peers.swift(tmp_path / "swift") as url:
        s3_script.run(client(url, peers.USER, peers.SECRET), new_bucket(), s3_script.over_http)

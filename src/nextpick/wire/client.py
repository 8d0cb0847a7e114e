"""boto3 clients that read nothing from the environment they run in."""

import functools
import os
import threading
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from nextpick.wire.shapes import models_dir

_making = threading.Lock()  # botocore's sessions and loaders are not thread-safe; its clients are


def http_client(
    service: str,
    url: str,
    *,
    region: str,
    access_key: str,
    secret: str,
    token: str | None = None,
    **config: Any,
) -> Any:
    """Return a client of ``service`` ("personalize", "s3", …, or "nextpick") at a URL.

    ``config`` are fields of ``botocore.config.Config``. Nothing is read from AWS_* variables or configuration files.
    The client may be used by many threads.
    """
    settings = {"retries": {"total_max_attempts": 1, "mode": "legacy"}, **config}
    with _making:
        return _session().client(
            service,  # pyright: ignore[reportCallIssue, reportArgumentType]  "nextpick" has no stubs
            region_name=region,
            endpoint_url=url,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(**settings),
        )


@functools.cache
def _session() -> boto3.Session:
    """Return the one session of the process: reading the models is most of what making a client takes."""
    nothing = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session = botocore.session.Session(session_vars=nothing)
    session.get_component("data_loader").search_paths.append(str(models_dir()))
    return boto3.Session(botocore_session=session)

"""What a function's process is started with: its command, and an environment made from nothing.

Source: AWS Lambda Developer Guide, "Defined runtime environment variables".
"""

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from nextpick.functions.registry import Function
from nextpick.functions.roles import Credentials

# What a function cannot set. Source: the same page, "Reserved environment variables".
RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)

_INHERITED = ("PATH", "LANG", "TZ")
_HERE = Path(__file__).parent


def node() -> str | None:
    """Return the path of Node, None where it is not installed."""
    return shutil.which("node")


def command(function: Function, socket_fd: int, guard_fd: int) -> list[str]:
    """Return the command of a function's process. Raises FileNotFoundError where Node is needed and missing."""
    fds = [str(socket_fd), str(guard_fd)]
    if not function.is_node:
        # -P: the directory of the bootstrap is not for imports. -u: what was printed before a kill is in the log.
        return [sys.executable, "-P", "-u", str(_HERE / "bootstrap.py"), *fds]
    found = node()
    if found is None:
        raise FileNotFoundError("node is not installed")
    return [found, str(_HERE / "bootstrap.mjs"), *fds]


def environment(function: Function, code: Path, url: str, held: Credentials, stream: str) -> dict[str, str]:
    """Return the environment of a function's process; ``url`` is where nextpick answers."""
    made = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    made |= {
        # Nothing of the operator's own configuration is found: no profile, no endpoint, no metadata service.
        "HOME": "/tmp",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": url,
        **function.environment,
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(code),
        "LAMBDA_RUNTIME_DIR": str(_HERE),
        "AWS_REGION": function.region,
        "AWS_DEFAULT_REGION": function.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group(function),
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
    }
    return made | credentials(held)


def credentials(held: Credentials) -> dict[str, str]:
    """Return a key as variables. With the time of its end SDKs read the variables again before it."""
    made = {"AWS_ACCESS_KEY_ID": held.access_key, "AWS_SECRET_ACCESS_KEY": held.secret}
    if held.token:
        until = datetime.fromtimestamp(int(held.expires_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        made |= {"AWS_SESSION_TOKEN": held.token, "AWS_CREDENTIAL_EXPIRATION": until}
    return made


def log_group(function: Function) -> str:
    """Return the name of a function's log group."""
    return f"/aws/lambda/{function.name}"

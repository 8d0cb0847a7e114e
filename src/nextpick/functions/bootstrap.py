"""The inside of a Python function's process: ``python -P -u bootstrap.py SOCKET_FD GUARD_FD``.

Runs before and around the user's handler, so it imports the standard library only. It loads the handler once, tells
the host over the socket that it is ready, then serves one invocation at a time. Errors and texts are those of Lambda's
Python runtime. Source: AWS Lambda Developer Guide, "Define Lambda function handler in Python", "Using the Lambda
context object to retrieve Python function information", "Log and monitor Python Lambda functions".
"""

import decimal
import importlib
import json
import logging
import os
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

_LENGTHS = struct.Struct("!II")

Handler = Callable[[Any, Any], Any]


class Failure(Exception):
    """The runtime's own error: a type of Lambda's, and what happened."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        self.kind, self.message, self.trace = kind, message, trace or []


class Context:
    """What a handler is given beside its event."""

    def __init__(self, head: dict[str, Any]) -> None:
        self.aws_request_id: str = head["request_id"]
        self.invoked_function_arn: str = head["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = types.SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self.client_context = _client_context(head.get("client_context"))
        self._deadline_ms: int = head["deadline_ms"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation is ended."""
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))


class _Logs(logging.Handler):
    """Writes log records as Lambda does, with the id of the request that is being served."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        record.aws_request_id = self.request_id
        sys.stdout.write(self.format(record) + "\n")


def main(socket_fd: str, guard_fd: str) -> None:
    """Load the handler and serve until the host is gone."""
    sock = socket.socket(fileno=int(socket_fd))
    for fd in (int(socket_fd), int(guard_fd)):
        os.set_inheritable(fd, False)
    threading.Thread(target=_end_with_host, args=(int(guard_fd),), daemon=True).start()
    logs = _Logs()
    layout = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
    formatter = logging.Formatter(layout, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    logs.setFormatter(formatter)
    logging.getLogger().addHandler(logs)
    sys.argv = [""]
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        _send(sock, {"is": "failed"}, _failed(error, ""))
        sys.exit(1)
    _send(sock, {"is": "ready"}, b"")
    while True:
        head, body = _receive(sock)
        os.environ.update(head["environ"])
        logs.request_id = head["request_id"]
        try:
            told = "result", _answer(handler, head, body)
        except Exception as error:
            told = "error", _failed(error, head["request_id"])
        sys.stdout.flush()
        sys.stderr.flush()
        _send(sock, {"is": told[0]}, told[1])


def load(name: str) -> Handler:
    """Return the handler ``module.function``. Raises Failure, or what the module raises."""
    module_name, dot, function = name.rpartition(".")
    if not dot or not module_name:
        text = f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        raise Failure("Runtime.MalformedHandlerName", text)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        text = f"Unable to import module '{module_name}': {error}"
        raise Failure("Runtime.ImportModuleError", text) from None
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {(error.text or "").strip()}\n']
        text = f"Syntax error in module '{module_name}': {error}"
        raise Failure("Runtime.UserCodeSyntaxError", text, trace) from None
    handler = getattr(module, function, None)
    if handler is None:
        raise Failure("Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module_name}'")
    return handler


def _answer(handler: Handler, head: dict[str, Any], body: bytes) -> bytes:
    try:
        event = json.loads(body)
    except ValueError as error:
        raise Failure("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None
    result = handler(event, Context(head))
    try:
        return json.dumps(result, default=_decimal).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Failure("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def _decimal(value: object) -> float:
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _failed(error: Exception, request_id: str) -> bytes:
    """Return an error in Lambda's shape, after writing it to the log."""
    if isinstance(error, Failure):
        kind, message, trace = error.kind, error.message, error.trace
    else:
        kind, message = type(error).__name__, str(error)
        here = os.path.abspath(__file__)
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != here]
        loader = ("<frozen importlib", os.path.dirname(importlib.__file__))
        while frames and frames[0].filename.startswith(loader):
            frames.pop(0)
        trace = traceback.format_list(frames)
    below = f"\nTraceback (most recent call last):\n{''.join(trace)}" if trace else ""
    sys.stdout.write(f"[ERROR] {kind}: {message}{below}".rstrip("\n") + "\n")
    sys.stdout.flush()
    told = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    return json.dumps(told).encode()


def _client_context(text: str | None) -> types.SimpleNamespace | None:
    if not text:
        return None
    given = json.loads(text)
    fields = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
    client = given.get("client")
    named = types.SimpleNamespace(**{name: client.get(name) for name in fields}) if client else None
    env = given.get("env", given.get("environment"))
    return types.SimpleNamespace(client=named, custom=given.get("custom"), env=env)


def _end_with_host(guard_fd: int) -> NoReturn:
    """Wait for the end of a pipe that only the host holds open, then end this process and all it has started."""
    os.read(guard_fd, 1)
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _send(sock: socket.socket, head: dict[str, Any], body: bytes) -> None:
    told = json.dumps(head).encode()
    sock.sendall(_LENGTHS.pack(len(told), len(body)) + told + body)


def _receive(sock: socket.socket) -> tuple[dict[str, Any], bytes]:
    head, body = _LENGTHS.unpack(_exactly(sock, _LENGTHS.size))
    return json.loads(_exactly(sock, head)), _exactly(sock, body)


def _exactly(sock: socket.socket, size: int) -> bytes:
    pieces = []
    while size:
        piece = sock.recv(min(size, 1 << 20))
        if not piece:
            os._exit(0)  # the host has no more to do for this process
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

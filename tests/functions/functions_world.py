"""Functions in an engine of this process, and shorthand for what is done to them."""

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:lambda:us-east-1:000000000000:function:{}"
ROLE = "arn:aws:iam::000000000000:role/anyone"


def archive(files: dict[str, str]) -> bytes:
    """Return a ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return buffer.getvalue()


class Answer(NamedTuple):
    """What Invoke answered."""

    payload: Any
    error: str | None
    log: str
    status: int


class Functions:
    """The functions of a library or a server, through boto3's ``lambda`` client."""

    def __init__(self, opened: Any, **config: Any) -> None:
        self.opened, self.home = opened, opened.home
        self.client = opened.client("lambda", **config)

    def deploy(self, name: str, source: str | dict[str, str], **more: Any) -> str:
        """Create a function; a text is the code of lambda_function.py. Return its ARN."""
        files = {"lambda_function.py": source} if isinstance(source, str) else source
        given = {
            "Runtime": "python3.11",
            "Handler": "lambda_function.lambda_handler",
            "Role": ROLE,
            "Timeout": 20,
        }
        made = self.client.create_function(
            FunctionName=name, Code={"ZipFile": archive(files)}, **(given | more)
        )
        return made["FunctionArn"]

    def node(self, name: str, files: dict[str, str], **more: Any) -> str:
        """Create a function for Node; its handler is index.handler."""
        return self.deploy(name, files, **{"Runtime": "nodejs20.x", "Handler": "index.handler", **more})

    def invoke(self, name: str, event: Any = None, **more: Any) -> Answer:
        """Run a function and wait for its answer."""
        done = self.client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail", **more)
        log = base64.b64decode(done.get("LogResult", "")).decode()
        return Answer(json.loads(done["Payload"].read()), done.get("FunctionError"), log, done["StatusCode"])

    def send(self, name: str, event: Any = None) -> str:
        """Have a function run asynchronously."""
        done = self.client.invoke(FunctionName=name, Payload=json.dumps(event), InvocationType="Event")
        assert done["StatusCode"] == 202
        return done["ResponseMetadata"]["RequestId"]


def refused(code: str, call: object, *words: str, **members: object) -> str:
    """Call what must be refused with a code; return the message."""
    with pytest.raises(ClientError) as error:
        call(*words, **members)  # type: ignore[operator]
    assert error.value.response["Error"]["Code"] == code, error.value
    return error.value.response["Error"]["Message"]


def until(is_so: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Ask again until the answer is true, and return it."""
    deadline = time.monotonic() + timeout_s
    while not (answer := is_so()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer

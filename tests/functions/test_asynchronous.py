"""Asynchronous invocations: tried again, told of, kept on the disk until they are done."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from functions_world import Functions, until

from nextpick.functions import client
from nextpick.functions.events import Queue

FLAKY = """
import os

def lambda_handler(event, context):
    folder = event["folder"]
    n = len(os.listdir(folder))
    open(f"{folder}/{n}-{context.aws_request_id}", "w").close()
    if n < event["failures"]:
        raise RuntimeError(f"attempt {n}")
    return {"attempts": n + 1}
"""
KEEPING = """
import json

def lambda_handler(event, context):
    path = event["requestPayload"]["told"]
    with open(path + ".part", "w") as file:
        json.dump(event, file)
    import os
    os.rename(path + ".part", path)
"""


@pytest.fixture(scope="module", autouse=True)
def deployed(functions: Functions) -> None:
    functions.deploy("flaky", FLAKY)
    functions.deploy("keeping", KEEPING)


def event(tmp_path: Path, failures: int) -> dict[str, Any]:
    (tmp_path / "tries").mkdir()
    return {"folder": str(tmp_path / "tries"), "failures": failures, "told": str(tmp_path / "told.json")}


def told(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "told.json"
    until(path.exists)
    return json.loads(path.read_text())


def configure(functions: Functions, **destinations: str) -> None:
    functions.client.put_function_event_invoke_config(
        FunctionName="flaky",
        MaximumRetryAttempts=1,
        DestinationConfig={when: {"Destination": arn} for when, arn in destinations.items()},
    )


def arn(name: str) -> str:
    return f"arn:aws:lambda:us-east-1:000000000000:function:{name}"


def test_a_success_is_told_with_the_record_of_lambda(functions: Functions, tmp_path: Path) -> None:
    configure(functions, OnSuccess=arn("keeping"))
    given = event(tmp_path, failures=1)
    functions.send("flaky", given)
    record = told(tmp_path)
    assert record.pop("timestamp").endswith("Z")
    tries = sorted((tmp_path / "tries").iterdir())
    requests = {path.name.partition("-")[2] for path in tries}
    assert len(tries) == 2
    assert requests == {record["requestContext"].pop("requestId")}
    assert record == {
        "version": "1.0",
        "requestContext": {
            "functionArn": f"{arn('flaky')}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 2,
        },
        "requestPayload": given,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"attempts": 2},
    }


def test_a_failure_is_told_when_the_retries_are_used_up(functions: Functions, tmp_path: Path) -> None:
    configure(functions, OnFailure=arn("keeping"))
    functions.send("flaky", event(tmp_path, failures=9))
    record = told(tmp_path)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["responseContext"]["functionError"] == "Unhandled"
    assert record["responsePayload"]["errorMessage"] == "attempt 1"
    assert len(list((tmp_path / "tries").iterdir())) == 2


def test_a_bucket_is_told_by_an_object(functions: Functions, tmp_path: Path) -> None:
    functions.opened.client("s3").create_bucket(Bucket="told")
    configure(functions, OnFailure="arn:aws:s3:::told/failures")
    functions.send("flaky", event(tmp_path, failures=9))
    s3 = functions.opened.client("s3")
    (found,) = until(lambda: s3.list_objects_v2(Bucket="told").get("Contents", []))
    assert found["Key"].startswith("failures/aws/lambda/async/flaky/")
    record = json.loads(s3.get_object(Bucket="told", Key=found["Key"])["Body"].read())
    assert record["requestContext"]["condition"] == "RetriesExhausted"


def test_a_message_that_cannot_be_delivered_is_kept(functions: Functions, tmp_path: Path) -> None:
    configure(functions, OnSuccess="arn:aws:sns:us-east-1:000000000000:nobody-listens")
    functions.send("flaky", event(tmp_path, failures=0))
    with Queue(functions.home) as queue:
        (message,) = until(lambda: [m for m in queue.messages(1e12, 9) if m.attempts])
        assert message.destination.endswith(":nobody-listens")
        assert json.loads(message.body)["requestContext"]["condition"] == "Success"
        queue.delivered(message)


def test_an_event_that_waited_too_long_is_told_of_and_not_run(functions: Functions, tmp_path: Path) -> None:
    configure(functions, OnFailure=arn("keeping"))
    functions.client.put_function_concurrency(FunctionName="flaky", ReservedConcurrentExecutions=0)
    with Queue(functions.home) as queue:
        queue.put(arn("flaky"), json.dumps(event(tmp_path, failures=0)).encode(), now=1_000_000_000.0)
    functions.client.delete_function_concurrency(FunctionName="flaky")
    client.wake(functions.home)
    record = told(tmp_path)
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responsePayload" not in record
    assert list((tmp_path / "tries").iterdir()) == []


def test_events_wait_for_a_function_that_may_not_run(functions: Functions, tmp_path: Path) -> None:
    configure(functions)
    functions.client.put_function_concurrency(FunctionName="flaky", ReservedConcurrentExecutions=0)
    functions.send("flaky", event(tmp_path, failures=0))
    with pytest.raises(ClientError, match="TooManyRequests"):
        functions.invoke("flaky")
    functions.client.delete_function_concurrency(FunctionName="flaky")
    until(lambda: list((tmp_path / "tries").iterdir()))


def test_the_client_enqueues_and_invokes_by_name_arn_or_uri(functions: Functions, tmp_path: Path) -> None:
    functions.deploy("echo", "def lambda_handler(event, context):\n    return event\n")
    uri = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{}/invocations"
    theirs = "arn:aws:lambda:eu-west-1:123456789012:function:echo"
    for name in ("echo", "echo:$LATEST", arn("echo"), uri.format(arn("echo")), theirs):
        done = client.invoke(functions.home, name, b'{"a": 1}')
        assert done.payload == b'{"a": 1}'
        assert done.error is None
        assert done.billed_ms >= 1
    with pytest.raises(client.FunctionMissing):
        client.invoke(functions.home, "nobody", b"{}")
    with pytest.raises(client.FunctionMissing):
        client.enqueue(functions.home, "nobody", b"{}")
    with pytest.raises(ValueError, match="json"):
        client.enqueue(functions.home, "echo", b"{")
    functions.deploy("sleepy", "import time\ndef lambda_handler(event, context):\n    time.sleep(5)\n")
    with pytest.raises(TimeoutError):
        client.invoke(functions.home, "sleepy", b"{}", timeout_s=0.2)
    client.enqueue(functions.home, "flaky", json.dumps(event(tmp_path, failures=0)).encode())
    until(lambda: list((tmp_path / "tries").iterdir()))

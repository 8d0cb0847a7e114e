"""Time, memory and numbers: what is too much is ended or refused, and the next invocation finds a process."""

import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from functions_world import Functions, until

from served import is_running

WAITING = """
import os, subprocess, time

def lambda_handler(event, context):
    if "child" in event:
        return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]
    if "meet" in event:
        open(event["meet"] + "/" + context.aws_request_id, "w").close()
        while len(os.listdir(event["meet"])) < event["n"]:
            time.sleep(0.01)
    time.sleep(event.get("sleep", 0))
    return os.getpid()
"""
GREEDY = """
import time
held = []

def lambda_handler(event, context):
    for _ in range(event):
        held.append(bytearray(b"x" * (8 * 1024 * 1024)))
        time.sleep(0.02)
    return len(held)
"""


def test_an_invocation_that_takes_too_long_is_killed(functions: Functions) -> None:
    functions.deploy("slow", WAITING, Timeout=1)
    first = functions.invoke("slow", {}).payload
    done = functions.invoke("slow", {"sleep": 30})
    assert done.error == "Unhandled"
    assert done.payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds\nEND RequestId" in done.log
    until(lambda: not is_running(first))
    assert functions.invoke("slow", {}).payload != first


def test_a_process_that_takes_too_much_memory_is_killed(functions: Functions) -> None:
    functions.deploy("greedy", GREEDY, MemorySize=128)
    assert functions.invoke("greedy", 1).payload == 1
    done = functions.invoke("greedy", 100)
    assert done.error == "Unhandled"
    assert done.payload["errorType"] == "Runtime.ExitError"
    assert done.payload["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert "Memory used: " in done.log
    assert functions.invoke("greedy", 1).payload == 1


def test_invocations_at_the_same_time_have_processes_of_their_own(
    functions: Functions, tmp_path: Path
) -> None:
    functions.deploy("meeting", WAITING)
    event = {"meet": str(tmp_path), "n": 3}
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(functions.invoke("meeting", event).payload))
        for _ in "123"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 3
    assert functions.invoke("meeting", {}).payload in found


def test_beyond_its_concurrency_a_function_refuses(functions: Functions, tmp_path: Path) -> None:
    functions.deploy("single", WAITING)
    limit = functions.client.put_function_concurrency(FunctionName="single", ReservedConcurrentExecutions=1)
    assert limit["ReservedConcurrentExecutions"] == 1
    thread = threading.Thread(target=functions.invoke, args=("single", {"meet": str(tmp_path), "n": 2}))
    thread.start()
    until(lambda: list(tmp_path.iterdir()))
    with pytest.raises(ClientError) as refused:
        functions.invoke("single", {})
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    (tmp_path / "go").touch()
    thread.join()
    functions.client.delete_function_concurrency(FunctionName="single")
    assert isinstance(functions.invoke("single", {}).payload, int)


def test_what_a_handler_started_ends_with_its_process(functions: Functions) -> None:
    functions.deploy("parent", WAITING, Timeout=1)
    parent, child = functions.invoke("parent", {"child": 1}).payload
    assert is_running(child)
    functions.invoke("parent", {"sleep": 30})
    until(lambda: not is_running(parent) and not is_running(child))


def test_new_code_is_for_the_next_invocation_and_the_old_one_finishes(
    functions: Functions, tmp_path: Path
) -> None:
    functions.deploy("changing", WAITING)
    old: list[int] = []
    event = {"meet": str(tmp_path), "n": 2}
    thread = threading.Thread(target=lambda: old.append(functions.invoke("changing", event).payload))
    thread.start()
    until(lambda: list(tmp_path.iterdir()))
    from functions_world import archive

    code = archive({"lambda_function.py": "def lambda_handler(event, context):\n    return 'new'\n"})
    functions.client.update_function_code(FunctionName="changing", ZipFile=code)
    assert functions.invoke("changing", {}).payload == "new"
    (tmp_path / "go").touch()
    thread.join()
    assert isinstance(old[0], int)
    until(lambda: not is_running(old[0]))


def test_logs_stay_below_their_size(tmp_path: Path) -> None:
    from nextpick.functions.logs import Log, Output, read

    written = Log(tmp_path, 10_000)
    output = Output(written, "abc")
    for n in range(1000):
        output.feed(f"line {n}\n".encode())
    written.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    assert read(tmp_path, 2)[-1].endswith("\tabc\tline 999")
    assert time.strptime(read(tmp_path, 1)[0][:19], "%Y-%m-%dT%H:%M:%S")

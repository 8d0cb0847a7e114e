"""Python handlers: what they are given, and the shapes of what goes wrong."""

import os
import sys

import pytest
from functions_world import Functions

TELLING = """
import json, os, sys
loaded = [0]
loaded[0] += 1
calls = 0

def lambda_handler(event, context):
    global calls
    calls += 1
    print("event", json.dumps(event))
    if event == "env":
        return dict(os.environ)
    if event == "context":
        fields = ("function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb", "aws_request_id",
                  "log_group_name", "log_stream_name")
        told = {name: getattr(context, name) for name in fields}
        told["left"] = context.get_remaining_time_in_millis()
        told["identity"] = [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id]
        told["custom"] = context.client_context and context.client_context.custom
        return told
    return {"loaded": loaded[0], "calls": calls, "pid": os.getpid()}
"""

FAILING = """
import decimal, logging, sys
logger = logging.getLogger()
logger.setLevel(logging.INFO)

def inner(event):
    raise KeyError(event)

def lambda_handler(event, context):
    logger.info("asked for %s", event)
    if event == "set":
        return {1, 2}
    if event == "decimal":
        return decimal.Decimal("1.5")
    if event == "exit":
        sys.exit(3)
    if event == "quiet exit":
        sys.exit(0)
    if event == "large":
        return "x" * (7 * 1024 * 1024)
    return inner(event)
"""


@pytest.fixture(scope="module")
def telling(functions: Functions) -> str:
    return functions.deploy(
        "telling", TELLING, Environment={"Variables": {"CAMPAIGN_ARN": "arn:c", "NUM_RESULTS": "5"}}
    )


@pytest.fixture(scope="module")
def failing(functions: Functions) -> str:
    return functions.deploy("failing", FAILING)


def test_a_module_is_loaded_once_and_its_globals_stay(functions: Functions, telling: str) -> None:
    first, second = functions.invoke("telling").payload, functions.invoke("telling").payload
    assert first["loaded"] == second["loaded"] == 1
    assert second["calls"] == first["calls"] + 1
    assert second["pid"] == first["pid"] != os.getpid()


def test_the_context_is_as_documented(functions: Functions, telling: str) -> None:
    told = functions.invoke("telling", "context", ClientContext="eyJjdXN0b20iOiB7ImEiOiAiYiJ9fQ==").payload
    assert told["function_name"] == "telling"
    assert told["function_version"] == "$LATEST"
    assert told["invoked_function_arn"] == telling
    assert told["memory_limit_in_mb"] == "128"
    assert told["log_group_name"] == "/aws/lambda/telling"
    assert "[$LATEST]" in told["log_stream_name"]
    assert len(told["aws_request_id"]) == 36
    assert 0 < told["left"] <= 20_000
    assert told["identity"] == [None, None]
    assert told["custom"] == {"a": "b"}


def test_the_environment_is_made_from_nothing(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATORS_SECRET", "s")
    monkeypatch.setenv("AWS_PROFILE", "operator")
    functions.deploy("fresh", TELLING, Environment={"Variables": {"CAMPAIGN_ARN": "arn:c"}})
    found = functions.invoke("fresh", "env").payload
    assert found["CAMPAIGN_ARN"] == "arn:c"
    assert found["_HANDLER"] == "lambda_function.lambda_handler"
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "us-east-1"
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == "fresh"
    assert found["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert found["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert found["LAMBDA_TASK_ROOT"].startswith(str(functions.home))
    theirs = {name for name in found if not name.startswith(("AWS_", "_", "LAMBDA_", "LC_"))}
    assert theirs <= {"PATH", "LANG", "TZ", "HOME", "CAMPAIGN_ARN"}
    assert "AWS_PROFILE" not in found


def test_an_answer_comes_with_the_end_of_its_log(functions: Functions, telling: str) -> None:
    lines = functions.invoke("telling", {"a": 1}).log.splitlines()
    assert lines[0].startswith("START RequestId: ")
    assert lines[0].endswith(" Version: $LATEST")
    assert lines[1] == 'event {"a": 1}'
    assert lines[2].startswith("END RequestId: ")
    report = lines[3].split("\t")
    assert report[0].startswith("REPORT RequestId: ")
    assert [part.partition(":")[0] for part in report[1:5]] == [
        "Duration",
        "Billed Duration",
        "Memory Size",
        "Max Memory Used",
    ]


def test_an_exception_has_lambdas_shape(functions: Functions, failing: str) -> None:
    done = functions.invoke("failing", "gone")
    assert done.status == 200
    assert done.error == "Unhandled"
    trace = done.payload.pop("stackTrace")
    request = done.log.split()[2]
    assert done.payload == {"errorMessage": "'gone'", "errorType": "KeyError", "requestId": request}
    assert len(trace) == 2
    assert "in lambda_handler\n    return inner(event)\n" in trace[0]
    assert "in inner\n    raise KeyError(event)\n" in trace[1]
    assert "[ERROR] KeyError: 'gone'\nTraceback (most recent call last):\n" in done.log
    assert f"\t{request}\tasked for gone" in done.log
    assert "[INFO]\t" in done.log


def test_an_answer_that_is_no_json_is_a_marshal_error(functions: Functions, failing: str) -> None:
    done = functions.invoke("failing", "set")
    assert done.payload["errorType"] == "Runtime.MarshalError"
    assert (
        done.payload["errorMessage"]
        == "Unable to marshal response: Object of type set is not JSON serializable"
    )
    assert functions.invoke("failing", "decimal").payload == 1.5


def test_an_answer_that_is_too_large_is_an_error(functions: Functions, failing: str) -> None:
    assert functions.invoke("failing", "large").payload["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_process_that_exits_is_told_of_and_replaced(functions: Functions, failing: str) -> None:
    done = functions.invoke("failing", "exit")
    assert done.error == "Unhandled"
    assert done.payload["errorType"] == "Runtime.ExitError"
    assert done.payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    quiet = functions.invoke("failing", "quiet exit").payload
    assert quiet["errorMessage"].endswith("Error: Runtime exited without providing a reason")
    assert functions.invoke("failing", "decimal").payload == 1.5


BROKEN = {
    "no module": (
        "missing.handler",
        {},
        "Runtime.ImportModuleError",
        "Unable to import module 'missing': No module",
    ),
    "no package": (
        "m.handler",
        {"m.py": "import nowhere_at_all"},
        "Runtime.ImportModuleError",
        "Unable to import module 'm': No module named 'nowhere_at_all'",
    ),
    "no function": (
        "m.handler",
        {"m.py": "x = 1"},
        "Runtime.HandlerNotFound",
        "Handler 'handler' missing on module 'm'",
    ),
    "no Python": (
        "m.handler",
        {"m.py": "def f(:"},
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'm': ",
    ),
    "no dot": ("handler", {}, "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
    "raises": ("m.handler", {"m.py": "raise ValueError('at once')"}, "ValueError", "at once"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_handler_that_cannot_be_loaded_says_why(functions: Functions, case: str) -> None:
    handler, files, kind, text = BROKEN[case]
    name = f"broken-{case.replace(' ', '-')}"
    functions.deploy(name, {"readme.txt": "", **files}, Handler=handler)
    done = functions.invoke(name)
    assert done.error == "Unhandled"
    assert done.payload["errorType"] == kind
    assert done.payload["errorMessage"].startswith(text)
    assert isinstance(done.payload["stackTrace"], list)
    assert (
        f"[ERROR] {kind}: {text}"
        in (functions.home / f"functions/logs/000000000000/us-east-1/{name}/current.log").read_text()
    )


def test_a_layer_is_a_directory_on_the_path(
    functions: Functions, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layer = tmp_path_factory.mktemp("layer")
    (layer / "shared_things.py").write_text("ANSWER = 42\n")
    code = "import shared_things\ndef lambda_handler(event, context):\n    return shared_things.ANSWER\n"
    functions.deploy("layered", code, Environment={"Variables": {"PYTHONPATH": str(layer)}})
    assert functions.invoke("layered").payload == 42


def test_the_code_wins_over_what_the_interpreter_has(functions: Functions) -> None:
    files = {
        "nextpick.py": "NAME = 'their own'\n",
        "pkg/handlers.py": "import nextpick\ndef run(event, context):\n    return [nextpick.NAME, __name__]\n",
    }
    functions.deploy("own", files, Handler="pkg/handlers.run")
    assert functions.invoke("own").payload == ["their own", "pkg.handlers"]


def test_what_was_printed_before_the_next_invocation_is_in_the_log_alone(functions: Functions) -> None:
    functions.deploy(
        "loud", "print('at load')\ndef lambda_handler(event, context):\n    print('x' * 10_000)\n    return 1"
    )
    first = functions.invoke("loud").log
    assert "at load" not in first
    assert len(first) <= 4096
    assert first.rstrip().splitlines()[-1].startswith("REPORT")
    text = (functions.home / "functions/logs/000000000000/us-east-1/loud/current.log").read_text()
    assert "at load" in text
    assert "x" * 10_000 in text


def test_the_interpreter_is_the_servers(functions: Functions) -> None:
    code = "import sys, boto3, numpy\ndef lambda_handler(event, context):\n    return [sys.version, numpy.__version__]"
    functions.deploy("same", code, MemorySize=512)
    import numpy

    assert functions.invoke("same").payload == [sys.version, numpy.__version__]

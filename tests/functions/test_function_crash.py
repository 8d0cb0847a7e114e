"""kill -9 of whatever takes part: nothing acknowledged is lost, nothing is left running."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from botocore.exceptions import ClientError
from functions_world import ROLE, Functions, archive, until
from typer.testing import CliRunner

from hooks import Post
from nextpick.cli.main import app
from nextpick.functions.registry import Function, Registry
from served import Server, children_of, command_of, is_running

CODE = """
import os, time

def lambda_handler(event, context):
    if "folder" in event:
        open(f"{event['folder']}/{event['n']}.{os.getpid()}", "w").close()
        while not os.path.exists(event["go"]):
            time.sleep(0.01)
        open(f"{event['folder']}/{event['n']}.done", "w").close()
    if "spin" in event:
        open(event["spin"], "w").close()
        while True:
            pass
    return os.getpid()
"""


class Served(Functions):
    """Functions of a server in processes of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        super().__init__(server)
        self.deploy("work", CODE)

    def start_again(self) -> None:
        """Start the server again, at another address."""
        self.server.start()
        super().__init__(self.server)

    def automation(self) -> int:
        """Return the pid of the process that owns the functions' processes."""
        found = [pid for pid in children_of(self.server.pid) if "nextpick.automation" in command_of(pid)]
        return found[0] if found else 0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("crash") / "home"
    server = Server(home, workers=1, NEXTPICK_FUNCTION_RETRY_S="0.1").start()
    yield Served(server)
    if server.is_running:
        server.stop()


def test_events_outlive_a_kill_of_what_runs_them(served: Served, tmp_path: Path) -> None:
    folder, go = tmp_path / "folder", tmp_path / "go"
    folder.mkdir()
    for n in range(5):
        served.send("work", {"folder": str(folder), "n": n, "go": str(go)})
    until(lambda: len(list(folder.iterdir())) >= 2)
    running = [int(path.suffix[1:]) for path in folder.iterdir()]
    first = served.automation()
    os.kill(first, signal.SIGKILL)
    until(lambda: not any(is_running(pid) for pid in running))
    go.touch()
    until(lambda: len(list(folder.glob("*.done"))) == 5)
    assert served.automation() not in (0, first)
    assert isinstance(served.invoke("work", {}).payload, int)


def test_an_event_whose_process_is_killed_is_run_again(served: Served, tmp_path: Path) -> None:
    served.send("work", {"folder": str(tmp_path), "n": 0, "go": str(tmp_path / "go")})
    (begun,) = until(lambda: list(tmp_path.glob("0.*")))
    os.kill(int(begun.suffix[1:]), signal.SIGKILL)
    (tmp_path / "go").touch()
    until((tmp_path / "0.done").exists)


def test_nothing_outlives_a_kill_of_the_server_and_events_go_on(served: Served, tmp_path: Path) -> None:
    idle = served.invoke("work", {}).payload
    served.send("work", {"spin": str(tmp_path / "spins")})
    folder = tmp_path / "folder"
    folder.mkdir()
    served.send("work", {"folder": str(folder), "n": 0, "go": str(tmp_path / "go")})
    until(lambda: (tmp_path / "spins").exists() and list(folder.iterdir()))
    processes = children_of(served.automation())
    assert idle in processes
    assert len(processes) >= 2
    served.server.kill()
    until(lambda: not any(is_running(pid) for pid in processes))
    (tmp_path / "go").touch()
    served.start_again()
    until((folder / "0.done").exists)


def test_a_call_that_waits_is_told_that_it_was_interrupted(served: Served, tmp_path: Path) -> None:
    told: list[ClientError] = []

    def call() -> None:
        try:
            served.invoke("work", {"spin": str(tmp_path / "spins")})
        except ClientError as error:
            told.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    until((tmp_path / "spins").exists)
    os.kill(served.automation(), signal.SIGKILL)
    thread.join()
    assert told[0].response["Error"]["Code"] == "ServiceException"
    assert isinstance(served.invoke("work", {}).payload, int)


def test_a_step_whose_function_was_killed_is_not_run_again(served: Served, tmp_path: Path) -> None:
    states = served.server.client("stepfunctions")
    given = {"folder": str(tmp_path), "n": 0, "go": str(tmp_path / "go")}
    call = {"Type": "Task", "Resource": served.client.get_function(FunctionName="work")["Configuration"]["FunctionArn"],
            "End": True}  # fmt: skip
    definition = json.dumps({"StartAt": "Call", "States": {"Call": call}})
    machine = states.create_state_machine(name="work", definition=definition, roleArn=ROLE)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
    until(lambda: list(tmp_path.glob("0.*")))
    os.kill(served.automation(), signal.SIGKILL)
    (tmp_path / "go").touch()
    ended = until(
        lambda: (found := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and found
    )
    assert (ended["status"], ended["error"]) == ("FAILED", "Lambda.Unknown")
    assert len(list(tmp_path.glob("0.[0-9]*"))) == 1


def test_a_notification_that_was_not_taken_outlives_a_kill(served: Served) -> None:
    hook = Post()
    hook.status = 500
    words = ["notify", "add", "hook", "--webhook", hook.url, "--home", str(served.home)]
    assert CliRunner().invoke(app, words).exit_code == 0
    served.server.personalize.create_dataset_group(name="told")
    try:
        until(lambda: hook.got)
        first = hook.bodies[0]["id"]
        os.kill(served.automation(), signal.SIGKILL)
        hook.status, before = 200, len(hook.got)
        until(lambda: first in {body["id"] for body in hook.bodies[before:]})
    finally:
        hook.close()


def test_a_publication_that_was_killed_has_published_nothing(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    with registry.changing():
        function = registry.put(msgspec.convert({**BARE, "handler": "old.f"}, Function))
    pid = os.fork()
    if pid == 0:
        registry.put = lambda function: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        with registry.changing():
            registry.publish(function, "")
    os.waitpid(pid, 0)
    fresh = Registry(tmp_path)
    assert fresh.version(function, "1") is None
    assert fresh.versions(function) == []
    with fresh.changing():
        made, version = fresh.publish(msgspec.structs.replace(function, handler="new.f"), "")
    assert (made.published, version.version, version.handler) == (1, "1", "new.f")
    assert fresh.version(made, "1") == version


BARE = {
    **dict.fromkeys(
        ("account", "region", "name", "runtime", "role", "description", "code", "code_sha256"), "x"
    ),
    **dict.fromkeys(("timeout_s", "memory_mb", "code_size", "changed_at"), 1),
    "environment": {},
    "layers": [],
    "revision": "",
}


def test_a_deployment_that_was_killed_has_changed_nothing(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    with registry.changing():
        made, sha256, size = registry.unpack(archive({"a.py": "old"}))
        function = registry.put(
            Function(
                "0" * 12,
                "us-east-1",
                "f",
                "python3.11",
                "a.b",
                "",
                3,
                128,
                "",
                {},
                [],
                made,
                sha256,
                size,
                0.0,
                "",
            )
        )
    pid = os.fork()
    if pid == 0:
        with registry.changing():
            registry.unpack(archive({"a.py": "new"}))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    fresh = Registry(tmp_path)
    assert fresh.get("0" * 12, "us-east-1", "f") == function
    assert (fresh.code_dir(function) / "a.py").read_text() == "old"
    assert len(list((tmp_path / "functions" / "code").iterdir())) == 2
    fresh.sweep(())
    assert [path.name for path in (tmp_path / "functions" / "code").iterdir()] == [made]

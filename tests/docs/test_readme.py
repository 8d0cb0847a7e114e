"""The README's first ten minutes, run as they are printed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextpick.testing.server import ServerProcess

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the README's code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("readme") / "home"
    server = ServerProcess(
        path, NEXTPICK_DESCRIBE_WAIT_S="50"
    )  # a busy machine trains for longer than the 10 s
    server.start()
    yield server.home
    server.stop()


def sh(script: str, home: Path, **environ: str) -> subprocess.CompletedProcess:
    """Run a script as a user's shell would, with this environment's commands first."""
    commands = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PATH": commands, "HOME": str(home.parent), "NEXTPICK_HOME": str(home), "AWS_PAGER": "", **environ}
    return subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=home.parent,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_shell_and_python_blocks_run(home: Path) -> None:
    set_up, command_line, permissions = blocks("sh")
    with_boto3, as_library = blocks("python")
    done = sh(set_up + command_line, home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"ACTIVE"') == 3
    assert done.stdout.count('"itemId"') == 10
    done = sh(set_up + permissions, home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"EvalDecision": "implicitDeny"' in done.stdout
    assert "importer has no policies" in done.stdout
    done = sh(f'{set_up}\npython - <<"END"\n{with_boto3}\nEND\n', home)
    assert done.returncode == 0, done.stdout + done.stderr
    before, after = (line for line in done.stdout.splitlines() if line.startswith("[{"))
    assert before.count("itemId") == after.count("itemId") == 5
    assert before != after
    done = sh(f'python - <<"END"\n{as_library}\nEND\n', home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recipeArn" in done.stdout


def test_every_make_target_the_pages_name_exists() -> None:
    root = Path(__file__).parents[2]
    known = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    pages = [root / "README.md", root / "CONTRIBUTING.md", *root.glob("docs/*.md"), *root.glob("bench/*.md")]
    named = {name for page in pages for name in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named
    assert named <= known

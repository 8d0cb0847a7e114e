"""The demo ends with 0 and shows what it promises; a failing one says why and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from served import is_running


def demo(tmp_path: Path, *options: str, **environ: str) -> subprocess.CompletedProcess:
    """Run the demo with a temporary directory of its own."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NEXTPICK_", "AWS_"))}
    env |= {"TMPDIR": str(tmp_path), "MOVIELENS": "", "NEXTPICK_DATA": str(tmp_path / "none"), **environ}
    return subprocess.run(
        [sys.executable, "-m", "nextpick", "demo", *options],
        env=env, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_the_bookshop_is_recommended_from_before_and_after_clicks(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bookshop: 60,000 interactions, 1,500 items, 2,000 users" in done.stdout
    assert done.stdout.count(" s  ") >= 10
    assert done.stdout.count(" new ") >= 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_movielens_is_said_so(tmp_path: Path) -> None:
    done = demo(tmp_path, MOVIELENS=str(tmp_path))
    assert done.returncode == 1
    assert f"MOVIELENS={tmp_path} has no u.data in it." in done.stdout.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_movielens_is_shown_where_it_is_and_with_stay_the_server_goes_on(
    tmp_path: Path, data_dir: Path
) -> None:
    folder = data_dir / "ml-100k"
    is_here = (folder / "u.data").exists()
    done = demo(tmp_path, "--stay", MOVIELENS=str(folder) if is_here else "")
    assert done.returncode == 0, done.stdout + done.stderr
    shown = "movielens: 100,000 interactions, 1,682 items, 943 users" if is_here else "bookshop: 60,000"
    assert shown in done.stdout
    (pid,) = re.findall(r"kill (\d+)", done.stdout)
    (url,) = re.findall(r'curl "([^"]+)"', done.stdout)
    answer = urllib.request.urlopen(url).read().decode()
    os.kill(int(pid), signal.SIGTERM)
    deadline = time.monotonic() + 20
    while is_running(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer.count('"itemId"') == 25

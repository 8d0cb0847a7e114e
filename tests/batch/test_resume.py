"""A batch job whose process is killed goes on where it was."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nextpick.data.run import Run
from nextpick.jobs import lines
from nextpick.store.readable import Object
from served import Server, wait_for_job_process
from worlds import ROLE, Shop, checkerboard

LINES = 200_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    served = Server(tmp_path / "home")
    served.start()
    yield served
    served.stop()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")
def test_after_kill_9_no_line_is_lost_and_none_is_answered_twice(server: Server) -> None:
    shop = Shop(server)
    shop.imported(shop.start_import("j", checkerboard()))
    version = shop.train(shop.solution())
    shop.trained(version)
    (server.home / "buckets" / "out").mkdir()
    text = "".join(f'{{"userId":"u{i}"}}\n' for i in range(LINES))
    arn = server.personalize.create_batch_inference_job(
        jobName="b",
        solutionVersionArn=version,
        roleArn=ROLE,
        jobInput={"s3DataSource": {"path": server.put_object("in", "users.json", text)}},
        jobOutput={"s3DataDestination": {"path": "s3://out/"}},
    )["batchInferenceJobArn"]
    work = server.home / "blobs" / "batches"
    deadline = time.monotonic() + 30
    while not list(work.glob("*/progress.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(wait_for_job_process(server.pid), signal.SIGKILL)
    done = server.settle(lambda: server.personalize.describe_batch_inference_job(batchInferenceJobArn=arn))
    assert done["status"] == "ACTIVE", done
    assert server.nextpick.describe_job(resourceArn=arn)["job"]["attempts"] == 2
    written = (server.home / "buckets" / "out" / "users.json.out").read_text().splitlines()
    assert [json.loads(line)["input"]["userId"] for line in written] == [f"u{i}" for i in range(LINES)]


class Cut(Exception):
    """The process ends here."""


@pytest.mark.parametrize("saved", [True, False])
def test_work_cut_off_anywhere_ends_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: bool
) -> None:
    monkeypatch.setattr(lines, "_SAVE_EVERY_S", 0.0 if saved else 1e9)
    rng = np.random.default_rng(3)
    inputs = [tmp_path / name for name in ("a", "b")]
    for path in inputs:
        path.write_bytes(b"".join(b"%d\n" % i for i in range(2000)))
    objects = [Object(p.name, p.stat().st_size, lambda p=p: p.open("rb")) for p in inputs]
    run, left = Run(lambda done, stage: None, lambda: False, rng), 0

    def answer(line: bytes) -> tuple[bytes, bool]:
        nonlocal left
        left -= 1
        if left == 0:
            raise Cut
        return b"=" + line, True

    work = tmp_path / "work"
    for _ in range(1000):
        left = int(rng.integers(1, 4500))
        try:
            with lines.held(work):
                done = lines.answer_all(objects, work, answer, run)
        except Cut:
            continue
        break
    assert (done.lines, done.bad, done.done) == (4000, 0, 2)
    for number in range(2):
        assert lines.out_file(work, number).read_bytes() == b"".join(b"=%d\n" % i for i in range(2000))

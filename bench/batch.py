"""Batch inference: users a second and memory, beside scoring alone.

``python bench/batch.py [--items N] [--users N]``. Made data of MovieLens 25M's width, 25 results
for each user; the floor is the model's own ``score`` and ``top_k``, without reading, filtering or writing.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

from filters import campaign, dataset, write
from nextpick.models.topk import top_k
from nextpick.recipes.interface import Query
from nextpick.serving.versions import load
from serve import ROLE, Server, only, pss_mb, tree, until


def floor(directory: Path, n: int) -> float:
    """Return users a second of scoring and choosing alone."""
    version = load(directory)
    interactions = version.data.interactions
    users = min(n, len(interactions.offsets) - 1)
    started = time.perf_counter()
    for user in range(users):
        own = slice(interactions.offsets[user], interactions.offsets[user + 1])
        top_k(version.module.score(version.state, [Query(user, interactions.item[own])])[0], 25)
    return users / (time.perf_counter() - started)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=62_000)
    parser.add_argument("--users", type=int, default=162_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory) / "home")
        write(server.home, options.items, options.users)
        server.start()
        try:
            personalize = server.client("personalize")
            group = personalize.create_dataset_group(name="bench")["datasetGroupArn"]
            for kind in ("Interactions", "Items"):
                dataset(personalize, group, kind)
            arn = campaign(personalize, group)
            version = personalize.describe_campaign(campaignArn=arn)["campaign"]["solutionVersionArn"]
            lines = "".join(f'{{"userId":"u{user}"}}\n' for user in range(options.users))
            (server.home / "buckets" / "bench" / "users.json").write_text(lines)
            peak, ended = [0.0], threading.Event()

            def watch() -> None:
                while not ended.wait(0.2):
                    peak[0] = max([peak[0], *(memory(pid) for pid in tree(server.pid))])

            watcher = threading.Thread(target=watch)
            watcher.start()
            started = time.perf_counter()
            job = personalize.create_batch_inference_job(
                jobName="bench",
                solutionVersionArn=version,
                roleArn=ROLE,
                jobInput={"s3DataSource": {"path": "s3://bench/users.json"}},
                jobOutput={"s3DataDestination": {"path": "s3://bench/out/"}},
            )
            until(
                lambda: personalize.describe_batch_inference_job(**only(job, "batchInferenceJobArn")),
                "batchInferenceJob",
            )
            took = time.perf_counter() - started
            ended.set()
            watcher.join()
            out = (server.home / "buckets" / "bench" / "out" / "users.json.out").read_text().splitlines()
            assert len(out) == options.users
            assert len(json.loads(out[-1])["output"]["recommendedItems"]) == 25
            alone = floor(next((server.home / "blobs" / "versions").iterdir()), 20_000)
            rate = options.users / took
            print(
                f"{options.users} users of {options.items} items: {took:.1f} s, {rate:.0f} users/s; scoring alone "
                f"{alone:.0f}, ratio {rate / alone:.2f}; largest process {peak[0]:.0f} MB"
            )
        finally:
            server.stop()


def memory(pid: int) -> float:
    """Return a process's share of memory, 0 when it has ended."""
    try:
        return pss_mb(pid)
    except (OSError, StopIteration):
        return 0.0


if __name__ == "__main__":
    main()

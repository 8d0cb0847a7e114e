"""Training as data grows: seconds, CPU seconds and peak memory of a recipe's fit, in a process each.

``python bench/train.py [--recipe NAME] [SIZE ...]``; SIZE as ``INTERACTIONSxITEMS``. Made data: users
of 62 interactions in the mean, Zipf popularity, runs of neighbouring items, so that there is something to
learn and pairs are many.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from nextpick.data.dataset import Data, Entities, Interactions
from nextpick.data.run import Run
from nextpick.data.vocabulary import Vocabulary
from nextpick.recipes import catalogue

SIZES = ("100000x2000", "1000000x3400", "5000000x20000", "25000000x70000", "25000000x1000000")
USER_LENGTH = 62


def made(n: int, n_items: int) -> Data:
    """Return ``n`` interactions."""
    rng = np.random.default_rng(0)
    lengths = np.maximum(rng.geometric(1 / USER_LENGTH, n // USER_LENGTH + 1), 2)
    offsets = np.minimum(np.concatenate(([0], np.cumsum(lengths))), n)
    offsets[-1] = n
    offsets = np.unique(offsets).astype(np.int64)
    share = 1 / np.arange(1, n_items + 1)
    item = (
        np.searchsorted(np.cumsum(share / share.sum()), rng.random(n)).clip(0, n_items - 1).astype(np.int32)
    )
    follows = np.flatnonzero(rng.random(n - 1) < 0.3) + 1
    item[follows] = (item[follows - 1] + rng.integers(1, 20, len(follows))) % n_items
    when = 1_600_000_000 + np.sort(rng.integers(0, 3 * 365 * 86_400, n))
    blank = np.full(n, -1, np.int16), np.full(n, np.nan, np.float32)
    items, users = (Vocabulary.build([str(i) for i in range(k)]) for k in (n_items, len(offsets) - 1))
    return Data(
        Interactions(offsets, item, when, *blank, ()),
        Entities(items, (), np.zeros(n_items, np.int64)),
        Entities(users, (), np.zeros(len(offsets) - 1, np.int64)),
        int(when.max()),
    )


def measure(name: str, size: str) -> dict[str, float]:
    """Fit once and return the figures; what is compiled is compiled before."""
    info = catalogue.find(name)
    assert info is not None
    recipe = catalogue.load(info)
    n, _, items = size.partition("x")
    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    recipe.fit(made(20_000, 500), recipe.Params(), run)
    data = made(int(n), int(items or 3400))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started, cpu = time.perf_counter(), time.process_time()
    recipe.fit(data, recipe.Params(), run)
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "data_mb": before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", nargs="*", default=SIZES)
    parser.add_argument("--recipe", default="aws-user-personalization")
    parser.add_argument("--one", action="store_true", help="fit here, once")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.recipe, given.sizes[0])))
        return
    print(f"{'interactions x items':>24}  {'fit s':>8}  {'CPU s':>8}  {'peak MB':>8}  (making the data)")
    for size in given.sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--recipe", given.recipe, "--one", size],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout)
        print(
            f"{size:>24}  {found['seconds']:8.1f}  {found['cpu_seconds']:8.1f}  {found['peak_mb']:8.0f}  "
            f"({found['data_mb']:.0f} MB)",
            flush=True,
        )


if __name__ == "__main__":
    main()

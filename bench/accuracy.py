"""Next-item accuracy: the recipes, what is published, and other libraries, in one run.

``python bench/accuracy.py [--validation] [--data NAME ...] [--models NAME ...]``. Leave-one-out: each user's last item
is the truth (with ``--validation`` the one before it, for tuning), ranked over the full catalogue without the user's
own history; ties go against us. Data sets in NEXTPICK_DATA, in order only: a minute between two items stands for a
clock. HR@10 and NDCG@10 with 95 % intervals by resampling users. Each model runs in a process of its own; implicit and
RecTools in ``.venv-peers``, which ``make bench-accuracy`` makes. What is published was measured by others with code of
their own.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from nextpick.models.threads import n_threads
from sets import DATA, DATASETS, sequences

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
OURS = tuple(
    f"nextpick:{name}"
    for name in ("aws-popularity-count", "aws-user-personalization", "aws-user-personalization-v2")
)
OTHERS = ("implicit:als", "implicit:cosine", "implicit:tfidf", "rectools:itemknn", "rectools:ease")
RESAMPLES = 1000
# HR@10, NDCG@10 as told by: gSASRec-pytorch's README; the eSASRec repository; papers.
PUBLISHED = {
    "ml-1m": {
        "SASRec, BCE, 1 negative (gSASRec-pytorch)": (0.239, 0.126),
        "SASRec, sampled softmax (eSASRec)": (0.293, 0.168),
        "gSASRec, 256 negatives (gSASRec-pytorch)": (0.300, 0.173),
        "eSASRec": (0.313, 0.177),
        "FuXi-alpha (eSASRec)": (0.316, 0.181),
        "SASRec + 3000 negatives (Turning Dross into Gold Loss)": (0.316, 0.186),
    },
    "amazon-beauty": {
        "SASRec, as often reported": (0.061, 0.032),
        "S3-Rec": (0.065, 0.033),
        "TIGER": (0.065, 0.038),
        "ICLRec": (0.074, 0.040),
        "eSASRec": (0.093, 0.052),
        "SASRec + sampled softmax (eSASRec)": (0.092, 0.053),
    },
}


def told(name: str, ranks: np.ndarray, found: "np.lib.npyio.NpzFile") -> str:
    """Return a model's line."""
    hits = ranks < 10
    gains = hits / np.log2(ranks + 2)
    users = np.random.default_rng(0).integers(0, len(ranks), (RESAMPLES, len(ranks)))
    low, high = np.percentile(gains[users].mean(axis=1), (2.5, 97.5))
    return (
        f"  {name:38} {hits.mean():.4f}  {gains.mean():.4f} [{low:.4f}, {high:.4f}]  {found['seconds']:8.1f} "
        f"{found['cpu_seconds']:8.1f}  {found['peak_mb']:7.0f}  {found['users_per_s']:8.0f}  {found['cpu_us']:7.0f}"
    )


def run(name: str, task: Path, out: Path) -> str:
    """Return the line of a model that is fitted and measured in a process of its own."""
    python = sys.executable if name.startswith("nextpick:") else str(PEERS)
    if not Path(python).exists():
        return f"  {name:38} is not here: make bench-accuracy makes .venv-peers"
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"} if name.startswith("implicit:") else dict(os.environ)
    done = subprocess.run(
        [python, str(HERE / "contender.py"), name, str(task), str(out)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    if done.returncode:
        return f"  {name:38} failed: {done.stderr.strip().splitlines()[-1]}"
    found = np.load(out)
    return told(name, found["rank"], found)


def machine() -> str:
    """Return in words what our fits run on."""
    gpu = ""
    if importlib.util.find_spec("torch") is not None:
        import torch

        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return f"{n_threads()} threads, {gpu or 'no GPU'}"


def main() -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--data", nargs="+", default=DATASETS)
    parser.add_argument("--models", nargs="+", default=[*OURS, *OTHERS])
    given = parser.parse_args()
    held_out = 2 if given.validation else 1
    print(f"Next-item accuracy on {machine()}")
    for name in given.data:
        if not (DATA / name).is_dir():
            print(f"{name}: not in {DATA}")
            continue
        users = [items for items in sequences(name) if len(items) > held_out]
        histories = [items[:-held_out] for items in users]
        n_items = int(max(items.max() for items in users)) + 1
        print(f"{name}: {len(users):,} users, {n_items:,} items, {sum(map(len, histories)):,} interactions")
        print(
            f"  {'':38} HR@10   NDCG@10 [95 %]             fit s    CPU s  peak MB   users/s   us/user",
            flush=True,
        )
        for label, (hr, ndcg) in PUBLISHED.get(name, {}).items():
            print(f"  {label:38.38} {hr:.3f}   {ndcg:.3f}   published")
        with tempfile.TemporaryDirectory() as scratch:
            task = Path(scratch) / "task.npz"
            np.savez(
                task,
                offsets=np.concatenate(([0], np.cumsum([len(h) for h in histories]))).astype(np.int64),
                item=np.concatenate(histories),
                truth=np.array([items[-held_out] for items in users]),
                n_items=n_items,
            )
            for model in given.models:
                print(run(model, task, Path(scratch) / "found.npz"), flush=True)


if __name__ == "__main__":
    main()

"""Next-item quality of the recipes, beside decayed transitions alone on the same split.

``python bench/quality.py [--validation]``. Leave-one-out: each user's last item is the truth (with
``--validation`` the one before it, for tuning), ranked over the full catalogue without the user's own history;
ties go against the truth. Data: MovieLens 1M, Amazon Beauty, MovieLens 100K in NEXTPICK_DATA; order only, no
clock. HR@10 and NDCG@10.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from nextpick.data.dataset import Data, Entities, Interactions
from nextpick.data.run import Run
from nextpick.data.vocabulary import Vocabulary
from nextpick.recipes import catalogue
from nextpick.recipes.interface import Query

DATA = Path(os.environ.get("NEXTPICK_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
DATASETS = ("ml-1m", "amazon-beauty", "ml-100k")
RECIPES = ("aws-popularity-count", "aws-user-personalization", "aws-user-personalization-v2")
WINDOW, STEP_DECAY, HISTORY_DECAY = 10, 0.85, 0.7

Score = Callable[[int, np.ndarray], np.ndarray]


def sequences(name: str) -> list[np.ndarray]:
    """Return each user's items as rows of the catalogue, oldest first."""
    if name == "ml-100k":
        table = np.loadtxt(DATA / name / "u.data", dtype=np.int64)
        table = table[np.lexsort((np.arange(len(table)), table[:, 3], table[:, 0]))]
        raw = np.split(table[:, 1], np.flatnonzero(np.diff(table[:, 0])) + 1)
    else:
        with (DATA / name / "sequences.txt").open() as file:
            raw = [np.array(line.split()[1:], np.int64) for line in file]
    ids = np.unique(np.concatenate(raw))
    return [np.searchsorted(ids, items).astype(np.int32) for items in raw]


def as_data(histories: list[np.ndarray], n_items: int) -> Data:
    """Return histories as a training sees them, a minute between two items."""
    offsets = np.concatenate(([0], np.cumsum([len(h) for h in histories]))).astype(np.int64)
    item = np.concatenate(histories)
    when = 1_500_000_000 + 60 * np.concatenate([np.arange(len(h)) for h in histories])
    n = len(item)
    interactions = Interactions(
        offsets, item, when, np.full(n, -1, np.int16), np.full(n, np.nan, np.float32), ()
    )
    items, users = (Vocabulary.build([str(i) for i in range(k)]) for k in (n_items, len(histories)))
    return Data(
        interactions,
        Entities(items, (), np.zeros(n_items, np.int64)),
        Entities(users, (), np.zeros(len(histories), np.int64)),
        int(when.max()),
    )


def fit_recipe(name: str, data: Data) -> Score:
    """Return the scores of a recipe fitted on the data."""
    info = catalogue.find(name)
    assert info is not None
    module = catalogue.load(info)
    run = Run(lambda fraction, stage: None, lambda: False, np.random.default_rng(0))
    state = module.fit(data, module.Params(), run)
    return lambda user, history: module.score(state, [Query(user, history)])[0]


def fit_transitions(data: Data) -> Score:
    """Return decayed item-to-item transitions alone: counted with scipy, rows normalised, nothing cut off."""
    offsets, item, _, _, _, _ = data.interactions
    n_items = len(data.items.ids)
    last = np.repeat(offsets[1:], np.diff(offsets))
    counts = sp.csr_matrix((n_items, n_items), dtype=np.float32)
    for gap in range(1, WINDOW + 1):
        source = np.flatnonzero(np.arange(len(item)) + gap < last)
        weights = np.full(len(source), STEP_DECAY ** (gap - 1), np.float32)
        counts += sp.csr_matrix((weights, (item[source], item[source + gap])), (n_items, n_items))
    rows = sp.diags(1 / np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1e-9)) @ counts
    rows = sp.csr_matrix(rows)

    def score(user: int, history: np.ndarray) -> np.ndarray:
        newest = history[::-1][:30]
        return (HISTORY_DECAY ** np.arange(len(newest))) @ rows[newest]

    return score


def evaluate(score: Score, histories: list[np.ndarray], truths: list[int]) -> tuple[float, float, float]:
    """Return HR@10, NDCG@10 and microseconds a user."""
    ranks = np.empty(len(truths))
    started = time.perf_counter()
    for user, (history, truth) in enumerate(zip(histories, truths, strict=True)):
        scores = np.array(score(user, history), np.float64)
        own = scores[truth]
        scores[history] = -np.inf
        scores[truth] = -np.inf
        ranks[user] = np.count_nonzero(scores >= own)
    spent = (time.perf_counter() - started) / len(truths) * 1e6
    hit = ranks < 10
    return hit.mean(), (hit / np.log2(ranks + 2)).mean(), spent


def main() -> None:
    """Print a table for each dataset."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--validation", action="store_true")
    held_out = 2 if parser.parse_args().validation else 1
    for name in DATASETS:
        if not (DATA / name).is_dir():
            print(f"{name}: not in {DATA}")
            continue
        users = sequences(name)
        n_items = int(max(items.max() for items in users)) + 1
        histories = [items[:-held_out] for items in users]
        truths = [int(items[-held_out]) for items in users]
        data = as_data(histories, n_items)
        print(f"{name}: {len(users):,} users, {n_items:,} items, {sum(map(len, histories)):,} interactions")
        fits: dict[str, Callable[[], Score]] = {
            "decayed transitions alone": lambda data=data: fit_transitions(data)
        }
        fits |= {recipe: lambda recipe=recipe, data=data: fit_recipe(recipe, data) for recipe in RECIPES}
        floor = 0.0
        for label, fit in fits.items():
            fit()  # compiles
            started = time.perf_counter()
            score = fit()
            fitting = time.perf_counter() - started
            hr, ndcg, spent = evaluate(score, histories, truths)
            floor = floor or ndcg
            print(
                f"  {label:30} HR@10 {hr:.4f}  NDCG@10 {ndcg:.4f}  ratio {ndcg / floor:5.2f}  "
                f"fit {fitting:6.2f} s  {spent:6.0f} us/user",
                flush=True,
            )


if __name__ == "__main__":
    main()

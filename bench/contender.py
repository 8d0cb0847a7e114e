"""One model on one data set, in a process and an environment of its own: ``contender.py NAME IN.npz OUT.npz``.

IN: ``offsets`` and ``item``, users' histories; ``truth``, the item that each takes next; ``n_items``. OUT: ``rank`` of
the truth in the whole catalogue without the user's own history, 10 for anything beyond the first ten and for a truth
of that history, which nobody can name; seconds and CPU seconds of the fit, users ranked a second, microseconds of CPU a
user, megabytes at the peak. What is not of nextpick runs with its library's own ranking, its ties as they come.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np

TOP = 10
Rank = Callable[[], np.ndarray]


class Task:
    """The data of IN."""

    def __init__(self, path: str) -> None:
        given = np.load(path)
        self.offsets, self.item, self.truth = given["offsets"], given["item"], given["truth"]
        self.n_items = int(given["n_items"])
        self.histories = [self.item[a:b] for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]

    def places(self, recommended: np.ndarray) -> np.ndarray:
        """Return the rank of each truth among the items recommended, int [users, 10], best first."""
        hits = recommended == self.truth[:, None]
        return np.where(hits.any(axis=1), hits.argmax(axis=1), TOP)


def nextpick(name: str) -> Callable[[Task], Rank]:
    """Return a recipe; ties go against it. Its code is compiled before the clock starts."""

    def fit(task: Task) -> Rank:
        from nextpick.data.run import Run
        from nextpick.models.rows import read_only
        from nextpick.recipes import catalogue
        from nextpick.recipes.interface import Query
        from sets import as_data

        info = catalogue.find(name)
        assert info is not None
        module = catalogue.load(info)
        run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
        fitted = module.fit(as_data(task.histories, task.n_items), module.Params(), run)
        state = {key: read_only(array) for key, array in fitted.items()}
        queries = [Query(user, read_only(items)) for user, items in enumerate(task.histories)]

        def rank() -> np.ndarray:
            ranks = np.empty(len(queries), np.int64)
            for query, truth in zip(queries, task.truth.tolist(), strict=True):
                scores = module.score(state, [query])[0]
                own = scores[truth]
                scores[truth] = scores[query.items] = -np.inf
                ranks[query.user] = np.count_nonzero(scores >= own) if truth not in query.items else TOP
            return np.minimum(ranks, TOP)

        return rank

    return fit


def implicit(name: str) -> Callable[[Task], Rank]:
    """Return a model of the implicit library with its defaults."""

    def fit(task: Task) -> Rank:
        import scipy.sparse as sp
        from implicit.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import CosineRecommender, TFIDFRecommender

        made = {
            "als": lambda: AlternatingLeastSquares(factors=64, random_state=0),
            "cosine": lambda: CosineRecommender(K=200),
            "tfidf": lambda: TFIDFRecommender(K=200),
        }[name]()
        taken = np.ones(len(task.item), np.float32)
        seen = sp.csr_matrix((taken, task.item, task.offsets), (len(task.truth), task.n_items))
        seen.sum_duplicates()
        made.fit(seen, show_progress=False)
        users = np.arange(len(task.truth))
        return lambda: task.places(made.recommend(users, seen, N=TOP, filter_already_liked_items=True)[0])

    return fit


def rectools(name: str) -> Callable[[Task], Rank]:
    """Return a model of the RecTools library with its defaults."""

    def fit(task: Task) -> Rank:
        import pandas as pd
        from implicit.nearest_neighbours import TFIDFRecommender
        from rectools import Columns
        from rectools.dataset import Dataset
        from rectools.models import EASEModel, ImplicitItemKNNWrapperModel

        made = {
            "ease": lambda: EASEModel(regularization=400.0),
            "itemknn": lambda: ImplicitItemKNNWrapperModel(TFIDFRecommender(K=200)),
        }[name]()
        users = np.repeat(np.arange(len(task.truth)), np.diff(task.offsets))
        when = pd.Timestamp("2020-01-01") + pd.to_timedelta(
            np.concatenate([np.arange(len(h)) for h in task.histories]), "min"
        )
        table = pd.DataFrame(
            {Columns.User: users, Columns.Item: task.item, Columns.Weight: 1.0, Columns.Datetime: when}
        )
        dataset = Dataset.construct(table.drop_duplicates([Columns.User, Columns.Item]))
        made.fit(dataset)

        def rank() -> np.ndarray:
            found = made.recommend(np.arange(len(task.truth)), dataset, k=TOP, filter_viewed=True)
            recommended = np.full((len(task.truth), TOP), -1)
            recommended[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
            return task.places(recommended)

        return rank

    return fit


FAMILIES = {"nextpick": nextpick, "implicit": implicit, "rectools": rectools}


def main() -> None:
    """Fit, rank, write."""
    name, given, out = sys.argv[1:]
    family, _, model = name.partition(":")
    task = Task(given)
    fit = FAMILIES[family](model)
    if family == "nextpick":
        some = Task(given)
        some.histories, some.truth = some.histories[:200], some.truth[:200]
        fit(some)()
    started, cpu = time.perf_counter(), time.process_time()
    rank = fit(task)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    started, cpu = time.perf_counter(), time.process_time()
    ranks = rank()
    ranking, ranking_cpu = time.perf_counter() - started, time.process_time() - cpu
    np.savez(
        out,
        rank=ranks,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        users_per_s=len(ranks) / ranking,
        cpu_us=ranking_cpu / len(ranks) * 1e6,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


if __name__ == "__main__":
    main()

"""The recipes beside the default one, each on its own task beside the obvious baseline.

``python bench/recipes.py``. Data in NEXTPICK_DATA: MovieLens 100K with clock and metadata, MovieLens 1M and Amazon
Beauty in order only; actions are made. The last event of each user is the truth where the next item is asked for, the
newest 20 % where segments are; ties go against us. ± is the standard error; the last figures are what a recipe is
better by than the obvious baseline, user by user (of segments query by query), and the standard error of that.
"""

import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from films import column
from films import load as load_films
from nextpick.data.dataset import Data, Entities, Interactions
from nextpick.data.run import Run
from nextpick.data.split import holdout
from nextpick.data.vocabulary import Vocabulary
from nextpick.models import trend
from nextpick.models.topk import top_k
from nextpick.recipes import catalogue, segments
from nextpick.recipes.interface import Query
from sets import DATA, as_data, sequences

NEGATIVES, COLD_SHARE = 99, 0.1
Scores = Callable[[Query], np.ndarray]


def run() -> Run:
    return Run(lambda fraction, stage: None, lambda: False, np.random.default_rng(0))


def fitted(name: str, data: Data, **params: Any) -> Scores:
    """Return the scores of a recipe fitted on data."""
    info = catalogue.find(name)
    assert info is not None
    module = catalogue.load(info)
    state = module.fit(data, module.Params(**params), run())
    return lambda query: np.array(module.score(state, [query])[0], np.float64)


def popularity(data: Data) -> Scores:
    counts = np.bincount(data.interactions.item, minlength=len(data.items.ids)).astype(np.float64)
    return lambda query: counts.copy()


def told(
    label: str, values: np.ndarray, started: float | None = None, baseline: np.ndarray | None = None
) -> None:
    seconds = f"  {time.perf_counter() - started:6.1f} s" if started is not None else ""
    more = "" if baseline is None else f"  {_with_error(values - baseline, '+')}"
    print(f"  {label:42} {_with_error(values)}{seconds}{more}", flush=True)


def _with_error(values: np.ndarray, sign: str = "") -> str:
    return f"{values.mean():{sign}.4f} ± {values.std() / np.sqrt(max(len(values), 1)):.4f}"


def leave_one_out(name: str) -> tuple[Data, list[np.ndarray], np.ndarray]:
    users = [items for items in sequences(name) if len(items) > 1]
    data = as_data([items[:-1] for items in users], int(max(items.max() for items in users)) + 1)
    return data, [items[:-1] for items in users], np.array([items[-1] for items in users])


def gain(scores: np.ndarray, truth: int, among: np.ndarray | None = None) -> float:
    """Return the NDCG@10 of one truth; ties stand before it."""
    own = scores[truth]
    others = scores if among is None else scores[among]
    rank = np.count_nonzero(others >= own) - (among is None)
    return 1 / np.log2(rank + 2) if rank < 10 else 0.0


def related() -> None:
    """What follows an item, of those the user has not had."""
    for name in ("ml-100k", "ml-1m", "amazon-beauty"):
        data, histories, truths = leave_one_out(name)
        print(f"Related items, NDCG@10 of the next item, {name}: {len(truths):,} users")
        baseline: np.ndarray | None = None
        for label, fit in (
            ("popularity", popularity),
            ("cosine over users", cosine_over_users),
            ("aws-sims", partial(fitted, "aws-sims")),
            ("aws-similar-items", partial(fitted, "aws-similar-items")),
        ):
            started = time.perf_counter()
            score, found = fit(data), np.empty(len(truths))
            for user, (history, truth) in enumerate(zip(histories, truths, strict=True)):
                scores = score(Query(user, history, int(history[-1])))
                scores[np.setdiff1d(history, truth)] = -np.inf
                found[user] = gain(scores, int(truth))
            told(label, found, started, baseline if label.startswith("aws") else None)
            baseline = found if label == "cosine over users" else baseline


def cosine_over_users(data: Data) -> Scores:
    import scipy.sparse as sp

    offsets, item = data.interactions.offsets, data.interactions.item
    user = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    taken = sp.csr_matrix(
        (np.ones(len(item), np.float32), (user, item)), (len(offsets) - 1, len(data.items.ids))
    )
    taken.data[:] = 1
    norms = sp.diags(1 / np.sqrt(np.maximum(np.asarray(taken.sum(axis=0)).ravel(), 1)))
    likeness = sp.csr_matrix(norms @ (taken.T @ taken) @ norms)
    return lambda query: likeness[query.item].toarray().ravel().astype(np.float64)


def cold() -> None:
    """Items nobody has had yet: how many of their ten are among the twenty that their users, hidden, would say."""
    films = load_films(DATA / "ml-100k")
    rng = np.random.default_rng(0)
    counts = np.bincount(films.interactions.item, minlength=len(films.items.ids))
    hidden = rng.choice(np.flatnonzero(counts >= 20), int(COLD_SHARE * len(counts)), replace=False)
    warm = films._replace(interactions=films.interactions.only(~np.isin(films.interactions.item, hidden)))
    whole, most = cosine_over_users(films), popularity(warm)
    print(f"Related items of items without interactions, precision@10, ml-100k: {len(hidden)} items")
    baseline = None
    for label, score in (
        ("popularity", most),
        ("random", lambda query: rng.random(len(counts))),
        ("aws-sims", fitted("aws-sims", warm)),
        ("aws-similar-items", fitted("aws-similar-items", warm)),
    ):
        found = np.empty(len(hidden))
        for at, item in enumerate(hidden.tolist()):
            query = Query(-1, np.zeros(0, np.int32), item)
            truth, scores = whole(query), score(query)
            truth[item] = scores[item] = -np.inf
            truth[hidden] = scores[hidden] = -np.inf
            best = np.argsort(-truth, kind="stable")[:20]
            found[at] = np.isin(np.argsort(-scores, kind="stable")[:10], best).mean()
        told(label, found, baseline=baseline)
        baseline = found if label == "popularity" else baseline


def ranking() -> None:
    """A list of the truth and 99 items drawn by popularity, put in order."""
    for name in ("ml-100k", "ml-1m", "amazon-beauty"):
        data, histories, truths = leave_one_out(name)
        rng = np.random.default_rng(0)
        users = rng.choice(len(truths), min(len(truths), 3000), replace=False)
        counts = np.bincount(data.interactions.item, minlength=len(data.items.ids)).astype(np.float64)
        lists = []
        for user in users.tolist():
            free = counts.copy()
            free[histories[user]] = free[truths[user]] = 0
            lists.append(rng.choice(len(free), NEGATIVES, replace=False, p=free / free.sum()))
        print(f"Ranking of 100 items, NDCG@10, {name}: {len(users):,} users")
        baseline = None
        for label, fit in (
            ("popularity", popularity),
            ("aws-personalized-ranking", partial(fitted, "aws-personalized-ranking")),
        ):
            started = time.perf_counter()
            score = fit(data)
            pairs = zip(users.tolist(), lists, strict=True)
            found = [gain(score(Query(u, histories[u])), int(truths[u]), others) for u, others in pairs]
            told(label, np.array(found), started, baseline)
            baseline = np.array(found)


def trending() -> None:
    """What the next day gains over the long run: the share of the best 25 items' gain that 25 picked before it have."""
    films = load_films(DATA / "ml-100k")
    item, when = films.interactions.item, np.asarray(films.interactions.time)
    n_items, day = len(films.items.ids), 86_400.0
    ends = np.arange(when.min() + 20 * day, when.max(), 2 * day)
    found: dict[str, list[float]] = {
        "popularity": [],
        "popularity of the last day": [],
        "aws-trending-now": [],
    }
    for end in ends.tolist():
        past = when < end
        new = np.bincount(item[(when >= end) & (when < end + day)], minlength=n_items)
        last = np.bincount(item[(when >= end - day) & past], minlength=n_items)
        gain = np.maximum(new - trend.long_run(item[past], when[past], n_items, int(end), day), 0)
        best = np.sort(gain)[::-1][:25].sum()
        if best == 0:
            continue
        for label, scores in (
            ("popularity", np.bincount(item[past], minlength=n_items)),
            ("popularity of the last day", last),
            ("aws-trending-now", trend.rise(item[past], when[past], n_items, int(end), day)),
        ):
            picked = top_k(scores.astype(np.float32), 25)
            found[label].append(gain[picked].sum() / best)
    print(f"Trending, share of the possible gain of the next day, ml-100k: {len(found['popularity'])} days")
    for label, shares in found.items():
        told(
            label, np.array(shares), baseline=np.array(found["popularity"]) if label != "popularity" else None
        )


def affinity() -> None:
    """Segments: who of the best 1 % of users takes the item, or an item of the category, later."""
    films = load_films(DATA / "ml-100k")
    tastes, whole = made_tastes(), sequences("ml-1m")
    longer = as_data(whole, int(max(items.max() for items in whole)) + 1)
    for name, where, data in (
        ("aws-item-affinity", "ml-100k", films),
        ("aws-item-affinity", "ml-1m", longer),
        ("aws-item-attribute-affinity", "ml-100k", films),
        ("aws-item-attribute-affinity", "made data", tastes),
    ):
        info = catalogue.find(name)
        assert info is not None
        module = catalogue.load(info)
        active = SimpleNamespace(
            fit=lambda data, params, run: {"length": np.diff(data.interactions.offsets).astype(np.float32)},
            rank_users=lambda state, items: state["length"],
            targets=module.targets,
        )
        least = segments.measure(active, module.Params(), data, run())
        started = time.perf_counter()
        found = segments.measure(module, module.Params(), data, run())
        print(f"Segments, hits and recall at 1 %, {where}: {name}, {len(found.hits)} queries")
        told("hits, most active users", least.hits)
        told(f"hits, {name}", found.hits, started, least.hits)
        told("recall, most active users", least.recall)
        told(f"recall, {name}", found.recall, baseline=least.recall)


def made_tastes() -> Data:
    """Return 20,000 users who take from two of 60 kinds of items, seven times of ten; some take much, most little."""
    rng = np.random.default_rng(5)
    n_users, n_items, n_kinds = 20_000, 3000, 60
    kind = np.arange(n_items) % n_kinds
    lengths = np.minimum(2 + rng.pareto(1.5, n_users) * 8, 300).astype(np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    user = np.repeat(np.arange(n_users), lengths)
    liked = rng.integers(0, n_kinds, (n_users, 2))[user, rng.integers(0, 2, len(user))]
    of_kind = liked + n_kinds * rng.integers(0, n_items // n_kinds, len(user))
    anything = (n_items * rng.random(len(user)) ** 2).astype(np.int64)
    item = np.where(rng.random(len(user)) < 0.7, of_kind, anything).astype(np.int32)
    when = 1_700_000_000 + 60 * (np.arange(len(user)) - offsets[user])
    n = len(item)
    interactions = Interactions(
        offsets, item, when, np.full(n, -1, np.int16), np.full(n, np.nan, np.float32), ()
    )
    ids = [Vocabulary.build([f"{i}" for i in range(k)]) for k in (n_items, n_users)]
    items = Entities(ids[0], (column("KIND", [[f"k{k}"] for k in kind]),), np.zeros(n_items, np.int64))
    return Data(interactions, items, Entities(ids[1], (), np.zeros(n_users, np.int64)), int(when.max()))


def actions() -> None:
    """Whether a user takes an action: order (AUC) and calibration of the probabilities, on users held out."""
    data = made_actions()
    info = catalogue.find("aws-next-best-action")
    assert info is not None
    module = catalogue.load(info)
    held = holdout(data, np.random.default_rng(0), 5000)
    state = module.fit(held.train, module.Params(), run())
    outcome, item, offsets = module.outcomes(data), data.interactions.item, data.interactions.offsets
    train = module.outcomes(held.train)
    rate = np.bincount(held.train.interactions.item, train == 0, 20) / np.bincount(
        held.train.interactions.item, minlength=20
    )
    found: dict[str, list[float]] = {"mean rate of each action": [], "aws-next-best-action": []}
    truths = []
    for user, cut in zip(held.users.tolist(), held.cuts.tolist(), strict=True):
        start, middle, end = offsets[user], offsets[user] + cut, offsets[user + 1]
        query = Query(user, item[start:middle], outcomes=outcome[start:middle])
        scores = module.score(state, [query])[0]
        for at in range(middle, end):
            found["aws-next-best-action"].append(float(scores[item[at]]))
            found["mean rate of each action"].append(float(rate[item[at]]))
            truths.append(outcome[at] == 0)
    truth = np.array(truths)
    print(f"Next best action, made data: {len(truth):,} events; AUC, log loss, calibration error")
    for label, values in found.items():
        p = np.clip(np.array(values), 1e-4, 1 - 1e-4)
        loss = -np.where(truth, np.log(p), np.log(1 - p)).mean()
        bins = np.minimum((p * 10).astype(int), 9)
        error = sum(
            abs(p[bins == b].mean() - truth[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)
        )
        print(f"  {label:42} {module._auc(p, truth):.4f}  {loss:.4f}  {error:.4f}")


def made_actions() -> Data:
    """Return 20,000 users of three kinds offered 20 actions, each of which suits one kind and tires."""
    rng = np.random.default_rng(3)
    n_users, each = 20_000, 20
    kind = rng.integers(0, 3, n_users)
    user = np.repeat(np.arange(n_users), each)
    action = rng.integers(0, 20, n_users * each).astype(np.int32)
    mood = rng.normal(0, 1, n_users)
    z = np.where(action % 3 == kind[user], 0.8, -1.5) + mood[user] + 0.1 * (action % 5 - 2)
    taken = rng.random(len(z)) < 1 / (1 + np.exp(-z))
    when = 1_700_000_000 + np.tile(np.arange(each), n_users) * 86_400
    interactions = Interactions(
        np.arange(n_users + 1, dtype=np.int64) * each, action, when.astype(np.int64),
        np.where(taken, 1, 0).astype(np.int16), np.full(len(z), np.nan, np.float32), ("NOT_TAKEN", "TAKEN"),
    )  # fmt: skip
    ids = [Vocabulary.build([f"{i}" for i in range(n)]) for n in (20, n_users)]
    users = Entities(ids[1], (column("KIND", [[f"k{k}"] for k in kind]),), np.zeros(n_users, np.int64))
    return Data(interactions, Entities(ids[0], (), np.zeros(20, np.int64)), users, int(when.max()))


def main() -> None:
    """Print every table whose data is there."""
    tasks: tuple[tuple[Callable[[], None], tuple[str, ...]], ...] = (
        (related, ("ml-100k", "ml-1m", "amazon-beauty")),
        (cold, ("ml-100k",)),
        (ranking, ("ml-100k", "ml-1m", "amazon-beauty")),
        (trending, ("ml-100k",)),
        (affinity, ("ml-100k", "ml-1m")),
        (actions, ()),
    )
    for task, needs in tasks:
        missing = [name for name in needs if not (DATA / name).is_dir()]
        if missing:
            print(f"{task.__name__}: {', '.join(missing)} not in {DATA}")
        else:
            task()


if __name__ == "__main__":
    main()

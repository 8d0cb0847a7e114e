"""An evaluation says what is so, in worlds where that is known."""

from typing import Any

import numpy as np
import pytest

from nextpick.data.dataset import Data
from nextpick.data.run import Run, Stopped
from nextpick.models.baselines import Transitions, recent_popularity
from nextpick.recipes import catalogue
from nextpick.recipes.backtest import HEADLINE, POPULAR, TRANSITIONS, backtest
from nextpick.recipes.interface import Query
from nextpick.testing.worlds import interactions_of, made_data

DAY = 86_400


def measured(data: Data, recipe: str = "aws-user-personalization", **run: Any) -> dict[str, Any]:
    info = catalogue.find(recipe)
    assert info is not None
    module = catalogue.load(info)
    made = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))._replace(**run)
    return backtest(module, module.Params(), info, data, made)


def walks(users: int = 150, items: int = 60, seed: int = 0) -> Data:
    """Return users who walk through the items in order, from anywhere, over forty days: what comes next is certain,
    and every item is as popular as any other."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 30, users)
    item = np.concatenate([(rng.integers(items) + np.arange(n)) % items for n in lengths]).astype(np.int32)
    time = np.concatenate([np.sort(rng.integers(0, 40 * DAY, n)) for n in lengths]) + 1_600_000_000
    return _data(lengths, item, time.astype(np.int64), items)


def fashions(users: int = 200, items: int = 80, seed: int = 0) -> Data:
    """Return users who take whatever is in fashion, which changes every few days: only what is recent is right."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 25, users)
    time = np.concatenate([np.sort(rng.integers(0, 60 * DAY, n)) for n in lengths])
    item = ((time // (3 * DAY)) * 4 + rng.integers(0, 8, len(time))) % items
    return _data(lengths, item.astype(np.int32), time + 1_600_000_000, items)


def _data(lengths: np.ndarray, item: np.ndarray, time: np.ndarray, items: int) -> Data:
    data = made_data(users=len(lengths), items=items, metadata=False)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return data._replace(interactions=interactions_of(offsets, item, time), latest=int(time.max()))


def contender(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in report["contenders"] if c["name"] == name)


def test_what_a_recipe_leaves_out_changes_neither_who_is_asked_nor_the_baselines() -> None:
    data = walks()
    plain = measured(data, "aws-popularity-count")
    info = catalogue.find("aws-popularity-count")
    assert info is not None
    module, fitted_on = catalogue.load(info), []

    def featurized(known: Data) -> Data:
        fitted_on.append(known)
        return known._replace(interactions=known.interactions.only(known.interactions.item % 2 == 0))

    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    report = backtest(module, module.Params(), info, data, run, featurized)
    assert fitted_on[0].interactions.time.max() < report["split"]["at"]
    assert report["split"] == plain["split"]
    for name in (POPULAR, TRANSITIONS):
        assert contender(report, name) == contender(plain, name)
    assert contender(report, info.name) != contender(plain, info.name)


def test_who_knows_what_comes_next_beats_recent_popularity() -> None:
    report = measured(walks())
    assert report["beats_recent_popularity"]
    assert report["differences"][POPULAR]["low"] > 0.2
    assert all("popularity" not in warning for warning in report["warnings"])


def test_what_is_always_popular_does_not_beat_what_is_popular_now_and_is_flagged() -> None:
    report = measured(fashions(), "aws-popularity-count")
    assert not report["beats_recent_popularity"]
    assert report["differences"][POPULAR]["high"] < 0
    assert "worse than the popularity of the last 7 days" in report["warnings"][0]


def test_a_difference_that_chance_explains_is_no_win() -> None:
    report = measured(walks(), "aws-popularity-count")  # all items are alike: there is nothing to win
    difference = report["differences"][POPULAR]
    assert difference["low"] <= 0
    assert not report["beats_recent_popularity"]


def test_the_figures_are_those_of_a_slow_count() -> None:
    data = walks(users=60)
    report = measured(data)
    at = report["split"]["at"]
    offsets, item, time = data.interactions.offsets, data.interactions.item, data.interactions.time
    before = [(t, i) for t, i in zip(time.tolist(), item.tolist(), strict=True) if t < at]
    latest = max(t for t, _ in before)
    recent, every = [0] * 60, [0] * 60
    for t, i in before:
        every[i] += 1
        recent[i] += t > latest - 7 * DAY
    order = sorted(range(60), key=lambda i: (-recent[i], -every[i], i))[:25]
    ndcg, hit, recall, mrr, users = 0.0, 0.0, 0.0, 0.0, 0
    for user in range(60):
        rows = range(offsets[user], offsets[user + 1])
        truth = {int(item[row]) for row in [row for row in rows if time[row] >= at][:10]}
        if not truth:
            continue
        users += 1
        gain = sum(1 / np.log2(place + 2) for place, i in enumerate(order[:10]) if i in truth)
        ndcg += gain / sum(1 / np.log2(place + 2) for place in range(min(len(truth), 10)))
        found = [place for place, i in enumerate(order) if i in truth]
        hit += bool(truth & set(order[:10]))
        recall += len(truth & set(order[:10])) / len(truth)
        mrr += 1 / (found[0] + 1) if found else 0
    told = contender(report, POPULAR)["metrics"]
    assert report["split"]["users_tested"] == users
    assert told[HEADLINE]["value"] == pytest.approx(ndcg / users, abs=1e-6)
    assert told["hit_rate_at_10"]["value"] == pytest.approx(hit / users, abs=1e-6)
    assert told["recall_at_10"]["value"] == pytest.approx(recall / users, abs=1e-6)
    assert told["mean_reciprocal_rank_at_25"]["value"] == pytest.approx(mrr / users, abs=1e-6)
    assert contender(report, POPULAR)["coverage"] == round(10 / 60, 6)


def test_transitions_are_those_of_a_slow_sum() -> None:
    data = walks(users=40)
    n = len(data.items.ids)
    counts = np.zeros((n, n))
    offsets, item = data.interactions.offsets, data.interactions.item
    for user in range(40):
        rows = item[offsets[user] : offsets[user + 1]].tolist()
        for i, source in enumerate(rows):
            for gap, target in enumerate(rows[i + 1 : i + 11]):
                counts[source, target] += 0.85**gap * (source != target)
    rows = counts / (counts.sum(axis=1, keepdims=True) + 20)
    history = item[:7]
    expected = sum(0.7**age * rows[row] for age, row in enumerate(history[::-1]))
    found = Transitions(data.interactions, n, data.latest).score(history)
    assert np.allclose(found, expected, atol=1e-5)


def test_equal_items_of_a_baseline_are_in_the_order_of_their_rows() -> None:
    data = _data(np.array([3]), np.array([4, 2, 4], np.int32), np.arange(3, dtype=np.int64), 6)
    scores = recent_popularity(data.interactions, 6, 2)
    assert np.argsort(-scores, kind="stable").tolist() == [4, 2, 0, 1, 3, 5]


def test_slices_add_up_to_the_whole() -> None:
    report = measured(walks(users=120))
    users, items = report["slices"]["users"], report["slices"]["items"]
    assert sum(s["users"] for s in users) == report["split"]["users_tested"]
    assert sum(s["items"] for s in items) == report["split"]["items"]
    for told in report["contenders"]:
        for metric, whole in told["metrics"].items():
            parts = [(s["users"], s["contenders"][told["name"]][metric]["value"]) for s in users]
            total = sum(n * value for n, value in parts if n)
            assert total / report["split"]["users_tested"] == pytest.approx(whole["value"], abs=2e-6)
        found = sum(s["contenders"][told["name"]]["found"] for s in items)
        precision = told["metrics"]["precision_at_10"]["value"]
        assert found == pytest.approx(precision * 10 * report["split"]["users_tested"], abs=0.01)


def test_it_is_the_same_again() -> None:
    assert measured(walks(users=60)) == measured(walks(users=60))


def test_where_there_is_no_clock_there_are_no_figures() -> None:
    data = walks()
    still = data.interactions._replace(time=np.full(len(data.interactions.item), 7, np.int64))
    report = measured(data._replace(interactions=still))
    assert report["status"] == "NOT_MEASURABLE"
    assert "same timestamp" in report["reason"]
    assert "contenders" not in report


@pytest.mark.parametrize("recipe", ["aws-item-affinity", "aws-next-best-action"])
def test_what_ranks_no_items_for_users_is_not_measured(recipe: str) -> None:
    report = measured(walks(), recipe)
    assert report["status"] == "NOT_MEASURABLE"
    assert "GetSolutionMetrics" in report["reason"]


RANKING = [i.name for i in catalogue.RECIPES if i.type not in ("USER_SEGMENTATION", "PERSONALIZED_ACTIONS")]


@pytest.mark.parametrize("recipe", RANKING)
def test_every_recipe_that_ranks_items_can_be_measured(recipe: str) -> None:
    report = measured(made_data(users=80), recipe)
    assert report["status"] == "MEASURED"
    assert report["contenders"][0]["name"] == recipe


def test_what_a_use_case_drops_is_not_counted_as_recommended() -> None:
    data = fashions()
    types = np.zeros(len(data.interactions.item), np.int16)
    typed = data._replace(interactions=data.interactions._replace(event_type=types, event_types=("watch",)))
    shown: list[set[int]] = []
    info = catalogue.find("aws-vod-top-picks")
    assert info is not None
    module = catalogue.load(info)

    class Spy:
        fit = staticmethod(module.fit)

        @staticmethod
        def score(state: Any, queries: list[Query]) -> np.ndarray:
            shown.append(set(queries[0].items.tolist()))
            scores = module.score(state, queries).copy()
            scores[0, queries[0].items] = 1.0  # were they not dropped, they would be first
            return scores

    run = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
    report = backtest(Spy, module.Params(), info, typed, run)  # type: ignore[arg-type]
    plain = backtest(Spy, module.Params(), info, data, run)  # type: ignore[arg-type]
    assert any(shown)
    assert report["contenders"][0]["metrics"] != plain["contenders"][0]["metrics"]
    assert report["contenders"][0]["novelty"] != plain["contenders"][0]["novelty"]


def test_an_evaluation_that_is_no_longer_wanted_ends() -> None:
    with pytest.raises(Stopped):
        measured(walks(), should_stop=lambda: True)


def test_decayed_transitions_are_beside_the_version() -> None:
    report = measured(walks())
    assert [c["role"] for c in report["contenders"]] == ["version", "baseline", "baseline"]
    assert contender(report, TRANSITIONS)["metrics"][HEADLINE]["value"] > 0.5

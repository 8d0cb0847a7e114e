"""The gateway's parts, against plain statements of what they do."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpick.gateway.caching import StageCache
from nextpick.gateway.experiments import experiment
from nextpick.gateway.keys import period_of
from nextpick.gateway.messages import Reply
from nextpick.gateway.router import Router
from nextpick.gateway.store import GatewayStore, Plan
from nextpick.gateway.tokens import TokenBuckets

ROUTES = ("/", "/a", "/a/{x}", "/a/{x}/c", "/a/b", "/{y}/b", "/files/{path+}")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", ("/", {})), ("", ("/", {})), ("/a", ("/a", {})), ("/a/", ("/a", {})), ("/a/b", ("/a/b", {})),
        ("/a/z", ("/a/{x}", {"x": "z"})), ("/a/b/c", ("/a/{x}/c", {"x": "b"})), ("/q/b", ("/{y}/b", {"y": "q"})),
        ("/files/p/q.css", ("/files/{path+}", {"path": "p/q.css"})), ("/files", None), ("/a/z/d", None), ("/b", None),
        ("/{y}/b", ("/{y}/b", {"y": "{y}"})),
    ],
)  # fmt: skip
def test_a_literal_segment_comes_before_a_parameter_and_that_before_the_rest(path: str, found: Any) -> None:
    router: Router[str] = Router()
    for route in ROUTES:
        router.add(route, route)
    assert router.find(path) == (None if found is None else (*found, found[0]))


@pytest.mark.parametrize("route", ["/a/{z}", "/{p+}/x"])
def test_a_resource_that_is_there_or_cannot_be_is_refused(route: str) -> None:
    router: Router[str] = Router()
    router.add("/a/{x}", "")
    with pytest.raises(ValueError, match=r"same resource|last segment"):
        router.add(route, "")


def test_a_bucket_gives_its_burst_and_then_its_rate(tmp_path: Path) -> None:
    buckets = TokenBuckets(tmp_path / "tokens")
    assert [buckets.take("b", 2.0, 3, 100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [buckets.take("b", 2.0, 3, 101.0) for _ in range(3)] == [True, True, False]
    assert [buckets.take("b", 2.0, 3, 900.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("other", 2.0, 1, 900.0)
    other = TokenBuckets(tmp_path / "tokens")  # what another process sees
    assert not other.take("b", 2.0, 3, 900.0)
    buckets.close()
    other.close()


def take_many(home: Path, results: Any) -> None:
    store = GatewayStore(home)
    results.put(sum(store.reserve(Plan("p", quota=50, period="DAY"), "k", "today", 1) for _ in range(40)))


def test_a_quota_is_shared_by_processes_and_never_exceeded(tmp_path: Path) -> None:
    GatewayStore(tmp_path).close()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=take_many, args=(tmp_path, results)) for _ in range(2)]
    for process in processes:
        process.start()
    assert sum(results.get(timeout=60) for _ in processes) == 50
    for process in processes:
        process.join()


def test_quotas_begin_anew_with_the_day_the_week_from_monday_and_the_month() -> None:
    sunday, monday = 1_698_623_999.0, 1_698_624_000.0  # 2023-10-29 23:59:59 and a second later
    assert (period_of("DAY", sunday), period_of("DAY", monday)) == ("2023-10-29", "2023-10-30")
    assert (period_of("WEEK", sunday), period_of("WEEK", monday)) == (
        "week of 2023-10-23",
        "week of 2023-10-30",
    )
    assert period_of("MONTH", sunday) == period_of("MONTH", monday) == "2023-10"


def test_an_answer_that_is_asked_for_often_is_made_anew_early_by_one_request() -> None:
    cache = StageCache(10.0, prefetch=2)
    cache.put("often", Reply(200, b"1"), 0.0)
    cache.put("seldom", Reply(200, b"1"), 0.0)
    assert [cache.get("often", 1.0)[1] for _ in range(3)] == [False, False, False]  # it is still young
    assert [cache.get("often", 8.5)[1] for _ in range(3)] == [True, False, False]
    assert cache.get("seldom", 8.5) == (Reply(200, b"1"), False)
    cache.put("often", Reply(200, b"2"), 9.0)
    assert cache.get("often", 18.0)[0] == Reply(200, b"2")
    assert cache.get("often", 19.0) == (None, False)
    cache.put("error", Reply(500, b""), 0.0)
    assert cache.get("error", 0.0) == (None, False)


class Api:
    """A document with one experiment."""

    def __init__(self, weights: list[float]) -> None:
        named = [
            {"name": f"v{n}", "campaignArn": "${stageVariables.c}", "weight": w}
            for n, w in enumerate(weights)
        ]
        self.experiments = {"e": {"variations": named}}


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5).filter(lambda w: sum(w) > 0), st.text())
def test_every_user_has_one_variation_and_none_that_weighs_nothing(weights: list[float], user: str) -> None:
    split = experiment(Api(weights), "e", {"c": "arn"})  # type: ignore[arg-type]
    variation = split.of(user)
    assert variation == split.of(user)
    assert variation.campaign == "arn"
    assert weights[int(variation.name[1:])] > 0 or variation is split.variations[-1]


def test_the_shares_of_users_are_those_of_the_weights() -> None:
    split = experiment(Api([1, 3]), "e", {"c": "arn"})  # type: ignore[arg-type]
    first = sum(split.of(f"u{n}").name == "v0" for n in range(4000))
    assert 900 < first < 1100

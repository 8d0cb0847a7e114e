"""What a solution asks for beside the next item: weights of event types, and items that are worth more."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from films import World
from worlds import open_api

WEIGHTED = "normalized_discounted_cumulative_gain_with_event_weights_at_k"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    api = open_api(tmp_path_factory.mktemp("home"), min_interactions=10, min_users=2, count_quotas=False)
    yield World(api)
    api.library.close()


def refusal(world: World, config: dict[str, Any], recipe: str, **more: Any) -> str:
    """Return what CreateSolution says against a solutionConfig."""
    with pytest.raises(ClientError) as refused:
        world.solution("refused", recipe, solutionConfig=config, **more)
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"
    return refused.value.response["Error"]["Message"]


def deployed(world: World, name: str, recipe: str, config: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """Return a campaign and the metrics of a solution with a solutionConfig."""
    version = world.train(world.solution(name, recipe, solutionConfig=config))
    assert world.trained(version)["status"] == "ACTIVE"
    metrics = world.api.personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
    return world.deployed(name, version), metrics


def weights(**by_type: float) -> dict[str, Any]:
    return {
        "eventsConfig": {
            "eventParametersList": [
                {"eventType": type_, "weight": weight} for type_, weight in by_type.items()
            ]
        }
    }


def optimizing(column: str, sensitivity: str) -> dict[str, Any]:
    return {"optimizationObjective": {"itemAttribute": column, "objectiveSensitivity": sensitivity}}


def test_what_is_bought_comes_first_where_buying_weighs_most(world: World) -> None:
    """Every user buys i7 at last, after many clicks on other items."""
    rows = [f"u{user},i7,purchase,{1_700_001_300 + user}" for user in range(60)]
    world.bring(world.dataset, "bought", ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP", *rows], "INCREMENTAL")
    recipe = "aws-user-personalization-v2"
    buying, metrics = deployed(world, "buying", recipe, weights(purchase=1.0, click=0.01))
    alike, plain = deployed(world, "alike", recipe, weights(purchase=0.5, click=0.5))
    assert WEIGHTED in metrics
    assert 0 <= metrics[WEIGHTED] <= 1
    assert plain[WEIGHTED] == plain["normalized_discounted_cumulative_gain_at_25"]

    def score(campaign: str) -> float:
        items = world.recommend(campaign, userId="stranger", numResults=40)["itemList"]
        return next(item["score"] for item in items if item["itemId"] == "i7")

    assert score(buying) > 2 * score(alike)


def test_only_the_event_types_of_the_list_are_trained_on(world: World) -> None:
    solution = world.solution("few", "aws-user-personalization-v2", solutionConfig=weights(nothing=1.0))
    failed = world.trained(world.train(solution))
    assert failed["status"] == "CREATE FAILED"
    assert "after filtering by event type: nothing" in failed["failureReason"]


def test_an_update_of_the_solution_counts_at_its_next_training(world: World) -> None:
    personalize = world.api.personalize
    solution = world.solution("updated", "aws-user-personalization-v2")
    first = world.train(solution)
    assert world.trained(first)["status"] == "ACTIVE"
    config = weights(purchase=1.0, click=0.01)
    personalize.update_solution(solutionArn=solution, solutionUpdateConfig=config)
    described = personalize.describe_solution(solutionArn=solution)["solution"]
    assert described["solutionConfig"] == config
    second = world.train(solution)
    assert world.trained(second)["solutionConfig"] == config
    metrics = [personalize.get_solution_metrics(solutionVersionArn=v)["metrics"] for v in (first, second)]
    assert [WEIGHTED in found for found in metrics] == [False, True]


@pytest.mark.parametrize(
    ("recipe", "config", "words"),
    [
        ("aws-user-personalization", weights(click=1.0), "aws-user-personalization takes no eventsConfig"),
        ("aws-user-personalization-v2", weights(click=1.0, Click=0.5), "names an eventType twice"),
        ("aws-user-personalization-v2", weights(click=0.0), "must be greater"),
        (
            "aws-user-personalization-v2",
            weights(click=1.0) | {"eventValueThreshold": "1"},
            "leave out eventType and eventValueThreshold",
        ),
        (
            "aws-personalized-ranking-v2",
            {"eventsConfig": {"eventParametersList": [{"weight": 1.0}]}},
            "must have an eventType",
        ),
        ("aws-sims", optimizing("YEAR", "LOW"), "aws-sims takes no optimizationObjective"),
        ("aws-user-personalization", optimizing("LENGTH", "LOW"), "no column LENGTH"),
        ("aws-user-personalization", optimizing("PRICE", "LOW"), "PRICE must be of a numeric type"),
        ("aws-user-personalization", optimizing("TITLE", "LOW"), "TITLE must be of a numeric type"),
        (
            "aws-user-personalization",
            optimizing("YEAR", "LOW")
            | {"trainingDataConfig": {"excludedDatasetColumns": {"ITEMS": ["YEAR"]}}},
            "cannot be both",
        ),
        (
            "aws-user-personalization",
            {"optimizationObjective": {"objectiveSensitivity": "LOW"}},
            "must name an itemAttribute",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    world: World, recipe: str, config: dict[str, Any], words: str
) -> None:
    assert words in refusal(world, config, recipe)


def test_the_higher_the_sensitivity_the_newer_the_films(world: World) -> None:
    def mean_year(name: str, sensitivity: str) -> float:
        config = optimizing("YEAR", sensitivity)
        campaign, metrics = deployed(world, name, "aws-user-personalization", config)
        assert 0 < metrics["average_rewards_at_k"] <= 1
        exploit = {"campaignConfig": {"itemExplorationConfig": {"explorationWeight": "0"}}}
        world.api.personalize.update_campaign(campaignArn=campaign, **exploit)
        answers = [world.recommend(campaign, userId=f"u{n}", numResults=10)["itemList"] for n in range(12)]
        years = [1980 + int(item["itemId"][1:]) for answer in answers for item in answer]
        return sum(years) / len(years)

    off, low, high = (mean_year(f"year-{s}", s) for s in ("OFF", "LOW", "HIGH"))
    assert off + 0.5 < low < high - 0.5
    plain = world.recommend(world.campaign, userId="u3", numResults=40)["itemList"]
    tilted = world.api.personalize.list_campaigns()["campaigns"]
    campaign = next(c["campaignArn"] for c in tilted if c["name"] == "year-HIGH")
    items = world.recommend(campaign, userId="u3", numResults=40)["itemList"]
    assert sum(item["score"] for item in items) == pytest.approx(1, abs=1e-4)
    assert {item["itemId"] for item in items} == {item["itemId"] for item in plain}


def test_a_list_is_ranked_by_worth_too(world: World) -> None:
    campaign, _ = deployed(world, "worth", "aws-personalized-ranking", optimizing("YEAR", "HIGH"))
    plain, _ = deployed(world, "no-worth", "aws-personalized-ranking", optimizing("YEAR", "OFF"))

    def place(of: str, item: str) -> int:
        answer = world.api.runtime.get_personalized_ranking(
            campaignArn=of, userId="u2", inputList=[f"i{n}" for n in range(40)]
        )
        return [ranked["itemId"] for ranked in answer["personalizedRanking"]].index(item)

    newest, oldest = ("i38", "i39"), ("i0", "i1")
    assert sum(place(campaign, i) for i in newest) < sum(place(plain, i) for i in newest)
    assert sum(place(campaign, i) for i in oldest) > sum(place(plain, i) for i in oldest)

"""Solutions and their versions: trained, refused, stopped, measured, made by schedule."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from nextpick.jobs.choose import candidates
from worlds import HEADER, Shop, checkerboard, open_api

METRICS = {
    "coverage",
    "mean_reciprocal_rank_at_25",
    "normalized_discounted_cumulative_gain_at_5",
    "normalized_discounted_cumulative_gain_at_10",
    "normalized_discounted_cumulative_gain_at_25",
    "precision_at_5",
    "precision_at_10",
    "precision_at_25",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with data, shared by tests that only add solutions."""
    api = open_api(tmp_path_factory.mktemp("training") / "home", count_quotas=False)
    made = Shop(api)
    assert made.imported(made.start_import("first", checkerboard()))["status"] == "ACTIVE"
    yield made
    api.library.close()


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return raised.value.response["Error"]["Code"]


def test_a_version_is_trained_and_named_after_its_solution(shop: Shop) -> None:
    solution = shop.solution("plain")
    version = shop.trained(shop.train(solution))
    assert re.fullmatch(re.escape(solution) + r"/[0-9a-f]{8}", version["solutionVersionArn"])
    assert version["name"] == "plain/" + version["solutionVersionArn"].rpartition("/")[2]
    assert (version["status"], version["trainingMode"], version["trainingType"]) == (
        "ACTIVE",
        "FULL",
        "MANUAL",
    )
    assert version["trainingHours"] >= 0.001
    assert (version["performHPO"], version["performAutoML"]) == (False, False)
    described = shop.api.personalize.describe_solution(solutionArn=solution)["solution"]
    assert described["latestSolutionVersion"]["solutionVersionArn"] == version["solutionVersionArn"]
    assert "solutionConfig" not in described


def test_a_version_that_could_have_had_a_network_says_why_it_has_none(shop: Shop) -> None:
    version = shop.trained(shop.train(shop.solution("v2", "aws-user-personalization-v2")))
    assert version["status"] == "ACTIVE"
    assert re.fullmatch(
        r"Served by the instant engine alone: .*(nextpick\[torch\]|events can be held out).*",
        version["description"],
    )
    assert "description" not in shop.trained(shop.train(shop.solution("v1")))


def test_a_version_may_be_named(shop: Shop) -> None:
    version = shop.trained(shop.train(shop.solution("named"), name="first"))
    assert version["solutionVersionArn"].endswith(":solution/named/first")
    with pytest.raises(ClientError) as raised:
        shop.train(version["solutionArn"], name="first")
    assert code(raised) == "ResourceAlreadyExistsException"


def test_metrics_have_the_eight_keys_and_wait_for_the_end_of_training(shop: Shop) -> None:
    version = shop.train(shop.solution("measured"))
    with pytest.raises(ClientError) as raised:
        shop.api.personalize.get_solution_metrics(solutionVersionArn=version)
    assert code(raised) == "ResourceInUseException"
    shop.trained(version)
    metrics = shop.api.personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
    assert set(metrics) == METRICS
    assert all(0 <= value <= 1 for value in metrics.values())
    assert metrics["normalized_discounted_cumulative_gain_at_25"] > 0.2


def test_a_solution_needs_a_recipe_or_automl_and_not_both(shop: Shop) -> None:
    create = shop.api.personalize.create_solution
    recipe = "arn:aws:personalize:::recipe/aws-sims"
    with pytest.raises(ClientError) as raised:
        create(name="x", datasetGroupArn=shop.group)
    assert code(raised) == "InvalidInputException"
    with pytest.raises(ClientError) as raised:
        create(name="x", datasetGroupArn=shop.group, recipeArn=recipe, performAutoML=True)
    assert code(raised) == "InvalidInputException"
    with pytest.raises(ClientError) as raised:
        create(name="x", datasetGroupArn=shop.group, recipeArn="arn:aws:personalize:::recipe/no")
    assert code(raised) == "ResourceNotFoundException"


def test_automatic_training_is_on_unless_told(shop: Shop) -> None:
    arn = shop.api.personalize.create_solution(
        name="automatic", datasetGroupArn=shop.group, recipeArn="arn:aws:personalize:::recipe/aws-sims"
    )["solutionArn"]
    described = shop.api.personalize.describe_solution(solutionArn=arn)["solution"]
    assert described["performAutoTraining"] is True
    shop.api.personalize.update_solution(solutionArn=arn, performAutoTraining=False)
    described = shop.api.personalize.describe_solution(solutionArn=arn)["solution"]
    assert described["performAutoTraining"] is False
    assert described["latestSolutionUpdate"]["status"] == "ACTIVE"


def test_automl_tries_recipes_and_reports_the_best(shop: Shop) -> None:
    arn = shop.api.personalize.create_solution(
        name="automl", datasetGroupArn=shop.group, performAutoML=True, performAutoTraining=False
    )["solutionArn"]
    version = shop.trained(shop.train(arn))
    assert version["recipeArn"] == "arn:aws:personalize:::recipe/aws-user-personalization"
    described = shop.api.personalize.describe_solution(solutionArn=arn)["solution"]
    assert described["autoMLResult"] == {"bestRecipeArn": version["recipeArn"]}
    report = shop.api.nextpick.get_job_report(resourceArn=version["solutionVersionArn"])["report"]
    told = json.loads(report)["auto_ml"]
    assert told["best"] == "aws-user-personalization"
    found = told["recipes"]
    ahead = found["aws-user-personalization"] - found["aws-popularity-count"]
    assert told["ahead_by"] == pytest.approx(ahead, abs=1e-4)
    assert ahead > 3 * told["error"] > 0


def test_automl_reads_texts_where_a_recipe_it_tries_does() -> None:
    plain = {"performAutoML": True, "solutionConfig": {}}
    listed = [f"arn:aws:personalize:::recipe/{name}" for name in ("aws-popularity-count", "aws-sims")]
    for more, is_read in (([], False), (["arn:aws:personalize:::recipe/aws-user-personalization-v2"], True)):
        body = {"performAutoML": True, "solutionConfig": {"autoMLConfig": {"recipeList": listed + more}}}
        assert any(info.uses_texts for info in candidates(body)) == is_read
    assert [info.name for info in candidates(plain)] == ["aws-user-personalization", "aws-popularity-count"]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {"autoMLConfig": {"recipeList": ["arn:aws:personalize:::recipe/aws-item-affinity"]}},
            "item-affinity",
        ),
        ({"autoMLConfig": {"metricName": "likes"}}, "likes; it must be one of coverage"),
        ({"eventValueThreshold": "nan"}, "eventValueThreshold is 'nan'"),
        ({"eventsConfig": {"eventParametersList": [{"eventType": "x"}]}}, "AutoML takes no eventsConfig"),
    ],
)
def test_automl_compares_what_can_be_compared(shop: Shop, config: dict[str, Any], why: str) -> None:
    with pytest.raises(ClientError, match=why) as raised:
        shop.api.personalize.create_solution(
            name="automl-2", datasetGroupArn=shop.group, performAutoML=True, solutionConfig=config
        )
    assert code(raised) == "InvalidInputException"


def test_an_update_needs_a_full_version(shop: Shop) -> None:
    solution = shop.solution("updated")
    with pytest.raises(ClientError) as raised:
        shop.train(solution, trainingMode="UPDATE")
    assert code(raised) == "InvalidInputException"
    shop.trained(shop.train(solution))
    version = shop.trained(shop.train(solution, trainingMode="UPDATE"))
    assert (version["status"], version["trainingMode"]) == ("ACTIVE", "UPDATE")


def test_an_unknown_hyperparameter_is_named(shop: Shop) -> None:
    with pytest.raises(ClientError) as raised:
        shop.solution("hyper", solutionConfig={"algorithmHyperParameters": {"speed": "11"}})
    assert code(raised) == "InvalidInputException"
    assert "speed" in str(raised.value)


def test_hpo_tries_values_and_reports_the_best(shop: Shop) -> None:
    ranges = {"integerHyperParameterRanges": [{"name": "bptt", "minValue": 2, "maxValue": 9}]}
    config = {
        "hpoResourceConfig": {"maxNumberOfTrainingJobs": "3", "maxParallelTrainingJobs": "1"},
        "algorithmHyperParameterRanges": ranges,
    }
    solution = shop.solution("hpo", performHPO=True, solutionConfig={"hpoConfig": config})
    version = shop.trained(shop.train(solution))
    tuned = version["tunedHPOParams"]["algorithmHyperParameters"]
    assert 2 <= int(tuned["training.bptt"]) <= 9
    assert set(tuned) == {"hidden_dimension", "training.bptt", "data.recency_mask"}
    ranges["integerHyperParameterRanges"][0]["maxValue"] = 99
    with pytest.raises(ClientError) as raised:
        shop.solution("hpo-2", performHPO=True, solutionConfig={"hpoConfig": config})
    assert code(raised) == "InvalidInputException"
    assert "bptt" in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "range_", "why"),
    [
        ("integer", {"minValue": 2, "maxValue": 9}, "must have a name and minValue and maxValue"),
        ("integer", {"name": "bptt", "minValue": 2}, "must have a name and minValue and maxValue"),
        ("integer", {"name": "bptt", "minValue": 9, "maxValue": 2}, "The range of bptt begins above its end"),
        ("categorical", {"name": "recency_mask", "values": []}, "must have a name and values"),
    ],
)
def test_a_range_of_hpo_must_be_one(shop: Shop, kind: str, range_: dict[str, Any], why: str) -> None:
    config = {"hpoConfig": {"algorithmHyperParameterRanges": {f"{kind}HyperParameterRanges": [range_]}}}
    with pytest.raises(ClientError, match=why) as raised:
        shop.solution("hpo-4", performHPO=True, solutionConfig=config)
    assert code(raised) == "InvalidInputException"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maxNumberOfTrainingJobs", "41"),
        ("maxParallelTrainingJobs", "11"),
        ("maxParallelTrainingJobs", "two"),
    ],
)
def test_hpo_has_limits(shop: Shop, name: str, value: str) -> None:
    config = {"hpoConfig": {"hpoResourceConfig": {name: value}}}
    with pytest.raises(ClientError) as raised:
        shop.solution("hpo-3", performHPO=True, solutionConfig=config)
    assert code(raised) == "InvalidInputException"
    assert f"{name} is {value!r}" in str(raised.value)


def test_a_version_in_training_is_stopped_and_stays_described(shop: Shop) -> None:
    version = shop.train(shop.solution("stopped"))
    shop.api.personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert shop.trained(version)["status"] == "CREATE STOPPED"
    with pytest.raises(ClientError) as raised:
        shop.api.personalize.stop_solution_version_creation(solutionVersionArn=version)
    assert code(raised) == "InvalidInputException"


def test_a_running_training_stops_through_create_stopping(shop: Shop) -> None:
    version = shop.train(shop.solution("stopping"))
    personalize, deadline = shop.api.personalize, time.monotonic() + 30
    while shop.api.nextpick.describe_job(resourceArn=version)["job"]["state"] == "QUEUED":
        assert time.monotonic() < deadline
    personalize.stop_solution_version_creation(solutionVersionArn=version)
    statuses = [v["status"] for v in personalize.list_solution_versions(maxResults=100)["solutionVersions"]]
    assert statuses[-1] in ("CREATE STOPPING", "CREATE STOPPED")
    assert shop.trained(version)["status"] == "CREATE STOPPED"


def test_twenty_four_users_are_too_few_and_the_reason_says_so(tmp_path: Path) -> None:
    api = open_api(tmp_path / "home")
    try:
        shop = Shop(api)
        rows = [f"u{i % 24},i{i % 50},{1_700_000_000 + i}\n" for i in range(1200)]
        assert shop.imported(shop.start_import("few", HEADER + "".join(rows)))["status"] == "ACTIVE"
        version = shop.trained(shop.train(shop.solution()))
        assert version["status"] == "CREATE FAILED"
        assert "Dataset has fewer than 25 users with at least 2 interactions each" in version["failureReason"]
    finally:
        api.library.close()


def test_a_solution_is_trained_by_itself_when_nobody_does_it(tmp_path: Path) -> None:
    api = open_api(tmp_path / "home", auto_training_delay_s=0.0)
    try:
        shop = Shop(api)
        shop.imported(shop.start_import("first", checkerboard()))
        solution = shop.solution(performAutoTraining=True)
        deadline = time.monotonic() + 30
        while not (made := api.personalize.list_solution_versions(solutionArn=solution)["solutionVersions"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        version = shop.trained(made[0]["solutionVersionArn"])
        assert (version["status"], version["trainingType"]) == ("ACTIVE", "AUTOMATIC")
    finally:
        api.library.close()


def test_recipes_are_listed_by_name_and_described(shop: Shop) -> None:
    names = [recipe["name"] for recipe in shop.api.personalize.list_recipes()["recipes"]]
    assert names == sorted(names)
    assert {"aws-user-personalization", "aws-user-personalization-v2", "aws-hrnn"} <= set(names)
    assert {"aws-popularity-count", "aws-sims", "aws-similar-items"} <= set(names)
    assert {"aws-personalized-ranking", "aws-personalized-ranking-v2"} <= set(names)
    recipe = shop.api.personalize.describe_recipe(recipeArn="arn:aws:personalize:::recipe/aws-sims")["recipe"]
    assert recipe["recipeType"] == "RELATED_ITEMS"
    algorithm = shop.api.personalize.describe_algorithm(algorithmArn=recipe["algorithmArn"])["algorithm"]
    assert algorithm["defaultHyperParameters"]["popularity_discount_factor"] == "0.5"
    described = shop.api.personalize.describe_feature_transformation(
        featureTransformationArn=recipe["featureTransformationArn"]
    )["featureTransformation"]
    assert described["defaultParameters"] == {
        "min_user_history_length_percentile": "0.005",
        "max_user_history_length_percentile": "0.995",
        "min_item_interaction_count_percentile": "0.0",
        "max_item_interaction_count_percentile": "1.0",
    }
    cold = shop.api.personalize.describe_feature_transformation(
        featureTransformationArn="arn:aws:personalize:::feature-transformation/featurize_coldstart"
    )["featureTransformation"]["defaultParameters"]
    assert cold == {
        "min_user_history_length_percentile": "0.0",
        "max_user_history_length_percentile": "0.99",
        "cold_start_max_interactions": "15",
        "cold_start_max_duration": "5.0",
        "cold_start_relative_from": "latestItem",
    }


def excluding(dataset_type: str, column: str) -> dict[str, Any]:
    return choosing(excludedDatasetColumns={dataset_type: [column]})


def choosing(**columns: dict[str, list[str]]) -> dict[str, Any]:
    return {"solutionConfig": {"trainingDataConfig": columns}}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"solutionConfig": {"featureTransformationParameters": {"zzz": "1"}}}, "zzz"),
        (excluding("FOO", "X"), "FOO"),
        (excluding("INTERACTIONS", "USER_ID"), "USER_ID"),
        (excluding("INTERACTIONS", "EVENT_TYPE"), "EVENT_TYPE"),
        (excluding("INTERACTIONS", "NOPE"), "NOPE"),
        (choosing(includedDatasetColumns={"ITEM": []}), "includedDatasetColumns names ITEM"),
        (choosing(includedDatasetColumns={"INTERACTIONS": ["NOPE"]}), "includedDatasetColumns names NOPE"),
        (
            choosing(excludedDatasetColumns={"Users": ["AGE"]}, includedDatasetColumns={"USERS": ["GENDER"]}),
            "USERS cannot be in both",
        ),
        ({"solutionConfig": {"eventValueThreshold": "nan"}}, "eventValueThreshold is 'nan'"),
        ({"performIncrementalUpdate": True}, "performIncrementalUpdate"),
        ({"performHPO": True, "recipe": "aws-user-personalization-v2"}, "no hyperparameters to optimize"),
    ],
)
def test_what_a_solution_cannot_obey_is_refused(shop: Shop, more: dict[str, Any], why: str) -> None:
    with pytest.raises(ClientError, match=why) as raised:
        shop.solution("refused", **more)
    assert code(raised) == "InvalidInputException"


def test_users_outside_the_percentiles_are_not_trained_on(shop: Shop) -> None:
    shop.imported(
        shop.start_import("all", checkerboard() + "".join(f"long,i{i % 40},{i}\n" for i in range(400)))
    )
    narrow = {"featureTransformationParameters": {"max_user_history_length_percentile": "0.9"}}
    found = []
    for name, config in (("all", {}), ("narrow", narrow)):
        version = shop.train(shop.solution(name, solutionConfig=config))
        assert shop.trained(version)["status"] == "ACTIVE"
        report = json.loads(shop.api.nextpick.get_job_report(resourceArn=version)["report"])
        found.append(report["interactions"])
    assert found == [1600, 1200]


def test_a_cold_start_tries_out_the_items_that_are_cold(shop: Shop) -> None:
    latest, day = 1_700_002_000, 86_400
    cold = [f"u{n % 60},cold{n},{latest}\n" for n in range(110)]
    # fifteen interactions each, so that they are drawn often
    older = [f"u{n % 60},older{n % 20},{latest - 10 * day}\n" for n in range(300)]
    shop.imported(shop.start_import("cold", checkerboard() + "".join(cold + older)))

    def version(name: str, **features: str) -> dict[str, Any]:
        config = {"featureTransformationParameters": features}
        return shop.trained(shop.train(shop.solution(name, "aws-hrnn-coldstart", solutionConfig=config)))

    def tried(campaign: str) -> set[str]:
        ask = shop.api.nextpick.explain_recommendations
        items = [
            i for n in range(20) for i in ask(campaignArn=campaign, userId=f"u{n}", numResults=25)["items"]
        ]
        return {i["itemId"].rstrip("0123456789") for i in items if i["source"] == "EXPLORATION"}

    always = {"campaignConfig": {"itemExplorationConfig": {"explorationWeight": "1"}}}
    made = version("five-days")
    assert tried(shop.deployed("five-days", made["solutionVersionArn"], **always)) == {"cold"}
    made = version("eleven-days", cold_start_max_duration="11.0")
    assert tried(shop.deployed("eleven-days", made["solutionVersionArn"], **always)) == {"cold", "older"}
    made = version("from-now", cold_start_relative_from="currentTime")
    assert made["status"] == "CREATE FAILED"
    assert "Dataset has 0 cold items; aws-hrnn-coldstart needs 100 to 80000" in made["failureReason"]
    for name, text in (("max_interactions", "0"), ("max_duration", "0"), ("relative_from", "yesterday")):
        with pytest.raises(ClientError, match=f"cold_start_{name} is '?{text}'?; it must be") as refused:
            version("refused", **{f"cold_start_{name}": text})
        assert code(refused) == "InvalidInputException"

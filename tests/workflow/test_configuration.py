"""Configurations: what is read, and everything that is wrong with one, at once."""

import copy
import json
from typing import Any

import pytest
from workshop import EXAMPLES

from nextpick.workflow.asl import definition
from nextpick.workflow.config import durations, model
from nextpick.workflow.config.model import BadConfiguration
from nextpick.workflow.config.place import Place, place_of
from nextpick.workflow.tasks.names import problem

COLUMNS = (("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long"))
FIELDS = [{"name": name, "type": kind} for name, kind in COLUMNS]
SEEN = 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE in ("*")'
SCHEMA = {
    "type": "record",
    "name": "interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": FIELDS,
}


def whole() -> dict[str, Any]:
    """Return a configuration with one of everything."""
    return {
        "tags": [{"tagKey": "project", "tagValue": "films"}],
        "datasetGroup": {
            "serviceConfig": {"name": "films"},
            "workflowConfig": {"schedules": {"import": "cron(0 */6 * * ? *)"}, "maxAge": "1 day"},
        },
        "datasets": {
            "serviceConfig": {"importMode": "FULL"},
            "interactions": {
                "dataset": {"serviceConfig": {"name": "films-interactions"}},
                "schema": {"serviceConfig": {"name": "films-schema", "schema": copy.deepcopy(SCHEMA)}},
            },
        },
        "eventTracker": {"serviceConfig": {"name": "films-tracker"}},
        "filters": [
            {
                "serviceConfig": {
                    "name": "seen",
                    "filterExpression": SEEN,
                }
            }
        ],
        "solutions": [
            {
                "serviceConfig": {
                    "name": "popular",
                    "recipeArn": "arn:aws:personalize:::recipe/aws-popularity-count",
                    "solutionVersion": {"trainingMode": "FULL", "tags": [{"tagKey": "a", "tagValue": "b"}]},
                },
                "workflowConfig": {"schedules": {"full": "cron(0 2 ? * 1 *)"}, "maxAge": "2 days"},
                "campaigns": [{"serviceConfig": {"name": "films", "minProvisionedTPS": 1}}],
                "batchInferenceJobs": [
                    {"serviceConfig": {}, "workflowConfig": {"schedule": "cron(0 3 * * ? *)"}}
                ],
            }
        ],
    }


def problems(config: Any) -> list[str]:
    with pytest.raises(BadConfiguration) as caught:
        model.parse(config if isinstance(config, str) else json.dumps(config))
    return caught.value.problems


def test_a_configuration_is_read_with_its_defaults() -> None:
    config = model.read(model.parse(json.dumps(whole())))
    tags = [{"tagKey": "project", "tagValue": "films"}]
    assert config.group == {"name": "films", "tags": tags}
    assert (config.import_schedule, config.import_max_age_s) == ("cron(0 */6 * * ? *)", 86_400)
    assert config.imports == {"importMode": "FULL", "tags": tags}
    (dataset,) = config.datasets
    assert (dataset.kind, dataset.dataset["tags"], json.loads(dataset.schema["schema"])) == (
        "interactions",
        tags,
        SCHEMA,
    )
    (solution,) = config.solutions
    assert solution.service["performAutoTraining"] is False
    assert solution.version == {"trainingMode": "FULL", "tags": [{"tagKey": "a", "tagValue": "b"}]}
    assert (solution.max_age_s, solution.schedules) == (172_800, {"full": "cron(0 2 ? * 1 *)"})
    assert solution.batches[0].schedule == "cron(0 3 * * ? *)"


def test_yaml_says_the_same() -> None:
    import yaml

    assert model.parse(yaml.safe_dump(whole())) == whole()


def test_unknown_keys_are_told_by_their_path_all_at_once() -> None:
    config = whole()
    config["group"] = {}
    config["datasetGroup"]["workflowConfig"]["schedules"]["export"] = "cron(0 2 * * ? *)"
    config["solutions"][0]["campaign"] = []
    assert problems(config) == [
        "key datasetGroup.workflowConfig.schedules.export is not an allowed key",
        "key solutions[0].campaign is not an allowed key",
        "key group is not an allowed key",
    ]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    config = whole()
    config["tags"].append({"key": "a"})
    config["datasetGroup"]["serviceConfig"]["nam"] = "x"
    config["datasetGroup"]["workflowConfig"]["maxAge"] = "soon"
    config["datasets"]["interactions"]["schema"]["serviceConfig"]["schema"] = {"type": "enum"}
    config["filters"][0]["serviceConfig"]["filterExpression"] = 1
    solution = config["solutions"][0]
    solution["serviceConfig"]["solutionVersion"]["mode"] = "FULL"
    solution["workflowConfig"]["schedules"] = {"full": "0 2 * * *", "update": "cron(0 2 * * ? *)"}
    solution["campaigns"].append(copy.deepcopy(solution["campaigns"][0]))
    solution["campaigns"][0]["serviceConfig"]["minProvisionedTPS"] = "one"
    told = problems(config)
    for piece in (
        "tags[1] must have exactly the keys tagKey and tagValue",
        'datasetGroup.serviceConfig: Unknown parameter in input: "nam"',
        "datasetGroup.workflowConfig.maxAge: 'soon' is no duration",
        "datasets.interactions.schema.serviceConfig.schema must be an Avro record",
        "filters[0].serviceConfig: Invalid type for parameter filterExpression",
        'solutions[0].serviceConfig.solutionVersion: Unknown parameter in input: "mode"',
        "solutions[0].workflowConfig.schedules.full: '0 2 * * *' is no cron expression",
        "solutions[0].workflowConfig.schedules.update: aws-popularity-count cannot be updated",
        "solutions[0].campaigns[0].serviceConfig: Invalid type for parameter minProvisionedTPS",
        "there are 2 campaigns named 'films'",
    ):
        assert any(one.startswith(piece) for one in told), (piece, told)


def test_names_that_the_service_would_refuse_are_told_too() -> None:
    config = whole()
    config["eventTracker"]["serviceConfig"]["name"] = "no blanks allowed"
    assert any("regular expression pattern" in one and "eventTracker" in one for one in problems(config))


def test_what_cannot_be_read_is_told() -> None:
    assert problems("{")[0].startswith("Could not validate JSON")
    assert problems("a: [")[0].startswith("Could not read YAML")
    assert problems("{}") == ["the configuration is empty or no object"]
    assert problems({"filters": []}) == ["a datasetGroup must be provided at datasetGroup.serviceConfig"]
    assert problems({"datasetGroup": {"serviceConfig": {"name": "a"}}, "datasets": {}}) == [
        "datasets.interactions is missing; it is required when datasets are given"
    ]


def test_the_older_dialect_is_read() -> None:
    older = {
        "datasetGroup": {"name": "films"},
        "datasets": {"Interactions": {"name": "rows", "schema": SCHEMA}},
        "solutions": {
            "sims": {"name": "simsSolution", "recipeArn": "arn:aws:personalize:::recipe/aws-sims"},
            "popular": {
                "name": "popularSolution",
                "recipeArn": "arn:aws:personalize:::recipe/aws-popularity-count",
            },
        },
        "campaigns": {"simsCampaign": {"name": "simsCampaign", "minProvisionedTPS": 1}},
        "eventTracker": {"name": "tracker"},
        "filters": [{"name": "f", "filterExpression": "INCLUDE ItemID WHERE Items.YEAR >= 1970"}],
    }
    config = model.read(model.parse(json.dumps(older)))
    assert (config.name, [d.kind for d in config.datasets], len(config.filters)) == (
        "films",
        ["interactions"],
        1,
    )
    campaigns = {one.name: [c["name"] for c in one.campaigns] for one in config.solutions}
    assert campaigns == {"simsSolution": ["simsCampaign"], "popularSolution": []}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 day", 86_400),
        ("365 days", 31_536_000),
        ("1 week 12 hours", 648_000),
        ("90min", 5400),
        ("1.5 h", 5400),
        ("30s", 30),
    ],
)
def test_durations_are_words(text: str, seconds: float) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "day", "5", "5 parsecs", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        durations.seconds(text)


def test_data_lies_beside_the_file_and_batch_input_beside_train(tmp_path: Any) -> None:
    place = place_of("s3://b/x/train/films/config.json", tmp_path, "w", "films")
    assert (place.prefix, place.root, place.batch_folder("films", "s")) == (
        "x/train/films/",
        "x/",
        "x/batch/films/s/",
    )
    in_bucket = place_of(
        str(tmp_path / "buckets" / "b" / "train" / "films" / "c.json"), tmp_path, "w", "films"
    )
    assert in_bucket == Place("b", "train/films/")
    local = place_of(str(tmp_path / "c.json"), tmp_path, "w", "films")
    assert local == Place("w", "train/films/", tmp_path)


def test_the_examples_are_read() -> None:
    config = model.read(model.parse((EXAMPLES / "train" / "books" / "config.json").read_text()))
    assert (config.name, len(config.datasets), config.solutions[0].campaigns[0]["name"]) == (
        "books",
        3,
        "books",
    )
    states = definition.parse((EXAMPLES / "train.asl.json").read_text(), problem)["States"]
    assert len(states) == 12

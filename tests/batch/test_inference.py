"""Batch inference jobs through the API: lines in, lines out, in the real service's form."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from batches import Batches
from botocore.exceptions import ClientError

from nextpick.serving.batch import attributes, compact, java_number, spaced
from worlds import ROLE, open_api


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    api = open_api(Path(tmp_path_factory.mktemp("batch")))
    yield Batches(api)
    api.library.close()


def test_each_line_is_answered_as_a_campaign_answers(shop: Batches) -> None:
    campaign = shop.deployed("same", shop.version)
    asked = "\n".join(json.dumps({"userId": f"u{user}"}) for user in range(40))  # and no line end
    lines = shop.answers("same", asked, numResults=7)
    assert [line["input"]["userId"] for line in lines] == [f"u{user}" for user in range(40)]
    for line in lines:
        items = shop.recommend(campaign, userId=line["input"]["userId"], numResults=7)["itemList"]
        assert line["error"] is None
        assert line["output"]["scores"] == [item["score"] for item in items]
        assert len(line["output"]["recommendedItems"]) == 7
    assert (shop.api.library.home / "buckets" / "out" / "same" / "_CHECK").exists()


def test_a_line_is_written_as_the_real_service_writes_it(shop: Batches) -> None:
    shop.answers("form", '{"userId": "u1"}\n', numResults=2)
    text = shop.output("form")
    assert text.startswith('{"input":{"userId":"u1"},"output":{"recommendedItems":["')
    assert re.fullmatch(r'.*"\],"scores":\[0\.\d{1,7},0\.\d{1,7}\]},"error":null}\n', text)
    assert [java_number(n) for n in (0.0183162, 3.773e-4, 1e-7, 1.2e-4, 0.001, 1.0, 0.0)] == [
        "0.0183162", "3.773E-4", "1.0E-7", "1.2E-4", "0.001", "1.0", "0.0"
    ]  # fmt: skip
    real = '{"input": {"itemAttributes": "ITEMS.CATEGORY_L1 = \\"tools\\""}, "output": {"usersList": ["2131","2504"]}, "error": null}'  # noqa: E501
    asked = {"itemAttributes": 'ITEMS.CATEGORY_L1 = "tools"'}
    assert spaced(asked, ["2131", "2504"], None).decode() == real


def test_the_real_services_own_lines_are_written_byte_for_byte(data_dir: Path) -> None:
    path = data_dir / "personalize-batch-example" / "users.json.out"
    if not path.exists():
        pytest.skip("needs the published batch example")
    for line in path.read_bytes().splitlines():
        read = json.loads(line)
        assert compact(read["input"], read["output"], read["error"]) == line


def test_fewer_results_are_a_prefix_of_more(shop: Batches) -> None:
    asked = "".join(f'{{"userId": "u{user}"}}\n' for user in range(10))
    # what is tried out changes with the hour a job is created in
    config = {"itemExplorationConfig": {"explorationWeight": "0"}}
    few, many = (
        shop.answers(name, asked, numResults=n, batchInferenceJobConfig=config)
        for name, n in (("few", 3), ("many", 20))
    )
    for short, long in zip(few, many, strict=True):
        assert long["output"]["recommendedItems"][:3] == short["output"]["recommendedItems"]


def test_a_bad_line_says_why_and_the_others_are_answered(shop: Batches) -> None:
    asked = '{"userId": "u1"}\nnonsense\n{"itemId": "i1"}\n[1]\n\n{"userId": 5}\n{"userId": "stranger"}\n'
    good, nonsense, no_user, array, number, stranger = shop.answers("bad", asked)
    assert (nonsense["input"], nonsense["output"]) == ("nonsense", None)
    assert "not JSON" in nonsense["error"]
    assert "userId must be a text" in no_user["error"]
    assert no_user["input"] == {"itemId": "i1"}
    assert "not a JSON object" in array["error"]
    assert "userId must be a text" in number["error"]
    assert len(good["output"]["recommendedItems"]) == len(stranger["output"]["recommendedItems"]) == 25


def test_a_folder_gives_an_output_for_each_of_its_files(shop: Batches) -> None:
    for file in ("a", "b"):
        shop.api.put_object("in", f"folder/{file}.json", f'{{"userId": "{file}"}}\n')
    assert shop.job(shop.start("folder", None))["status"] == "ACTIVE"
    for file in ("a", "b"):
        assert json.loads(shop.output("folder", file))["input"] == {"userId": file}


def test_related_items_and_rankings_have_lines_of_their_own(shop: Batches) -> None:
    related = shop.answers(
        "related", '{"itemId": "i2"}\n{"itemId": "new"}\n', version=shop.trained_version("aws-sims")
    )
    assert all(set(line["output"]) == {"recommendedItems"} for line in related)
    assert "i2" not in related[0]["output"]["recommendedItems"]
    asked = '{"userId": "u1", "itemList": ["i1", "new", "i2"]}\n{"userId": "u1"}\n'
    ranking, lacking = shop.answers("ranked", asked, version=shop.trained_version("aws-personalized-ranking"))
    assert ranking["output"]["recommendedItems"] == ["i1", "i2", "new"]
    assert ranking["output"]["scores"][2] == 0.0
    assert "itemList must be" in lacking["error"]


def test_a_job_is_described_and_listed_as_it_was_asked_for(shop: Batches) -> None:
    arn = shop.start("described", '{"userId": "u1"}', numResults=3)
    done = shop.job(arn)
    assert arn.endswith(":batch-inference-job/described")
    assert {m: done[m] for m in ("jobName", "numResults", "roleArn", "solutionVersionArn")} == {
        "jobName": "described", "numResults": 3, "roleArn": ROLE, "solutionVersionArn": shop.version
    }  # fmt: skip
    assert done["jobInput"]["s3DataSource"]["path"] == "s3://in/described.json"
    listed = shop.api.personalize.list_batch_inference_jobs(solutionVersionArn=shop.version)
    assert arn in [job["batchInferenceJobArn"] for job in listed["batchInferenceJobs"]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jobInput": {"s3DataSource": {"path": "http://in/x"}}}, "Invalid S3 input path"),
        ({"jobOutput": {"s3DataDestination": {"path": "http://x/"}}}, "Invalid S3 output path"),
        ({"jobOutput": {"s3DataDestination": {"path": "s3://in/refused.json"}}}, "Invalid S3 output path"),
        ({"numResults": 501}, "numResults is 501"),
        ({"batchInferenceJobMode": "THEME_GENERATION"}, "themeGenerationConfig goes with"),
        ({"batchInferenceJobConfig": {"itemExplorationConfig": {"explorationWeight": "2"}}}, "explorationWeight"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_when_it_is_asked_for(shop: Batches, change: dict, words: str) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        shop.start("refused", '{"userId": "u1"}', **change) if not {
            "jobInput",
            "jobOutput",
        } & change.keys() else (
            shop.api.personalize.create_batch_inference_job(
                **{
                    "jobName": "refused",
                    "solutionVersionArn": shop.version,
                    "roleArn": ROLE,
                    "jobInput": {"s3DataSource": {"path": "s3://in/refused.json"}},
                    "jobOutput": {"s3DataDestination": {"path": "s3://out/refused/"}},
                    **change,
                }
            )
        )
    assert refused.value.response["Error"]["Code"] == "InvalidInputException"


def test_a_segment_job_needs_a_recipe_for_segments(shop: Batches) -> None:
    with pytest.raises(ClientError, match="which is for a batch inference job"):
        shop.api.personalize.create_batch_segment_job(
            jobName="segments",
            solutionVersionArn=shop.version,
            roleArn=ROLE,
            jobInput={"s3DataSource": {"path": "s3://in/x"}},
            jobOutput={"s3DataDestination": {"path": "s3://out/"}},
        )


def test_a_job_whose_input_or_bucket_is_missing_fails_with_the_reason(shop: Batches) -> None:
    failed = shop.job(shop.start("nothing", None))
    assert failed["status"] == "CREATE FAILED"
    assert "Invalid S3 input path. " in failed["failureReason"]


def test_item_attributes_are_equalities_joined_by_and() -> None:
    assert attributes('ITEMS.genres = "Comedy" AND items.Year = 1999') == [
        ("GENRES", "Comedy"),
        ("YEAR", "1999"),
    ]
    for refused in (
        "ITEMS.A > 1",
        "ITEMS.A = 1 OR ITEMS.B = 2",
        "A = 1",
        "ITEMS.A = $X",
        5,
        "",
        "USERS.A = 1",
    ):
        with pytest.raises(Exception, match="itemAttributes"):
            attributes(refused)

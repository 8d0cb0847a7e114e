"""Preparation jobs: raw data in, files that imports take out."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nextpick.cli.main import app
from nextpick.prepare import jobs
from nextpick.prepare.jobs import Refused
from worlds import ROLE, open_api

RATINGS = """userId,movieId,rating,timestamp
1,10,4.5,1000
1,20,2.0,1001
2,10,1.0,1002
2,30,3.5,1002
2,30,3.5,1002
"""
MOVIES = """movieId,title,genres
10,"Usual Suspects, The (1995)",Crime|Thriller
20,Ages (2006–2007),Drama
30,Untitled,(no genres listed)
"""


def made(tmp_path: Path, job: str, **options: str) -> Path:
    """Run a job on the files in ``tmp_path``/raw and return the directory it wrote."""
    jobs.run(jobs.find(job), tmp_path / "raw", tmp_path / "out", options)
    return tmp_path / "out"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def films(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "ratings.csv").write_text(RATINGS)
    (tmp_path / "raw" / "movies.csv").write_text(MOVIES)
    return tmp_path


def test_ratings_become_events_and_titles_years(films: Path) -> None:
    out = made(films, "movielens", min_rating="2", event_type="Rate")
    events = rows(out / "interactions.csv")
    assert list(events[0]) == ["USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP"]
    assert [event["ITEM_ID"] for event in events] == ["10", "20", "30", "30"]
    assert {event["EVENT_TYPE"] for event in events} == {"Rate"}
    assert [(item["TITLE"], item["YEAR"]) for item in rows(out / "items.csv")] == [
        ("Usual Suspects, The (1995)", "1995"),
        ("Ages (2006–2007)", ""),
        ("Untitled", ""),
    ]
    fields = {f["name"]: f for f in json.loads((out / "items.json").read_text())["fields"]}
    assert fields["YEAR"]["type"] == ["int", "null"]
    assert not fields["TITLE"].get("categorical")


def test_one_rating_may_be_a_click_and_a_watch(films: Path) -> None:
    events = rows(made(films, "movielens-watch-click") / "interactions.csv")
    assert [(e["ITEM_ID"], e["EVENT_TYPE"]) for e in events] == [
        ("10", "click"), ("10", "watch"), ("20", "click"),
        ("30", "click"), ("30", "click"), ("30", "watch"), ("30", "watch"),
    ]  # fmt: skip
    assert [item["YEAR"] for item in rows(films / "out" / "items.csv")] == ["1995", "2006–2007", ""]


def test_a_sample_has_each_event_once_and_is_the_same_for_the_same_seed(films: Path) -> None:
    whole = rows(made(films, "movielens-sample", fraction="1") / "interactions.csv")
    assert [(e["USER_ID"], e["ITEM_ID"]) for e in whole] == [
        ("1", "10"),
        ("1", "20"),
        ("2", "10"),
        ("2", "30"),
    ]
    assert list(whole[0]) == ["ITEM_ID", "USER_ID", "TIMESTAMP"]
    many = "".join(f"{n % 97},10,3.0,{n}\n" for n in range(20_000))
    (films / "raw" / "ratings.csv").write_text(RATINGS.splitlines()[0] + "\n" + many)
    first = rows(made(films, "movielens-sample") / "interactions.csv")
    assert 850 < len(first) < 1150
    assert rows(made(films, "movielens-sample") / "interactions.csv") == first
    assert rows(made(films, "movielens-sample", seed="1") / "interactions.csv") != first


def test_exports_of_product_analytics_are_read_by_a_mapping(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "2024" / "05" / "01"
    folder.mkdir(parents=True)
    events = [
        {"event": "view", "properties": {"distinct_id": "u1", "video": "a-_1", "time": 1_714_521_600}},
        {"event": "like", "properties": {"distinct_id": "u1", "video": "a-_1", "time": 1_714_521_601_000}},
        {"event": "search", "properties": {"distinct_id": "u1", "time": 1_714_521_602}},
        {"event": "view", "properties": {"video": "a-_1", "time": 1_714_521_603}},
    ]
    (folder / "export.json").write_text("\n".join(json.dumps(event) for event in events))
    out = made(tmp_path, "product-analytics", item="video")
    assert rows(out / "interactions.csv") == [
        {"USER_ID": "u1", "ITEM_ID": "a-_1", "EVENT_TYPE": "view", "TIMESTAMP": "1714521600"},
        {"USER_ID": "u1", "ITEM_ID": "a-_1", "EVENT_TYPE": "like", "TIMESTAMP": "1714521601"},
    ]
    only = made(tmp_path, "product-analytics", item="video", events="like,dislike")
    assert [event["EVENT_TYPE"] for event in rows(only / "interactions.csv")] == ["like"]


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        (["1700000000", "1700000060"], ["1700000000", "1700000060"]),
        (["1700000000000", "1700000060000"], ["1700000000", "1700000060"]),
        (["2023-11-14 22:13:20", "2023-11-14 22:14:20"], ["1700000000", "1700000060"]),
        (["", ""], ["1500000060", "1500000120"]),
    ],
)
def test_a_table_with_other_names_and_any_clock(tmp_path: Path, times: list[str], wanted: list[str]) -> None:
    (tmp_path / "raw").mkdir()
    lines = [f"r{n},b{n},{time},{n}" for n, time in enumerate(times)]
    (tmp_path / "raw" / "books.csv").write_text("reader,book,when,stars\n" + "\n".join(lines) + "\n")
    out = made(tmp_path, "table", user="reader", item="book", time="when", value="stars")
    assert [event["TIMESTAMP"] for event in rows(out / "interactions.csv")] == wanted
    assert [event["EVENT_VALUE"] for event in rows(out / "interactions.csv")] == ["0.0", "1.0"]


def test_sql_of_ones_own_makes_what_its_views_are(films: Path) -> None:
    sql = films / "mine.sql"
    sql.write_text(
        "-- Mine\n-- option least = 4 : the least rating\n"
        "CREATE TEMP VIEW r AS SELECT * FROM read_csv(getvariable('source') || '/ratings.csv');\n"
        "CREATE VIEW interactions AS SELECT userId::VARCHAR AS USER_ID, movieId::VARCHAR AS ITEM_ID, "
        "timestamp AS TIMESTAMP FROM r WHERE rating >= getvariable('least')::DOUBLE;\n"
        "CREATE VIEW counts AS SELECT count(*) AS n FROM r;\n"
    )
    found = CliRunner().invoke(app, ["prepare", str(sql), str(films / "raw"), str(films / "out")])
    assert found.exit_code == 0, found.output
    assert sorted(path.name for path in (films / "out").iterdir()) == [
        "counts.csv", "interactions.csv", "interactions.json",
    ]  # fmt: skip
    assert len(rows(films / "out" / "interactions.csv")) == 1


def test_what_cannot_be_run_says_why_and_leaves_nothing(films: Path) -> None:
    with pytest.raises(Refused, match="no job nothing; there are movielens, "):
        jobs.find("nothing")
    with pytest.raises(Refused, match="movielens has no option rating; it has event_type, min_rating"):
        made(films, "movielens", rating="3")
    (films / "raw" / "ratings.csv").unlink()
    with pytest.raises(Refused, match=r"movielens: .*ratings\.csv"):
        made(films, "movielens")
    assert not list((films / "out").glob("*.csv"))
    told = CliRunner().invoke(app, ["prepare", "movielens", "/nowhere", str(films / "out")])
    assert told.exit_code == 1
    assert "/nowhere is no directory" in told.output


def test_the_ready_made_jobs_are_listed_with_their_options() -> None:
    listed = CliRunner().invoke(app, ["prepare"]).output
    for name in jobs.names():
        assert f"{name}: " in listed
    assert "--option fraction=0.05" in listed


def test_movielens_100k_is_prepared_and_imported_as_it_is(tmp_path: Path, data_dir: Path) -> None:
    if not (data_dir / "ml-100k").is_dir():
        pytest.skip("needs MovieLens 100K")
    api = open_api(tmp_path / "home")
    try:
        shop = tmp_path / "home" / "buckets" / "films"
        written = jobs.run(jobs.find("movielens-100k"), data_dir / "ml-100k", shop)
        assert {w.path.name: w.rows for w in written} == {
            "interactions.csv": 100_000, "items.csv": 1682, "users.csv": 943,
        }  # fmt: skip
        group = api.personalize.create_dataset_group(name="films")["datasetGroupArn"]
        for kind in ("interactions", "items", "users"):
            done = imported(api, group, kind, (shop / f"{kind}.json").read_text())
            assert done["status"] == "ACTIVE", done
    finally:
        api.library.close()


def imported(api: Any, group: str, kind: str, schema: str) -> dict[str, Any]:
    arn = api.personalize.create_schema(name=kind, schema=schema)["schemaArn"]
    dataset = api.personalize.create_dataset(
        name=kind, schemaArn=arn, datasetGroupArn=group, datasetType=kind
    )["datasetArn"]
    job = api.personalize.create_dataset_import_job(
        jobName=kind,
        datasetArn=dataset,
        dataSource={"dataLocation": f"s3://films/{kind}.csv"},
        roleArn=ROLE,
    )["datasetImportJobArn"]
    return api.settle(lambda: api.personalize.describe_dataset_import_job(datasetImportJobArn=job))

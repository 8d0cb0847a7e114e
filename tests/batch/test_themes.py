"""Themes of related items, through the API: in a catalogue of westerns and romances a theme names which it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batches import Batches
from botocore.exceptions import ClientError

from nextpick.models.themes import Features, Themes
from worlds import ROLE, open_api

ITEMS_SCHEMA = {
    "type": "record",
    "name": "Items",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "GENRE", "type": ["null", "string"], "categorical": True},
        {"name": "TITLE", "type": "string"},
        {"name": "TEXT", "type": ["null", "string"], "textual": True},
        {"name": "YEAR", "type": "int"},
    ],
    "version": "1.0",
}


def films() -> str:
    """Return a CSV of 40 films: even ones westerns with a sheriff, odd ones romances with a wedding."""
    rows = ["ITEM_ID,GENRE,TITLE,TEXT,YEAR"]
    for i in range(40):
        genre, title, text = (
            ("Western", f"The Sheriff of Dodge {i}", "A saloon and a duel at noon")
            if i % 2 == 0
            else ("Romance|Comedy", f"A Wedding in Paris {i}", "Two lovers and a letter")
        )
        rows.append(f"i{i},{genre},{title},{text},{1950 + i}")
    return "\n".join(rows) + "\n"


def settings(name: str = "TITLE") -> dict[str, Any]:
    return {
        "batchInferenceJobMode": "THEME_GENERATION",
        "themeGenerationConfig": {"fieldsForThemeGeneration": {"itemName": name}},
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    api = open_api(Path(tmp_path_factory.mktemp("themes")))
    shop = Batches(api)
    personalize = api.personalize
    schema = personalize.create_schema(name="films", schema=json.dumps(ITEMS_SCHEMA))["schemaArn"]
    items = personalize.create_dataset(
        name="films", schemaArn=schema, datasetGroupArn=shop.group, datasetType="Items"
    )["datasetArn"]
    job = personalize.create_dataset_import_job(
        jobName="films",
        datasetArn=items,
        dataSource={"dataLocation": api.put_object("data", "films.csv", films())},
        roleArn=ROLE,
    )["datasetImportJobArn"]
    assert shop.imported(job)["status"] == "ACTIVE"
    shop.version = shop.trained_version("aws-similar-items")
    yield shop
    api.library.close()


def test_a_theme_says_what_the_related_items_share(shop: Batches) -> None:
    western, romance = shop.answers(
        "themes", '{"itemId": "i4"}\n{"itemId": "i5"}\n', numResults=8, **settings()
    )
    assert western["output"]["theme"].startswith("Western: ")
    assert romance["output"]["theme"].startswith("Comedy and Romance: ")
    words = set(western["output"]["theme"].removeprefix("Western: ").split(", "))
    assert words <= {"sheriff", "dodge", "the", "saloon", "duel", "noon"}
    for line in (western, romance):
        assert (
            len(line["output"]["recommendedItems"]) == len(line["output"]["itemsThemeRelevanceScores"]) == 8
        )
        relevance = line["output"]["itemsThemeRelevanceScores"]
        assert relevance == sorted(relevance, reverse=True)
        assert all(0 < value <= 1 for value in relevance)
        assert line["error"] is None


def test_the_items_are_those_a_plain_job_would_give(shop: Batches) -> None:
    asked = '{"itemId": "i7"}\n'
    (plain,) = shop.answers("plain", asked, numResults=8)
    (themed,) = shop.answers("themed", asked, numResults=8, **settings())
    assert sorted(themed["output"]["recommendedItems"]) == sorted(plain["output"]["recommendedItems"])
    assert "theme" not in plain["output"]


def test_a_line_is_written_as_the_real_service_writes_it(shop: Batches) -> None:
    shop.answers("form", '{"itemId": "i4"}\n', numResults=3, **settings())
    text = shop.output("form")
    assert text.startswith('{"input":{"itemId":"i4"},"output":{"recommendedItems":["')
    assert '],"theme":"Western: ' in text
    assert '","itemsThemeRelevanceScores":[0.' in text
    assert text.endswith(']},"error":null}\n')


def test_a_line_that_names_no_item_says_so(shop: Batches) -> None:
    (bad,) = shop.answers("bad", '{"userId": "u1"}\n', **settings())
    assert bad["output"] is None
    assert "itemId" in bad["error"]


def test_more_than_a_hundred_items_are_too_many(shop: Batches) -> None:
    asked = "\n".join(json.dumps({"itemId": f"i{i % 40}"}) for i in range(101))
    done = shop.job(shop.start("many", asked, **settings()))
    assert done["status"] == "CREATE FAILED"
    assert "more than 100 lines" in done["failureReason"]


def test_a_name_that_is_no_text_and_another_recipe_are_refused(shop: Batches) -> None:
    for name in ("YEAR", "NAME"):
        with pytest.raises(ClientError, match=f"names {name}, which is no text column"):
            shop.start("refused", "{}", **settings(name))
    version = shop.trained_version("aws-sims")
    with pytest.raises(ClientError, match="Themes are generated for aws-similar-items"):
        shop.start("refused", "{}", version=version, **settings())


def features(held: list[list[int]], names: list[str], n_categories: int) -> Features:
    offsets = np.concatenate(([0], np.cumsum([len(codes) for codes in held]))).astype(np.int64)
    return Features(offsets, np.concatenate(held).astype(np.int32), tuple(names), n_categories)


def test_what_nearly_everything_has_is_no_theme_and_nothing_in_common_is_none() -> None:
    names = ["Film", "Western", "sheriff", "paris"]
    held = [[0, 1, 2], [0, 1, 2], [0, 3], [0], [0], [0], [0], [0]]
    themes = Themes(features(held, names, 2))
    theme = themes.find(np.array([0, 1], np.int32))
    assert theme is not None
    assert theme.text == "Western: sheriff"
    assert themes.find(np.array([2], np.int32)) is None
    assert themes.relevance(theme, np.array([0, 3], np.int32))[1] == 0

"""Sums of events against a loop over them, and a part read like the events it was made of."""

import json
import random

import numpy as np
import pyarrow as pa
import pytest

from nextpick.data.attribution import Attribution, of_events, report
from nextpick.data.expressions import Cell, Metric
from nextpick.data.run import Run
from nextpick.store.log import EventRow

RUN = Run(lambda done, stage: None, lambda: False, np.random.default_rng(0))
METRICS = [
    Metric("n", "watch", "samplecount"),
    Metric("value", "Buy", "sum", "INTERACTIONS", "EVENT_VALUE"),
    Metric("pages", "WATCH", "sum", "INTERACTIONS", "NUM_PAGES"),
]
SOURCES = {"0a0b0c": "arn:campaign/a", "ffffff": "arn:recommender/b"}


def events(seed: int, n: int = 400) -> list[EventRow]:
    """Return random events."""
    draw = random.Random(seed)
    properties = [
        None,
        {"numPages": 2},
        {"num_pages": "3"},
        {"NUMPAGES": 1.5},
        {"numPages": "x"},
        {"other": 9},
    ]
    ids = [
        None,
        "RID-1-CID-0a0b0c",
        "RID-1-CID-ffffff",
        "RID-1-CID-000000",
        "RID-1-CID-0a0b0c-more",
        "RID-old",
    ]
    return [
        EventRow(
            group="g",
            user="u",
            session="s",
            item=draw.choice(["i", None]),
            event_type=draw.choice(["watch", "Watch", "buy", "click"]),
            event_value=draw.choice([None, 1.0, 2.5]),
            time=draw.randrange(0, 3600),
            event_id=str(i),
            properties=json.dumps(held) if (held := draw.choice(properties)) else None,
            recommendation_id=draw.choice(ids),
            source=draw.choice([None, None, "mail", "push"]),
        )
        for i in range(n)
    ]


def by_loop(rows: list[EventRow]) -> dict[tuple[str, str, int], float]:
    """Return the sums the slow obvious way."""
    pages = {"numPages": 2.0, "num_pages": 3.0, "NUMPAGES": 1.5}
    sums: dict[tuple[str, str, int], float] = {}
    for row in rows:
        held = json.loads(row.properties or "{}")
        number = {
            "n": 1.0,
            "value": row.event_value or 0.0,
            "pages": next((pages[name] for name in held if name in pages and held[name] != "x"), 0.0),
        }
        source = row.source
        if source is None and row.recommendation_id is not None:
            source = SOURCES.get(row.recommendation_id[-6:] if "-CID-" in row.recommendation_id[-11:] else "")
        for metric in METRICS:
            if row.event_type.lower() == metric.event_type.lower():
                key = metric.name, source or "SOURCE_NAME_UNDEFINED", row.time // 900 * 900
                sums[key] = sums.get(key, 0.0) + number[metric.name]
    return sums


@pytest.mark.parametrize("seed", range(5))
def test_sums_are_those_of_a_loop(seed: int) -> None:
    rows = events(seed)
    attribution = Attribution(METRICS, SOURCES, None)
    assert of_events(attribution, rows, RUN) == len(rows)
    found = {(cell.metric, cell.source, cell.window): cell.value for cell in attribution.cells()}
    assert found == by_loop(rows)


def test_numbers_of_imports_may_be_of_any_type_and_missing() -> None:
    attribution = Attribution([Metric("pages", "w", "sum", "INTERACTIONS", "NUM_PAGES")], {}, None)
    text = pa.array(["w", "w", None], pa.string())
    none = pa.nulls(3, pa.string())
    attribution.add(
        pa.table(
            {
                "EVENT_TYPE": text,
                "ITEM_ID": none,
                "RECOMMENDATION_ID": none,
                "EVENT_ATTRIBUTION_SOURCE": pa.array(["", None, "x"]),
                "TIMESTAMP": pa.array([0, 899, 1], pa.int64()),
                "NUM_PAGES": pa.array([7, None, 9], pa.int64()),
            }
        )
    )
    assert attribution.cells() == [Cell("pages", "w", "sum", "SOURCE_NAME_UNDEFINED", 0, 7.0)]


def test_a_report_is_as_the_guide_shows_it() -> None:
    source = "arn:aws:personalize:us-west-2:1:campaign/x"
    text = report(
        [
            Cell("COUNTWATCHES", "WATCH", "samplecount", source, 900, 112.0),
            Cell("COUNTWATCHES", "WATCH", "samplecount", "a, b", 1800, 12.0),
        ]
    )
    assert text == (
        "METRIC_NAME,EVENT_TYPE,VALUE,MATH_FUNCTION,EVENT_ATTRIBUTION_SOURCE,TIMESTAMP\n"
        'COUNTWATCHES,WATCH,12.0,samplecount,"a, b",1800\n'
        f"COUNTWATCHES,WATCH,112.0,samplecount,{source},900\n"
    )

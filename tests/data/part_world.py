"""Schemas, objects and imports for the tests of parts and snapshots."""

import io
import json
from functools import partial

import numpy as np
import pyarrow.parquet as pq

from nextpick.data.avro import parse_schema
from nextpick.data.run import Run
from nextpick.data.table import import_part
from nextpick.settings import Settings
from nextpick.store.blobs import Object


def schema(name, *fields):
    """Fields as "NAME type flags…": ``GENRES string null categorical``."""
    made = []
    for text in fields:
        field, type_, *flags = text.split()
        made.append(
            {
                "name": field,
                "type": [type_, "null"] if "null" in flags else type_,
                **{flag: True for flag in flags if flag != "null"},
            }
        )
    return parse_schema(json.dumps({"type": "record", "name": name, "fields": made, "version": "1.0"}))


INTERACTIONS = schema(
    "Interactions",
    "USER_ID string",
    "ITEM_ID string",
    "TIMESTAMP long",
    "EVENT_TYPE string null",
    "EVENT_VALUE float null",
)
PLAIN = schema("Interactions", "USER_ID string", "ITEM_ID string", "TIMESTAMP long")
ITEMS = schema(
    "Items",
    "ITEM_ID string",
    "GENRES string null categorical",
    "PRICE float null",
    "CREATION_TIMESTAMP long null",
    "DESCRIPTION string null textual",
    "NOTE string null",
)
USERS = schema("Users", "USER_ID string", "AGE int null", "GENDER string null categorical")


def a_run(should_stop=lambda: False):
    return Run(lambda fraction, stage: None, should_stop, np.random.default_rng(0))


def objects(*contents, names=None):
    """Objects in memory: text, bytes, or (name, content)."""
    made = []
    for i, content in enumerate(contents):
        name, content = content if isinstance(content, tuple) else (f"file{i}.csv", content)
        raw = content.encode() if isinstance(content, str) else content
        made.append(Object(f"in/{name}", len(raw), partial(io.BytesIO, raw)))
    return made


def imported(out, *contents, of=PLAIN, dataset_type="INTERACTIONS", run=None, **settings):
    """Import contents and return the report; bad rows are tolerated unless the test says otherwise."""
    chosen = Settings(**{"bad_row_share": 1.0, **settings})
    return import_part(objects(*contents), of, dataset_type, out, chosen, run or a_run())


def rows(part):
    """Return a part's rows as tuples, in the order they lie."""
    found = []
    for path in sorted(part.glob("*.parquet")):
        table = pq.read_table(path)
        found.extend(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return found


def lines(header, *records):
    return "\n".join([header, *records]) + "\n"

"""The fast reading of CSV equals an obvious slow one on whatever Python's csv module writes."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from part_world import a_run, imported, objects, rows, schema

from nextpick.data import csvblocks
from nextpick.data.avro import Schema
from nextpick.data.columns import specs
from nextpick.data.kinds import ITEMS
from nextpick.data.report import Ledger

FIELDS = schema("Items", "ITEM_ID string", "NOTE string null", "YEAR long null", "PRICE double null")
# Backslashes are tested by example: before a quote they escape it, which the csv module does not write.
CHARACTERS = st.one_of(
    st.sampled_from(list("\",;|\n\r\t 'ab01é€😀<>")),
    st.characters(exclude_categories=("Cs",), exclude_characters="\\"),
)
TEXT = st.text(CHARACTERS, max_size=12)
RECORD = st.tuples(
    TEXT.filter(bool),
    TEXT,
    st.one_of(
        st.just(""), st.integers(-(10**17), 10**11 - 1).map(str), st.sampled_from(["1.0", "x", " 7 ", "+5"])
    ),
    st.one_of(
        st.just(""), st.floats(-1e300, 1e300).map(repr), st.sampled_from(["nan", "inf", ".5", "1e3", "1,5"])
    ),
)


def slow(text: str):
    """Return id, note, year and price of each record, None for what is empty or cannot be read."""
    _, *records = csv.reader(io.StringIO(text, newline=""))
    found = {}
    for id, note, year, price in filter(None, records):
        found[id] = (note or None, _integer(year), _number(price))
    return found


def _integer(text):
    try:
        return int(text) if not text.strip().startswith("+") else None
    except ValueError:
        return None


def _number(text):
    try:
        return float(text) if float(text) == float(text) and abs(float(text)) != float("inf") else None
    except ValueError:
        return None


def _quoting(wanted, records):
    """Quote all when a cell holds a carriage return: the csv module leaves it bare, and then reads a line end."""
    return csv.QUOTE_ALL if any("\r" in cell for record in records for cell in record) else wanted


@settings(max_examples=200, deadline=None)
@given(
    st.lists(RECORD, min_size=1, max_size=30, unique_by=lambda record: record[0]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(1, 300),
    st.booleans(),
)
def test_an_import_equals_the_slow_reading(records, end, quoting, size, ends_with_a_line):
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator=end, quoting=_quoting(quoting, records))
    writer.writerow(["ITEM_ID", "NOTE", "YEAR", "PRICE"])
    writer.writerows(records)
    text = sink.getvalue() if ends_with_a_line else sink.getvalue().removesuffix(end)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "p"
        imported(out, text, of=FIELDS, dataset_type="ITEMS", import_block_bytes=size)
        found = {id: (note, year, price) for id, note, year, price in rows(out)}
    assert found == slow(text)


CLEAN = st.tuples(
    TEXT.filter(bool),
    TEXT,
    st.one_of(st.just(""), st.integers(-(10**17), 10**17).map(str)),
    st.one_of(st.just(""), st.floats(-1e300, 1e300).map(repr)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(CLEAN, min_size=1, max_size=30), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_good_cells_are_read_fast_and_as_the_judge_reads_them(records, quoting):
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\n", quoting=_quoting(quoting, records))
    writer.writerow(["ITEM_ID", "NOTE", "YEAR", "PRICE"])
    writer.writerows(records)
    columns = specs(FIELDS, ITEMS)
    (found,) = objects(sink.getvalue())
    ledger = Ledger(0.0)
    for block in csvblocks.blocks("f.csv", found.open(), columns, 64):
        fast = csvblocks.read_typed(block, columns)
        judged, n = csvblocks.read_judged(block, columns, ledger)
        assert fast is not None
        assert fast.to_pylist() == judged.to_pylist()
        assert len(fast) == n
    assert ledger.problems() == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ('"a \\"b\\" c"', 'a "b" c'),
        ('"a ""b"" c"', 'a "b" c'),
        ('"ends \\""', 'ends "'),
        ('"\\"starts"', '"starts'),
        ("a\\b", "a\\b"),
        ('"a\\b, c"', "a\\b, c"),
        ("C:\\new\\table", "C:\\new\\table"),
        ('6" pipe', '6" pipe'),
    ],
)
@pytest.mark.parametrize("size", [8, 1 << 16])
def test_backslashes_escape_quotes_and_nothing_else(tmp_path, field, value, size):
    of: Schema = schema("Items", "ITEM_ID string", "NOTE string null")
    content = f"ITEM_ID,NOTE\n1,{field}\n2,x\n"
    report = imported(
        tmp_path / "p", content, of=of, dataset_type="ITEMS", import_block_bytes=size, run=a_run()
    )
    assert sorted(rows(tmp_path / "p")) == [("1", value), ("2", "x")]
    assert report.problems == ()

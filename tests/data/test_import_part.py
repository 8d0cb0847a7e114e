"""Importing: what becomes of rows, good and bad, and what the failures say."""

import gzip
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from part_world import INTERACTIONS, ITEMS, PLAIN, USERS, a_run, imported, lines, objects, rows, schema

from nextpick.data import table as importing
from nextpick.data.failure import DataFailure
from nextpick.data.run import Stopped
from nextpick.data.table import import_part
from nextpick.settings import Settings
from nextpick.store.blobs import BlobError, Object

HEADER = "USER_ID,ITEM_ID,TIMESTAMP"


def failure(out, *contents, **more):
    with pytest.raises(DataFailure) as caught:
        imported(out, *contents, **more)
    assert not out.exists()
    return str(caught.value)


def test_rows_lie_by_user_then_time_then_file_then_line(tmp_path):
    first = lines(HEADER, "b,x,5", "a,z,3", "b,y,5", "b,w,4")
    second = lines(HEADER, "a,y,3", "a,x,1")
    report = imported(tmp_path / "p", first, second)
    found = rows(tmp_path / "p")
    by_user = {user: [row[1:] for row in found if row[0] == user] for user in ("a", "b")}
    assert by_user == {"a": [("x", 1), ("z", 3), ("y", 3)], "b": [("w", 4), ("x", 5), ("y", 5)]}
    assert [row[0] for row in found] in (list("aaabbb"), list("bbbaaa"))
    assert (report.rows_read, report.rows_written, report.latest_timestamp) == (6, 6, 5)


def test_columns_are_matched_by_name_in_any_case_order_and_quoting(tmp_path):
    content = '\ufeff"timestamp", Extra ,item_id,"User_Id"\r\n7,"a, b",i1,u1\r\n"8",,"i2",u2'
    imported(tmp_path / "p", content)
    assert sorted(rows(tmp_path / "p")) == [("u1", "i1", 7), ("u2", "i2", 8)]


def test_ids_stay_the_text_they_are(tmp_path):
    imported(
        tmp_path / "p", lines(HEADER, "007,101,1", "1e3,0x1F,2", " 5,NaN,3", "null,N/A,4", '"1,5",ü€😀,5')
    )
    assert sorted(rows(tmp_path / "p"), key=lambda row: row[2]) == [
        ("007", "101", 1),
        ("1e3", "0x1F", 2),
        (" 5", "NaN", 3),
        ("null", "N/A", 4),
        ("1,5", "ü€😀", 5),
    ]


def test_quotes_inside_quotes_are_escaped_either_way(tmp_path):
    content = lines(
        "ITEM_ID,NOTE", r'1,"a \"b\", c"', '2,"a ""b"", c"', r"3,C:\new", '4,5" disk', '5,"two\nlines"'
    )
    imported(
        tmp_path / "p", content, of=schema("Items", "ITEM_ID string", "NOTE string"), dataset_type="ITEMS"
    )
    assert sorted(rows(tmp_path / "p")) == [
        ("1", 'a "b", c'),
        ("2", 'a "b", c'),
        ("3", r"C:\new"),
        ("4", '5" disk'),
        ("5", "two\nlines"),
    ]


def test_actions_have_a_value_of_one_to_ten_and_come_again_within_thirty_days(tmp_path):
    actions = schema("Actions", "ACTION_ID string", "VALUE long null", "REPEAT_FREQUENCY long null")
    header = "ACTION_ID,VALUE,REPEAT_FREQUENCY"
    good = [("a", 1, 0), ("b", 10, 30), ("c", None, None)]
    given = lines(header, "a,1,0", "b,10,30", "c,,")
    report = imported(tmp_path / "good", given, of=actions, dataset_type="ACTIONS")
    assert (sorted(rows(tmp_path / "good")), report.cells_nulled) == (good, 0)
    given = lines(header, "a,0,0", "b,11,31", "c,5,-1")
    report = imported(tmp_path / "bad", given, of=actions, dataset_type="ACTIONS")
    assert sorted(rows(tmp_path / "bad")) == [("a", None, 0), ("b", None, None), ("c", 5, None)]
    assert [(p.kind, p.column, p.count) for p in report.problems] == [
        ("out of range", "VALUE", 2),
        ("out of range", "REPEAT_FREQUENCY", 2),
    ]
    text = failure(tmp_path / "p", given, of=actions, dataset_type="ACTIONS", bad_row_share=0.01)
    assert "VALUE '0' must be from 1 to 10" in text


def test_an_empty_cell_is_null_quoted_or_not(tmp_path):
    header = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE"
    report = imported(tmp_path / "p", lines(header, 'u,i,1,"",', "u,i,2,,0.5"), of=INTERACTIONS)
    assert rows(tmp_path / "p") == [("u", "i", 1, None, None), ("u", "i", 2, None, 0.5)]
    assert report.problems == ()


@pytest.mark.parametrize("size", [1, 7, 40, 1 << 20])
def test_the_size_of_blocks_changes_nothing(tmp_path, size):
    records = [f'u{i % 7},"item ""{i}"", or\nso",{1000 - i}' for i in range(50)]
    imported(tmp_path / "p", lines(HEADER, *records), import_block_bytes=size)
    imported(tmp_path / "q", lines(HEADER, *records))
    assert rows(tmp_path / "p") == rows(tmp_path / "q")
    assert len(rows(tmp_path / "p")) == 50


def test_partitions_change_nothing(tmp_path, monkeypatch):
    records = [f"u{i * 7919 % 97},i{i * 31 % 53},{i % 11}" for i in range(3000)]
    imported(tmp_path / "whole", lines(HEADER, *records))
    monkeypatch.setattr(importing, "PARTITION_BYTES", 4096)
    imported(tmp_path / "parted", lines(HEADER, *records), import_block_bytes=4096)
    assert len(list((tmp_path / "parted").glob("*.parquet"))) == 8
    assert rows(tmp_path / "parted") == rows(tmp_path / "whole")
    counts = [json.loads((tmp_path / p / "part.json").read_text())["buckets"] for p in ("whole", "parted")]
    assert counts[0] == counts[1]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    content = lines(HEADER, *(f"u{i % 13},i{i % 17},{i}" for i in range(500)))
    for name in ("p", "q"):
        imported(tmp_path / name, content)
    first, second = ((tmp_path / name / "p00000.parquet").read_bytes() for name in ("p", "q"))
    assert first == second


def test_equal_events_of_equal_time_collapse(tmp_path):
    header = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE"
    content = lines(
        header, "u,i,5,view,1", "u,j,5,view,1", "u,i,5,view,1", "u,i,5,buy,1", "u,i,5,view,", "u,i,6,view,1"
    )
    report = imported(tmp_path / "p", content, of=INTERACTIONS)
    assert report.duplicates == 1
    assert [row[1:4] for row in rows(tmp_path / "p")] == [
        ("i", 5, "view"),
        ("j", 5, "view"),
        ("i", 5, "buy"),
        ("i", 5, "view"),
        ("i", 6, "view"),
    ]


def test_the_last_record_of_an_id_counts(tmp_path):
    first = lines("USER_ID,AGE,GENDER", "u,1,f", "v,2,m", "u,3,")
    report = imported(
        tmp_path / "p", first, lines("USER_ID,AGE,GENDER", "v,4,f"), of=USERS, dataset_type="USERS"
    )
    assert sorted(rows(tmp_path / "p")) == [("u", 3, None), ("v", 4, "f")]
    assert (report.rows_written, report.duplicates, report.latest_timestamp) == (2, 2, None)


def test_free_text_is_cleaned_and_cut_silently(tmp_path):
    header = "ITEM_ID,GENRES,PRICE,CREATION_TIMESTAMP,DESCRIPTION,NOTE"
    content = lines(header, '1,a|b,1.5,9,"<p>Three\tmen\nin <b>a</b> boat; 1 < 2",n', f"2,,,,{'é' * 30_000},")
    report = imported(tmp_path / "p", content, of=ITEMS, dataset_type="ITEMS")
    one, two = sorted(rows(tmp_path / "p"))
    assert one == ("1", "a|b", 1.5, 9, "Three men in a boat; 1 < 2", "n")
    assert two[4] == "é" * 20_000
    assert report.problems == ()


def test_a_few_bad_cells_become_null_or_drop_their_row(tmp_path):
    header = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE"
    good = [f"u,i,{i},view,1" for i in range(1000)]
    bad = ["u,i,5000,view,much", "u,i,12/3,view,1", ",i,5001,view,1", "u,i,5002,view,1,more"]
    report = imported(
        tmp_path / "p", ("ratings.csv", lines(header, *good, *bad)), of=INTERACTIONS, bad_row_share=0.01
    )
    assert (report.rows_read, report.rows_written, report.rows_dropped, report.cells_nulled) == (
        1004,
        1001,
        3,
        1,
    )
    assert rows(tmp_path / "p")[-1] == ("u", "i", 5000, "view", None)
    found = {
        (p.kind, p.column): (p.count, p.examples[0].file, p.examples[0].line, p.examples[0].value)
        for p in report.problems
    }
    assert found == {
        ("not a number", "EVENT_VALUE"): (1, "ratings.csv", 1002, "much"),
        ("not an integer", "TIMESTAMP"): (1, "ratings.csv", 1003, "12/3"),
        ("empty", "USER_ID"): (1, "ratings.csv", 1004, ""),
        ("wrong number of fields", ""): (1, "ratings.csv", 1005, "6 fields"),
    }
    assert json.loads((tmp_path / "p" / "part.json").read_text())["report"]["rows_dropped"] == 3


def test_five_examples_of_a_problem_are_kept(tmp_path):
    report = imported(
        tmp_path / "p", lines(HEADER, "u,i,1", *(f"u,i,bad{i}" for i in range(9))), import_block_bytes=20
    )
    (problem,) = report.problems
    assert problem.count == 9
    assert [(e.line, e.value) for e in problem.examples] == [(i + 3, f"bad{i}") for i in range(5)]


def test_lines_are_counted_through_quoted_new_lines_and_crlf(tmp_path):
    content = f'{HEADER}\r\nu,"a\r\nb",1\r\n\r\nu,i,x\r\n'
    report = imported(tmp_path / "p", content)
    assert report.problems[0].examples[0].line == 5


def test_too_many_bad_rows_fail_with_file_line_value_and_what_was_expected(tmp_path):
    content = lines(HEADER, *(f"u,i,{i}" for i in range(40)), "u,i,12/3", "u,i,12/4")
    text = failure(tmp_path / "p", ("ratings.csv", content), bad_row_share=0.01)
    assert text.startswith("ratings.csv line 42: TIMESTAMP '12/3' is not an integer (seconds since 1970). ")
    assert "2 of 42 rows" in text


def test_a_large_file_of_bad_rows_fails_before_its_end(tmp_path):
    read = []

    class Watched(io.BytesIO):
        def read(self, size=-1):
            read.append(size)
            return super().read(size)

    raw = lines(HEADER, *(f"user{i},item{i},2020-01-01" for i in range(100_000))).encode()
    found = Object("in/dates.csv", len(raw), lambda: Watched(raw))
    with pytest.raises(DataFailure, match=r"dates\.csv line 2: TIMESTAMP '2020-01-01' is not an integer"):
        import_part(
            [found], PLAIN, "INTERACTIONS", tmp_path / "p", Settings(import_block_bytes=10_000), a_run()
        )
    assert len(read) * 10_000 < len(raw) / 2


def test_milliseconds_have_a_message_of_their_own(tmp_path):
    text = failure(tmp_path / "p", ("e.csv", lines(HEADER, "u,i,1609459200000")), bad_row_share=0.01)
    assert text.startswith(
        "e.csv line 2: TIMESTAMP '1609459200000' looks like milliseconds; it must be seconds"
    )
    assert "divide it by 1000" in text


def test_missing_columns_are_listed(tmp_path):
    text = failure(tmp_path / "p", ("e.csv", lines("USER_ID,WHEN", "u,1")))
    assert text == "e.csv: Input CSV is missing the following columns:[ITEM_ID, TIMESTAMP]."


@pytest.mark.parametrize(("column", "most"), [("USER_ID", 256), ("GENDER", 1000)])
def test_a_text_that_is_too_long_fails_the_import(tmp_path, column, most):
    def record(length):
        cells = {"USER_ID": "u", "AGE": "1", "GENDER": "f", column: "ä" * length}
        return lines("USER_ID,AGE,GENDER", "v,2,m", ",".join(cells.values()))

    imported(tmp_path / "p", record(most), of=USERS, dataset_type="USERS")
    text = failure(tmp_path / "q", ("users.csv", record(most + 1)), of=USERS, dataset_type="USERS")
    assert text.startswith(
        f"users.csv line 3: Length cannot be more than {most} characters for {column}: 'äää"
    )
    assert len(text) < 300


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "e.csv is empty"),
        ("\n\n", "e.csv is empty"),
        (HEADER + "\n", "e.csv: there are no rows below the header"),
        (f"{HEADER}\n\n\n", "e.csv: there are no rows below the header"),
        (f'{HEADER}\nu,i,1\nu,"i,2\nu,i,3\n', "e.csv line 3: a double quote is opened and never closed"),
        (f"{HEADER},USER_ID\nu,i,1,v\n", "names the column USER_ID more than once"),
        (f"{HEADER}\nu,i,1\n".encode("utf-16"), "e.csv is UTF-16"),
        (f"{HEADER}\ru,i,1\r".encode(), "e.csv line 1: its lines end with a carriage return alone"),
        (gzip.compress(HEADER.encode(), mtime=0), "e.csv is compressed with gzip"),
        (b"USER_ID,ITEM_ID,TIMESTAMP,\xff\n", r"e.csv line 1: the header is not valid UTF-8"),
        (b"PAR1 but no more", "e.csv cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, content, says):
    assert says in failure(tmp_path / "p", ("e.csv", content))


def test_text_that_is_not_utf_8_is_a_bad_cell(tmp_path):
    raw = f"{HEADER}\nu,i,1\nu,caf\u00e9,2\n".encode("latin-1")
    report = imported(tmp_path / "p", ("e.csv", raw))
    assert rows(tmp_path / "p") == [("u", "i", 1)]
    assert (report.problems[0].kind, report.problems[0].examples[0].value) == ("not UTF-8", r"caf\xe9")
    text = failure(tmp_path / "q", ("e.csv", raw), bad_row_share=0.01)
    assert text.startswith(r"e.csv line 3: ITEM_ID 'caf\xe9' is not valid UTF-8")


def test_integers_and_truth_values_are_read_as_written(tmp_path):
    of = schema(
        "Users",
        "USER_ID string",
        "AGE int null",
        "VIP boolean null",
        "RATE double null",
        "CODE int categorical",
    )
    records = ["a, 12 ,true,1e3,007", "b,-1,0,.5,1", "c,1.0,yes,inf,1", "d,,,NaN,1"]
    report = imported(
        tmp_path / "p", lines("USER_ID,AGE,VIP,RATE,CODE", *records), of=of, dataset_type="USERS"
    )
    assert sorted(rows(tmp_path / "p")) == [
        ("a", 12, True, 1000.0, "007"),
        ("b", -1, False, 0.5, "1"),
        ("c", None, None, None, "1"),
        ("d", None, None, None, "1"),
    ]
    assert {(p.kind, p.column, p.count) for p in report.problems} == {
        ("not an integer", "AGE", 1),
        ("not a boolean", "VIP", 1),
        ("not a number", "RATE", 2),
    }


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize("type_", [pa.int64(), pa.int32(), pa.float64(), pa.string(), pa.large_string()])
def test_parquet_ids_become_decimal_text(tmp_path, type_):
    ids = pa.array([101, 7], pa.int64()).cast(type_)
    content = parquet(user_id=ids, ITEM_ID=ids, TIMESTAMP=[1, 2], other=[[1], [2]])
    imported(tmp_path / "p", ("e.parquet", content))
    assert sorted(rows(tmp_path / "p")) == [("101", "101", 1), ("7", "7", 2)]


def test_parquet_times_are_taken_as_seconds(tmp_path):
    when = pa.array([1_600_000_000_123], pa.timestamp("ms"))
    imported(tmp_path / "p", parquet(USER_ID=["u"], ITEM_ID=["i"], TIMESTAMP=when))
    assert rows(tmp_path / "p") == [("u", "i", 1_600_000_000)]


def test_parquet_lists_are_several_categories(tmp_path):
    content = parquet(USER_ID=["u"], AGE=[30], GENDER=[["a", "b"]])
    imported(tmp_path / "p", content, of=USERS, dataset_type="USERS")
    assert rows(tmp_path / "p") == [("u", 30, "a|b")]


def test_bad_parquet_cells_are_judged_with_their_row(tmp_path):
    content = parquet(USER_ID=["u", None, "v"], ITEM_ID=[1.0, 2.5, 3.0], TIMESTAMP=["1", "2", "soon"])
    report = imported(tmp_path / "p", ("e.parquet", content))
    assert rows(tmp_path / "p") == [("u", "1", 1)]
    assert {(p.kind, p.column, p.examples[0].line) for p in report.problems} == {
        ("empty", "USER_ID", 2),
        ("not an integer", "TIMESTAMP", 3),
    }
    text = failure(tmp_path / "q", ("e.parquet", parquet(USER_ID=["u"], ITEM_ID=["i"])))
    assert "e.parquet: Input Parquet is missing the following columns:[TIMESTAMP]." in text


def test_a_stopped_import_leaves_nothing(tmp_path):
    asked = iter([False, False, True])
    with pytest.raises(Stopped):
        imported(
            tmp_path / "p",
            lines(HEADER, *(f"u,i,{i}" for i in range(100))),
            run=a_run(lambda: next(asked)),
            import_block_bytes=100,
        )
    assert os.listdir(tmp_path) == []


def test_an_object_that_cannot_be_opened_fails_the_import(tmp_path):
    def refuse():
        raise BlobError(
            "Insufficient privileges for accessing data in Amazon S3. s3://b/a.csv: Permission denied."
        )

    with pytest.raises(DataFailure, match=r"Insufficient privileges for accessing data in Amazon S3\."):
        import_part([Object("a.csv", 1, refuse)], PLAIN, "INTERACTIONS", tmp_path / "p", Settings(), a_run())


def test_every_file_is_on_disk_before_the_import_returns(tmp_path, monkeypatch):
    synced = {}
    real = os.fsync

    def watch(fd):
        at = os.fstat(fd)
        synced[at.st_ino] = (at.st_size, len(synced))
        real(fd)

    monkeypatch.setattr(os, "fsync", watch)
    monkeypatch.setattr(importing, "PARTITION_BYTES", 2000)
    part = tmp_path / "datasets" / "p"
    imported(part, lines(HEADER, *(f"u{i},i,{i}" for i in range(2000))))
    files = [path for path in part.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert {path.name for path in part.iterdir()} == {path.name for path in files}
    for path in files:
        assert synced[path.stat().st_ino][0] == path.stat().st_size
    order = [synced[path.stat().st_ino][1] for path in (*files, part, part.parent)]
    assert max(order[:-2]) < order[-2] < order[-1]


def test_several_files_are_one_part(tmp_path):
    report = imported(tmp_path / "p", *(lines(HEADER, f"u,i{i},{i}") for i in range(5)))
    assert [row[1] for row in rows(tmp_path / "p")] == [f"i{i}" for i in range(5)]
    assert report.rows_read == 5
    assert [found.name for found in objects("x")] == ["file0.csv"]

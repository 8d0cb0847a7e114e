"""Batch results as a table with titles."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from nextpick.cli.main import app
from nextpick.prepare.transform import Unreadable, transform, write

ITEMS = 'movieId,title,genres\n1,Toy Story (1995),Adventure|Children\n2,"Firm, The (1993)",\n'
LINE = '{"input":{"userId":"u1"},"output":{"recommendedItems":["2","1","9"],"scores":[0.3,0.2,0.1]},"error":null}\n'
FAILED = '{"input":{"userId":"u2"},"output":null,"error":"There is no such thing."}\n'


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "movies.csv"
    path.write_text(ITEMS)
    return path


def test_items_are_told_by_title_and_first_category_and_errors_left_out(items: Path) -> None:
    table = transform([LINE, FAILED, "\n"], items)
    assert table.to_pylist() == [
        {"userId": "u1", "Recommendations": "Firm, The (1993) | Toy Story (1995) (Adventure) | 9"}
    ]
    assert transform([LINE], items, most=1).to_pylist()[0]["Recommendations"] == "Firm, The (1993)"


def test_lines_about_items_name_the_item(items: Path) -> None:
    line = LINE.replace('"userId":"u1"', '"itemId":"7"')
    assert transform([line], items).column_names == ["itemId", "Recommendations"]


@pytest.mark.parametrize(
    "bad",
    ["{", "[]", '{"input":{"userId":"u1"}}', '{"input":{},"output":{"recommendedItems":[]},"error":null}'],
)
def test_another_file_is_refused_by_line(items: Path, bad: str) -> None:
    with pytest.raises(Unreadable, match="line 2 is not one of a batch inference job's output"):
        transform([LINE, bad], items)


def test_items_without_titles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("movieId,genres\n1,Drama\n")
    with pytest.raises(Unreadable, match=r"needs a column of ids .* and one of titles"):
        transform([LINE], path)


def test_the_command_writes_parquet_or_says_why_not(items: Path, tmp_path: Path) -> None:
    results = tmp_path / "users.json.out"
    results.write_text(LINE)
    arguments = [
        "batch",
        "transform",
        str(results),
        "--items",
        str(items),
        "--output",
        str(tmp_path / "t.parquet"),
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    metadata = pq.ParquetFile(tmp_path / "t.parquet").metadata
    assert (metadata.num_rows, metadata.num_row_groups) == (1, 1)
    assert metadata.row_group(0).column(0).compression == "SNAPPY"
    results.unlink()
    assert CliRunner().invoke(app, arguments).exit_code == 1


def test_the_published_results_become_the_published_table(tmp_path: Path, data_dir: Path) -> None:
    folder = data_dir / "personalize-batch-example"
    if not folder.is_dir():
        pytest.skip("needs the published batch run")
    with (folder / "users.json.out").open() as lines:
        write(transform(lines, folder / "movies.csv", most=10), tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(pq.read_table(folder / "transformed.parquet"))

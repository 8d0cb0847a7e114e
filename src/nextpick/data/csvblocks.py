"""CSV files, block by block: cut at line ends, typed fast, read again as text where that fails.

Fields with commas, quotes or new lines are in double quotes; a quote inside is written ``\\"`` or ``""``; any
other backslash is itself. An empty field, quoted or not, is null. Source: developer guide, "Data format
guidelines", and the files its samples make.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.csv as pacsv

from nextpick.data.columns import Spec, clean_textual, fits
from nextpick.data.failure import DataFailure
from nextpick.data.judge import Texts, judge
from nextpick.data.report import Example, Ledger, shown

MOST_RECORD_BYTES = 16 * 1024 * 1024

_FIELD = rb'(?:"(?:[^"\\]++|\\"|\\|"")*+"[^,\n]*+|[^",\n][^,\n]*+|)'
_RECORD = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+\n")
_BOMS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x1f\x8b", "compressed with gzip"))


class Block(NamedTuple):
    """Whole records of a file. line: number of the first, the header being line 1;
    width: fields of the header;  places: by column of the schema, its position in the header."""

    file: str
    line: int
    data: bytes
    width: int
    places: dict[str, int]


def blocks(name: str, file: BinaryIO, columns: tuple[Spec, ...], size: int) -> Iterator[Block]:
    """Read a file's header, then its records in blocks of about ``size`` bytes.

    Raises DataFailure naming the columns that are missing, or the line of a quote that is never closed.
    """
    names = _header(name, file)
    places = _places(name, names, columns)
    line = 2
    data = b""
    while True:
        more = file.read(size)
        data += more
        if not more and data and not data.endswith(b"\n"):
            data += b"\n"
        cut = _boundary(data)
        if cut < len(data) and (not more or len(data) - cut > MOST_RECORD_BYTES):
            torn = line + data.count(b"\n", 0, cut)
            raise DataFailure(
                f"{name} line {torn}: a double quote is opened and never closed, "
                "or the record has more than 16 MiB."
            )
        if cut:
            yield Block(name, line, data[:cut], len(names), places)
            line += data.count(b"\n", 0, cut)
            data = data[cut:]
        if not more:
            return


def read_typed(block: Block, columns: tuple[Spec, ...]) -> pa.Table | None:
    """Return a block's rows, typed; None when some cell is not what the schema says."""
    data = block.data.replace(b'\\"', b'""') if b"\\" in block.data else block.data
    names = [str(place) for place in range(block.width)]
    wanted = [str(block.places[column.name]) for column in columns]
    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            # One chunk a block: a chunk has a dictionary of its own.
            pacsv.ReadOptions(column_names=names, block_size=max(len(data), 1), use_threads=False),
            pacsv.ParseOptions(newlines_in_values=b'"' in data),
            pacsv.ConvertOptions(
                column_types={place: column.type for place, column in zip(wanted, columns, strict=True)},
                include_columns=wanted,
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    table = table.rename_columns([column.name for column in columns])
    if not fits(table, columns):
        return None
    for at, column in enumerate(columns):
        if column.textual:
            table = table.set_column(at, column.name, clean_textual(table.column(at)))
    return table


def read_judged(block: Block, columns: tuple[Spec, ...], ledger: Ledger) -> tuple[pa.Table, int]:
    """Return a block's usable rows, cell by cell, and how many rows it has; count the rest in the ledger."""
    rows, lines, odd = _rows(block)
    if odd:
        line, width = odd[0]
        ledger.bad_rows += len(odd)
        ledger.dropped += len(odd)
        examples = [Example(block.file, at, f"{fields} fields") for at, fields in odd[:5]]
        first = f"{block.file} line {line} has {width} fields; the header has {block.width}"
        ledger.note("wrong number of fields", "", len(odd), examples, first)
    cells: dict[str, list[str | None]] = {
        column.name: [row[block.places[column.name]] for row in rows] for column in columns
    }
    return judge(Texts(block.file, "line", lines, cells), columns, ledger), len(rows) + len(odd)


def _rows(block: Block) -> tuple[list[list[str]], list[int], list[tuple[int, int]]]:
    """Return records of the right width, their lines, and (line, width) of the others."""
    text = block.data.replace(b'\\"', b'""').decode(errors="surrogateescape")
    csv.field_size_limit(max(csv.field_size_limit(), MOST_RECORD_BYTES * 2))
    reader = csv.reader(io.StringIO(text, newline=""))
    rows, lines, odd = [], [], []
    line = 0
    for row in reader:
        if len(row) == block.width:
            rows.append(row)
            lines.append(block.line + line)
        elif row:
            odd.append((block.line + line, len(row)))
        line = reader.line_num
    return rows, lines, odd


def _header(name: str, file: BinaryIO) -> list[str]:
    line = file.readline(1 << 20)
    for start, what in _BOMS:
        if line.startswith(start):
            raise DataFailure(f"{name} is {what}; it must be CSV in UTF-8, or Parquet.")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataFailure(
            f"{name} line 1: the header is not valid UTF-8: {shown(repr(line)[2:-1])}."
        ) from None
    if "\r" in text.rstrip("\r\n"):
        raise DataFailure(
            f"{name} line 1: its lines end with a carriage return alone; they must end with a line feed."
        )
    if not text.strip():
        raise DataFailure(f"{name} is empty; its first line must be a header that names the columns.")
    return [column.strip() for column in next(csv.reader([text]))]


def _places(name: str, names: list[str], columns: tuple[Spec, ...]) -> dict[str, int]:
    """Return where each column of the schema is in the header, in any letter case."""
    found: dict[str, list[int]] = {}
    for place, column in enumerate(names):
        found.setdefault(column.casefold(), []).append(place)
    missing = [column.name for column in columns if column.name.casefold() not in found]
    if missing:
        raise DataFailure(f"{name}: Input CSV is missing the following columns:[{', '.join(missing)}].")
    for column in columns:
        if len(found[column.name.casefold()]) > 1:
            raise DataFailure(f"{name}: the header names the column {column.name} more than once.")
    return {column.name: found[column.name.casefold()][0] for column in columns}


def _boundary(data: bytes) -> int:
    """Return where the last whole record of ``data`` ends, 0 when it has none."""
    cut = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, cut)
    if not quotes or (quotes - data.count(b'\\"', 0, cut)) % 2 == 0:
        return cut
    cut = 0  # the last new line is inside quotes, or a stray quote is about: look at each record
    while record := _RECORD.match(data, cut):
        cut = record.end()
    return cut

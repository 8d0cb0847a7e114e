"""The slow reading: rows as text, each cell judged by itself, problems counted with file and line.

Used for the blocks that the fast reading refuses. A cell that cannot be what the schema says becomes null
where the schema allows it, else its row is dropped.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nextpick.data.cells import MILLISECONDS
from nextpick.data.columns import Spec, arrow_schema, clean_textual, pc
from nextpick.data.failure import DataFailure
from nextpick.data.report import MOST_EXAMPLES, Example, Ledger, shown

# Just what Arrow's own conversions take, so that both readings agree.
_INTEGER = r"^-?(\d{1,18}|0[xX][0-9a-fA-F]{1,15})$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_TRUE = ("1", "true", "True", "TRUE")
_FALSE = ("0", "false", "False", "FALSE")


class Texts(NamedTuple):
    """Rows as text. ``cells`` by column, None or "" where empty;  ``lines``: where each row begins;
    ``unit``: what lines count, "line" or "row"."""

    file: str
    unit: str
    lines: Sequence[int]
    cells: dict[str, list[str | None]]


class _Problem(NamedTuple):
    kind: str
    sentence: Callable[[str, str], str]
    cells: np.ndarray  # bool [rows]


def judge(texts: Texts, columns: tuple[Spec, ...], ledger: Ledger) -> pa.Table:
    """Return the rows that can be used, typed; count the others and the cells made null in the ledger.

    Raises DataFailure for a text longer than its column allows.
    """
    n = len(texts.lines)
    dropped = np.zeros(n, bool)
    bad = np.zeros(n, bool)
    arrays = []
    nulled = []
    for column in columns:
        array, problems = _judge_column(texts, column)
        arrays.append(array)
        for problem in problems:
            _note(texts, column, problem, ledger)
            bad |= problem.cells
            if column.nullable:
                nulled.append(problem.cells)
            else:
                dropped |= problem.cells
    ledger.bad_rows += int(np.count_nonzero(bad))
    ledger.dropped += int(np.count_nonzero(dropped))
    ledger.nulled += sum(int(np.count_nonzero(cells & ~dropped)) for cells in nulled)
    table = pa.Table.from_arrays(arrays, schema=arrow_schema(columns))
    return table.filter(pa.array(~dropped)) if dropped.any() else table


def _judge_column(texts: Texts, column: Spec) -> tuple[pa.Array, list[_Problem]]:
    problems = []
    cells = texts.cells[column.name]
    broken = np.fromiter((cell is not None and not _is_utf8(cell) for cell in cells), bool, len(cells))
    if broken.any():
        problems.append(
            _Problem("not UTF-8", lambda name, value: f"{name} {value} is not valid UTF-8", broken)
        )
        cells = [None if wrong else cell for wrong, cell in zip(broken, cells, strict=True)]
    array = pa.array(cells, pa.string())
    if column.most is None and not column.textual:
        array = pc.ascii_trim_whitespace(array)
    array = pc.if_else(pc.equal(array, ""), None, array)
    empty = ~broken & array.is_null().to_numpy(zero_copy_only=False)
    if not column.nullable and empty.any():
        problems.append(
            _Problem("empty", lambda name, _: f"{name} is empty, which the schema does not allow", empty)
        )
    if column.most is not None:
        _check_length(texts, column, array)
        array = array.dictionary_encode() if pa.types.is_dictionary(column.type) else array
        return array.cast(column.type), problems
    if column.textual:
        return clean_textual(array), problems
    return _numbers(array, column, problems)


def _numbers(
    array: pa.StringArray, column: Spec, problems: list[_Problem]
) -> tuple[pa.Array, list[_Problem]]:
    """Return the cells of a column of numbers or truth values, with null for what cannot be read."""
    if pa.types.is_boolean(column.type):
        known = pc.is_in(array, pa.array([*_TRUE, *_FALSE]))
        typed = pc.if_else(known, pc.is_in(array, pa.array(_TRUE)), None)
        what, kind = "is not true or false", "not a boolean"
    elif pa.types.is_integer(column.type):
        typed = pc.if_else(pc.match_substring_regex(array, _INTEGER), array, None).cast(pa.int64())
        what, kind = "is not an integer", "not an integer"
    else:
        typed = pc.if_else(pc.match_substring_regex(array, _NUMBER), array, None).cast(pa.float64())
        typed = pc.if_else(pc.is_finite(typed), typed, None)
        what, kind = "is not a number", "not a number"
    if column.time:
        what += " (seconds since 1970)"
    wrong = pc.and_(array.is_valid(), typed.is_null()).to_numpy(zero_copy_only=False)
    if wrong.any():
        problems.append(_Problem(kind, lambda name, value: f"{name} {value} {what}", wrong))
    if column.time:
        late = pc.fill_null(pc.greater_equal(typed, MILLISECONDS), False).to_numpy(zero_copy_only=False)
        if late.any():
            problems.append(_Problem("milliseconds", _milliseconds, late))
            typed = pc.if_else(pa.array(late), None, typed)
    if column.limits is not None:
        low, high = column.limits
        beyond = pc.fill_null(pc.or_(pc.less(typed, low), pc.greater(typed, high)), False)
        outside = beyond.to_numpy(zero_copy_only=False)
        if outside.any():
            sentence = f"must be from {low} to {high}"
            problems.append(
                _Problem("out of range", lambda name, value: f"{name} {value} {sentence}", outside)
            )
            typed = pc.if_else(beyond, None, typed)
    return typed.cast(column.type), problems


def _milliseconds(name: str, value: str) -> str:
    return f"{name} {value} looks like milliseconds; it must be seconds since 1970: divide it by 1000"


def _check_length(texts: Texts, column: Spec, array: pa.Array) -> None:
    lengths = pc.fill_null(pc.utf8_length(array), 0).to_numpy(zero_copy_only=False)
    too_long = np.flatnonzero(lengths > column.most)
    if len(too_long):
        row = int(too_long[0])
        raise DataFailure(
            f"{texts.file} {texts.unit} {texts.lines[row]}: "
            f"Length cannot be more than {column.most} characters for {column.name}: "
            f"{shown(array[row].as_py())} has {lengths[row]}."
        )


def _note(texts: Texts, column: Spec, problem: _Problem, ledger: Ledger) -> None:
    rows = np.flatnonzero(problem.cells)
    cells = texts.cells[column.name]
    examples = [
        Example(texts.file, texts.lines[row], shown(cells[row] or "")[1:-1])
        for row in rows[:MOST_EXAMPLES].tolist()
    ]
    value = shown(cells[int(rows[0])] or "")
    first = f"{texts.file} {texts.unit} {examples[0].line}: {problem.sentence(column.name, value)}"
    ledger.note(problem.kind, column.name, len(rows), examples, first)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
